// What one tab of the browser holds and shows. Every change waits for its turn, so that what is in
// memory and what is stored never cross.

import { initialState } from "../../connectionOptions";
import type { InboxState } from "../../model";
import { Contents } from "./contents";
import type { Database, Meta } from "./database";
import { Http } from "./http";

export class Tab {
  readonly contents = new Contents();
  readonly device = deviceName();
  started = false;
  database: Database | null = null;
  meta: Meta | null = null;
  http = new Http("");
  state: InboxState = {
    phase: "opening",
    user: null,
    connection: initialState({ device: this.device }),
    conversations: [],
    complete: false,
    unread: 0,
    syncing: false,
    lastSync: null,
    skipped: null,
    reset: null,
    problem: null,
    leader: false,
  };
  readonly #listeners = new Set<() => void>();
  #turns: Promise<unknown> = Promise.resolve();

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One after another, in the order asked for. */
  turn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.then(work);
    this.#turns = turn.catch(() => undefined);
    return turn;
  }

  /** Shows these changes, and whatever became of the contents. */
  set(changes: Partial<InboxState> = {}): void {
    const { order, unread } = this.contents;
    this.state = { ...this.state, ...changes, conversations: order, unread };
    for (const listener of this.#listeners) listener();
  }

  /** Reads what is stored into memory, the newest first; told after each page. */
  async readRows(after: () => void = () => {}): Promise<void> {
    for await (const rows of this.database?.rows() ?? []) {
      if (this.database === null) return; // stopped
      this.contents.putRows(rows);
      after();
    }
  }
}

/** One name for all tabs of this browser; without locks a tab is a device of its own. */
function deviceName(): string {
  const storage = "locks" in navigator ? localStorage : sessionStorage;
  const known = storage.getItem("malote.device");
  if (known !== null) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  const name = `browser-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  storage.setItem("malote.device", name);
  return name;
}
