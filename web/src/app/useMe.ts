import { useEffect, useState } from "react";
import type { InboxStore } from "../model";
import { ProblemError } from "../model";
import { getMe, type Me } from "./server";

/** Who the user is; null until the server said so. Asked again after each reconnection. */
export function useMe(store: InboxStore, user: string | null, connected: boolean): Me | null {
  const [me, setMe] = useState<Me | null>(null);
  useEffect(() => {
    const token = store.getToken();
    if (token === null || user === null) {
      setMe(null);
      return;
    }
    if (!connected) return;
    const stop = new AbortController();
    getMe(token, stop.signal).then(setMe, (trouble: unknown) => {
      // Refused or unreachable: the connection says so, and the next one asks again.
      const expected = trouble instanceof ProblemError || trouble instanceof DOMException;
      if (!expected) throw trouble;
    });
    return () => stop.abort();
  }, [store, user, connected]);
  return me;
}
