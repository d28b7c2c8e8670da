// Which conversation is open is in the address, so that the back gesture closes it and a reload
// keeps it. `#c=<id>`: a fragment, which no server sees.

import { useCallback, useSyncExternalStore } from "react";

const PREFIX = "#c=";
const listeners = new Set<() => void>();

const current = (): string | null =>
  window.location.hash.startsWith(PREFIX)
    ? decodeURIComponent(window.location.hash.slice(PREFIX.length))
    : null;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

const isOurs = () => (window.history.state as { malote?: boolean } | null)?.malote === true;

function go(id: string | null): void {
  const before = current();
  if (id === before) return;
  const address = window.location.pathname + window.location.search;
  if (id === null && isOurs()) {
    window.history.back();
    return;
  }
  const to = id === null ? address : `${address}${PREFIX}${encodeURIComponent(id)}`;
  // From one conversation to another is no step back: back leads to the list.
  if (id !== null && before === null) window.history.pushState({ malote: true }, "", to);
  else window.history.replaceState(window.history.state, "", to);
  for (const listener of listeners) listener();
}

/** The open conversation's id, and how to open another, or none. */
export function useOpenConversation(): readonly [string | null, (id: string | null) => void] {
  const open = useSyncExternalStore(subscribe, current);
  return [open, useCallback(go, [])];
}
