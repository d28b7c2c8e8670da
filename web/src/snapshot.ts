// The connection's state for those who show it: a new object with each change they are told of.

import type { ConnectionState } from "./model";

/** How long progress (`cursor`, `pending`, `rttMs`) may gather before listeners hear of it. */
const PROGRESS_MS = 100;

export class Snapshot {
  /** What listeners know, and what they will be told next. */
  told: ConnectionState;
  next: ConnectionState;
  readonly #listeners = new Set<() => void>();
  #telling: ReturnType<typeof setTimeout> | undefined;

  constructor(state: ConnectionState) {
    this.told = this.next = state;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Progress: listeners hear of it soon, however much of it there is. */
  note(changes: Partial<ConnectionState>): void {
    this.next = { ...this.next, ...changes };
    this.#telling ??= setTimeout(() => this.set({}), PROGRESS_MS);
  }

  set(changes: Partial<ConnectionState>): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    this.told = this.next = { ...this.next, ...changes };
    for (const listener of this.#listeners) listener();
  }
}
