import { useEffect, useState } from "react";
import type { InboxStore, Problem } from "../model";
import { ProblemError } from "../model";
import { timeAt } from "./audit";
import { PastInbox } from "./store/past";

export interface Past {
  /** The inbox as it was; null: as it is. While another moment is loaded, the one before. */
  readonly inbox: PastInbox | null;
  /** The time asked for; of a position, when its event was recorded. */
  readonly time: string | null;
  readonly loading: boolean;
  readonly problem: Problem | null;
}

const PRESENT: Past = { inbox: null, time: null, loading: false, problem: null };

/** The inbox as of `at`, a position or a time; null: now. */
export function usePast(store: InboxStore, at: string | null): Past {
  const [past, setPast] = useState(PRESENT);
  const token = store.getToken();
  useEffect(() => {
    if (at === null || token === null) {
      setPast(PRESENT);
      return;
    }
    let wanted = true;
    setPast((before) => ({ ...before, loading: true, problem: null }));
    load(token, at).then((loaded) => {
      if (wanted) setPast((before) => ({ ...before, loading: false, ...loaded }));
    });
    return () => {
      wanted = false;
    };
  }, [token, at]);
  return at === null ? PRESENT : past;
}

async function load(token: string, at: string): Promise<Partial<Past>> {
  try {
    const inbox = await PastInbox.load(token, at);
    const isTime = !/^\d+$/.test(at);
    return { inbox, time: isTime ? at : await timeAt(token, inbox.position) };
  } catch (trouble) {
    if (!(trouble instanceof ProblemError)) throw trouble;
    return { problem: trouble.problem };
  }
}
