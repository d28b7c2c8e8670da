// What is looked at is in the address, so that the back gesture leaves it and a reload keeps it.
// `#c=<conversation>&at=<position>&on=<user/device>` or `#page=operations`: a fragment, which no
// server sees.

import { useSyncExternalStore } from "react";

export interface Route {
  /** The open conversation's id. */
  readonly c: string | null;
  /** The inbox as it was at a position or a time; null: as it is. */
  readonly at: string | null;
  /** On whose screen, `user/device`; null: on nobody's, everything that was recorded. */
  readonly on: string | null;
  /** The position of the message whose trace is shown, for auditors. */
  readonly m: string | null;
  readonly page: string | null;
}

const NAMES = ["page", "c", "at", "on", "m"] as const;
const listeners = new Set<() => void>();
let known = { hash: "", route: read("") };

function read(hash: string): Route {
  const given = new URLSearchParams(hash.slice(1));
  return Object.fromEntries(NAMES.map((name) => [name, given.get(name)])) as unknown as Route;
}

function current(): Route {
  const { hash } = window.location;
  if (hash !== known.hash) known = { hash, route: read(hash) };
  return known.route;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

const isOurs = () => (window.history.state as { malote?: boolean } | null)?.malote === true;

/** Goes where these changes lead. Back leads from a conversation or a page to the list. */
export function go(changes: Partial<Route>): void {
  const before = current();
  const elsewhere = changes.c !== undefined && changes.c !== before.c;
  const after = { ...before, ...(elsewhere ? { m: null } : {}), ...changes };
  if (NAMES.every((name) => before[name] === after[name])) return;
  const [left, entered] = [isInside(before) && !isInside(after), isInside(after)];
  if (left && isOurs() && before.at === after.at && before.on === after.on) {
    window.history.back();
    return;
  }
  const named = NAMES.flatMap((name) => (after[name] === null ? [] : [[name, after[name]]]));
  const hash = new URLSearchParams(named as string[][]).toString();
  const address = window.location.pathname + window.location.search + (hash && `#${hash}`);
  // From one conversation to another is no step back.
  if (entered && !isInside(before)) window.history.pushState({ malote: true }, "", address);
  else window.history.replaceState(left ? null : window.history.state, "", address);
  for (const listener of listeners) listener();
}

const isInside = ({ c, page }: Route) => c !== null || page !== null;

export const useRoute = (): Route => useSyncExternalStore(subscribe, current);
