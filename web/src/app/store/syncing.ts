// The sync button: everything since the last check, held against the server's digest and against
// what came over the connection. One run at a time, in the tab that leads.

import { positionOf } from "../../cursor";
import type {
  Cursor,
  Problem,
  SkippedNotice,
  SyncAnswer,
  SyncOutcome,
  WireEvent,
} from "../../model";
import { BROUGHT_MAX, ProblemError, STORAGE } from "../../model";
import type { Applying } from "./applying";
import type { Meta } from "./database";
import { digestIs } from "./http";
import type { Loading } from "./loading";
import type { Neighbours } from "./neighbours";
import type { Tab } from "./tab";

const SYNC_TIMEOUT_MS = 30_000;
const SIGNED_OUT: Problem = { type: "about:blank", title: "Signed out meanwhile", status: 0 };

export class Syncing {
  readonly #tab: Tab;
  readonly #neighbours: Neighbours;
  readonly #applying: Applying;
  readonly #loading: Loading;
  #running: Promise<SyncOutcome> | null = null;
  #broughtIn: string | null = null;
  #tell: ((outcome: SyncOutcome) => void) | null = null;

  constructor(tab: Tab, neighbours: Neighbours, applying: Applying, loading: Loading) {
    this.#tab = tab;
    this.#neighbours = neighbours;
    this.#applying = applying;
    this.#loading = loading;
  }

  /** Never rejects; a second call joins the first. */
  run(): Promise<SyncOutcome> {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /**
   * Whether something was skipped that is near enough to come by itself. Once a session: of what
   * failed, a person is told, and the next session, in which `skipped` may come again, tries anew.
   */
  isDue(session: string | null): boolean {
    const { skipped } = this.#tab.state;
    if (skipped === null || skipped.count > BROUGHT_MAX || session === this.#broughtIn)
      return false;
    this.#broughtIn = session;
    return true;
  }

  /** The tab that leads has done it. */
  hear(outcome: SyncOutcome): void {
    this.#tell?.(outcome);
  }

  async #run(): Promise<SyncOutcome> {
    const tab = this.#tab;
    tab.set({ syncing: true });
    const leads = tab.state.leader;
    const outcome = await (leads ? this.#sync() : this.#ask()).catch(failed);
    tab.set({ syncing: false, lastSync: outcome });
    if (leads) this.#neighbours.say({ type: "synced", outcome });
    return outcome;
  }

  #ask(): Promise<SyncOutcome> {
    this.#neighbours.say({ type: "sync" });
    return new Promise((resolve, reject) => {
      const title = "The tab that holds the connection did not answer";
      const late = () => reject(new ProblemError({ type: "about:blank", title, status: 0 }));
      const timer = setTimeout(late, SYNC_TIMEOUT_MS);
      this.#tell = (outcome) => {
        clearTimeout(timer);
        resolve(outcome);
      };
    });
  }

