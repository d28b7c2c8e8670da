import { useEffect, useState } from "react";
import type { InboxStore, Problem, Time } from "../model";
import { ProblemError } from "../model";
import { timeAt } from "./audit";
import { type DeviceScreen, ScreenPages } from "./screen";
import { Http } from "./store/http";
import { PastInbox } from "./store/past";

export interface Past {
  /** The inbox as it was; null: as it is. While another moment is loaded, the one before. */
  readonly inbox: PastInbox | null;
  /** The time asked for; of a position, when its event was recorded. */
  readonly time: string | null;
  /** Whose screen it is, `user/device`; null: everything that was recorded by then. */
  readonly whose: string | null;
  /** What is to be said of that screen; null where that device was not here yet. */
  readonly screen: DeviceScreen | null;
  readonly loading: boolean;
  readonly problem: Problem | null;
}

const NOBODYS = { whose: null, screen: null };
const PRESENT: Past = { inbox: null, time: null, ...NOBODYS, loading: false, problem: null };

/** The inbox as of `at`, a position or a time, null being now; on the screen of `whose`. */
export function usePast(store: InboxStore, at: string | null, whose: string | null): Past {
  const [past, setPast] = useState(PRESENT);
  const token = store.getToken();
  const present = at === null && whose === null;
  useEffect(() => {
    if (present || token === null) {
      setPast(PRESENT);
      return;
    }
    let wanted = true;
    setPast((before) => ({ ...before, loading: true, problem: null }));
    load(token, at, whose).then((loaded) => {
      if (wanted) setPast((before) => ({ ...before, loading: false, ...loaded }));
    });
    return () => {
      wanted = false;
    };
  }, [token, at, whose, present]);
  return present ? PRESENT : past;
}

async function load(
  token: string,
  at: string | null,
  whose: string | null,
): Promise<Partial<Past>> {
  try {
    return whose === null ? await all(token, at) : await onScreen(token, whose, at);
  } catch (trouble) {
    if (!(trouble instanceof ProblemError)) throw trouble;
    return { problem: trouble.problem };
  }
}

async function all(token: string, at: string | null): Promise<Partial<Past>> {
  const inbox = await PastInbox.load(new Http(token, at));
  const isTime = at !== null && !/^\d+$/.test(at);
  const time: Time | null = isTime ? at : await timeAt(token, inbox.position);
  return { inbox, time, ...NOBODYS };
}

async function onScreen(token: string, whose: string, at: string | null): Promise<Partial<Past>> {
  const pages = new ScreenPages(token, whose, at);
  const inbox = await PastInbox.load(pages);
  return { inbox, time: pages.time, whose, screen: pages.device };
}
