// The store and the clock as React sees them.

import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import type { Conversation, InboxReader, MessageWindow } from "../model";

export function useInbox<Reader extends InboxReader>(
  inbox: Reader,
): ReturnType<Reader["getSnapshot"]> {
  const subscribe = useCallback((listener: () => void) => inbox.subscribe(listener), [inbox]);
  const snapshot = () => inbox.getSnapshot() as ReturnType<Reader["getSnapshot"]>;
  return useSyncExternalStore(subscribe, snapshot);
}

export function useConversation(inbox: InboxReader, id: string): Conversation | undefined {
  const subscribe = useCallback(
    (listener: () => void) => inbox.subscribeConversation(id, listener),
    [inbox, id],
  );
  return useSyncExternalStore(subscribe, () => inbox.getConversation(id));
}

export function useMessages(inbox: InboxReader, id: string): MessageWindow {
  const subscribe = useCallback(
    (listener: () => void) => inbox.subscribeConversation(id, listener),
    [inbox, id],
  );
  return useSyncExternalStore(subscribe, () => inbox.getMessages(id));
}

/** The time, again every `everyMs` while `running`. */
export function useNow(everyMs: number, running = true): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!running) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, running]);
  return now;
}

/** `value` once it has stayed the same for `ms`; the first value at once. */
export function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

/** True once `value` has been true for `ms`: no skeleton for what comes at once. */
export function useLasting(value: boolean, ms: number): boolean {
  const settled = useSettled(value, ms);
  return value && settled;
}

export function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (listener: () => void) => {
      const media = matchMedia(query);
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    [query],
  );
  return useSyncExternalStore(subscribe, () => matchMedia(query).matches);
}