  /**
   * From what was skipped, where something was; else from the last check. Only what is done with a
   * page is a turn: between pages, and while one is on its way, the list lives on.
   */
  async #sync(): Promise<SyncOutcome> {
    const tab = this.#tab;
    const { http } = tab;
    let [after, checked, verified, brought] = [this.#start(), 0, true, [] as WireEvent[]];
    for (let more = true; more; ) {
      const known = this.#base();
      const answer = await http.sync(after);
      if (tab.http !== http) throw new ProblemError(SIGNED_OUT);
      const page = await tab.turn(async () => (this.#base() === known ? this.#take(answer) : null));
      if (page === null) {
        // The lists were loaded anew meanwhile, perhaps of another history: begun again.
        [after, checked, verified, brought] = [this.#start(), 0, true, []];
        continue;
      }
      verified &&= page.same;
      checked += answer.receipt.count;
      brought.push(...page.news);
      after = answer.cursor;
      more = answer.has_more;
    }
    await tab.turn(() => this.#finish(after, verified));
    const conversations = new Set(brought.map(({ conversation }) => conversation)).size;
    const outcome = brought.length > 0 ? "received" : "up_to_date";
    const completeTo = new Date().toISOString();
    return { outcome, messages: brought.length, conversations, completeTo, verified, checked };
  }

  #start(): Cursor {
    return this.#tab.state.skipped?.after ?? this.#base();
  }

  /** Up to here the lists are as the server answered them, and hold what no connection brought. */
  #base(): Cursor {
    const { meta } = this.#tab;
    return meta?.verified ?? meta?.cursor ?? "";
  }

  /** Holds a page against what is here, and puts in what is not. */
  async #take(answer: SyncAnswer): Promise<{ same: boolean; news: WireEvent[] }> {
    const { meta, state } = this.#tab;
    const [base, have] = [positionOf(this.#base()), positionOf(meta?.cursor ?? null)];
    const fresh = answer.events.filter(({ position }) => position <= base || position > have);
    const came = this.#held(answer.after, answer.cursor);
    const ours = [...came, ...fresh.map(({ cursor }) => cursor)].sort(byPosition);
    const same = await isSame(ours, answer);
    await this.#put(fresh, answer.cursor);
    return { same, news: fresh.filter((event) => isNews(event, state.skipped, base)) };
  }

  async #finish(upTo: Cursor, verified: boolean): Promise<void> {
    const { state } = this.#tab;
    await this.#noteVerified(upTo);
    if (!verified) await this.#loading.anew(this.#tab.meta?.cursor ?? upTo);
    if (positionOf(state.skipped?.cursor ?? null) <= positionOf(upTo)) {
      this.#tab.set({ skipped: null });
    }
  }

  /** The cursors of what came over the connection between these two. */
  #held(after: Cursor, upTo: Cursor): Cursor[] {
    const [from, to] = [positionOf(after), positionOf(upTo)];
    const received = this.#tab.meta?.received ?? [];
    return received.filter((one) => positionOf(one) > from && positionOf(one) <= to);
  }

  async #put(events: readonly WireEvent[], cursor: Cursor): Promise<void> {
    await this.#applying.events(events, cursor);
    if (events.length === 0) return;
    this.#neighbours.say({ type: "frame", frame: { type: "events", cursor, events } });
  }

  async #noteVerified(cursor: Cursor): Promise<void> {
    const meta = this.#tab.meta as Meta;
    if (positionOf(cursor) < positionOf(this.#base())) return;
    const received = meta.received.filter((one) => positionOf(one) > positionOf(cursor));
    this.#tab.meta = { ...meta, verified: cursor, received };
    await this.#tab.database?.write({ meta: this.#tab.meta });
  }
}

/** A message that was skipped or had not come; what came with the lists, loaded anew, is known. */
function isNews(event: WireEvent, skipped: SkippedNotice | null, base: number): boolean {
  const wasSkipped = event.position <= positionOf(skipped?.cursor ?? null);
  return event.type === "message.received" && (wasSkipped || event.position > base);
}

const byPosition = (a: Cursor, b: Cursor) => positionOf(a) - positionOf(b);

async function isSame(ours: readonly Cursor[], answer: SyncAnswer): Promise<boolean> {
  const theirs = answer.events.map((event) => event.cursor);
  const same = ours.length === theirs.length && ours.every((one, index) => one === theirs[index]);
  // Without a secure context there is no digest; the cursors themselves were compared.
  return same && (!window.isSecureContext || (await digestIs(ours, answer.receipt.digest)));
}

function failed(trouble: unknown): SyncOutcome {
  const problem = trouble instanceof ProblemError ? trouble.problem : storageProblem(trouble);
  return { outcome: "failed", problem };
}

export const storageProblem = (trouble: unknown): Problem => ({
  type: STORAGE,
  title: String(trouble),
  status: 0,
});
