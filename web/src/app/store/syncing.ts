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
import { ProblemError, STORAGE } from "../../model";
import type { Applying } from "./applying";
import type { Meta } from "./database";
import { digestIs } from "./http";
import type { Loading } from "./loading";
import type { Neighbours } from "./neighbours";
import type { Tab } from "./tab";

const SYNC_TIMEOUT_MS = 30_000;

export class Syncing {
  readonly #tab: Tab;
  readonly #neighbours: Neighbours;
  readonly #applying: Applying;
  readonly #loading: Loading;
  #running: Promise<SyncOutcome> | null = null;
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

  /** The tab that leads has done it. */
  hear(outcome: SyncOutcome): void {
    this.#tell?.(outcome);
  }

  async #run(): Promise<SyncOutcome> {
    const tab = this.#tab;
    tab.set({ syncing: true });
    const leads = tab.state.leader;
    const outcome = await (leads ? tab.turn(() => this.#sync()) : this.#ask()).catch(failed);
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

  /** From what was skipped, where something was; else from the last check. */
  async #sync(): Promise<SyncOutcome> {
    const tab = this.#tab;
    const base = tab.meta?.verified ?? tab.meta?.cursor ?? "";
    const { skipped } = tab.state;
    const brought: WireEvent[] = [];
    let [after, checked, verified] = [skipped?.after ?? base, 0, true];
    for (let more = true; more; ) {
      const answer = await tab.http.sync(after);
      const came = this.#held(after, answer.cursor);
      const isNew = (position: number) =>
        position <= positionOf(base) || position > positionOf(tab.meta?.cursor ?? null);
      const fresh = answer.events.filter(({ position }) => isNew(position));
      const ours = [...came, ...fresh.map(({ cursor }) => cursor)];
      verified &&= await isSame(ours.sort(byPosition), answer);
      checked += answer.receipt.count;
      brought.push(...fresh.filter((event) => isNews(event, skipped, base)));
      await this.#put(fresh, answer.cursor);
      after = answer.cursor;
      more = answer.has_more;
    }
    await this.#noteVerified(after);
    if (!verified) await this.#loading.anew(tab.meta?.cursor ?? after);
    tab.set({ skipped: null });
    const conversations = new Set(brought.map(({ conversation }) => conversation)).size;
    const outcome = brought.length > 0 ? "received" : "up_to_date";
    const completeTo = new Date().toISOString();
    return { outcome, messages: brought.length, conversations, completeTo, verified, checked };
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
    const received = meta.received.filter((one) => positionOf(one) > positionOf(cursor));
    this.#tab.meta = { ...meta, verified: cursor, received };
    await this.#tab.database?.write({ meta: this.#tab.meta });
  }
}

/** A message that was skipped or had not come; what came with the lists, loaded anew, is known. */
function isNews(event: WireEvent, skipped: SkippedNotice | null, base: Cursor): boolean {
  const wasSkipped = event.position <= positionOf(skipped?.cursor ?? null);
  return event.type === "message.received" && (wasSkipped || event.position > positionOf(base));
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
