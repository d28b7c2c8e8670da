// What this tab holds in memory: rows in their order, windows, and who wants to hear of them.

import type { Conversation, MessageWindow } from "../../model";
import type { Window } from "./folding";

const NOTHING: MessageWindow = { messages: [], complete: false, loading: true, problem: null };

export class Contents {
  readonly rows = new Map<string, Conversation>();
  readonly windows = new Map<string, Window>();
  /** Ids, newest message first. A new array whenever the order changes. */
  order: readonly string[] = [];
  unread = 0;
  readonly #roots = new Map<string, string>();
  readonly #shown = new Map<string, MessageWindow>();
  readonly #listeners = new Map<string, Set<() => void>>();

  /** The id under which a conversation stands now. */
  rootOf(id: string): string {
    return this.#roots.get(id) ?? id;
  }

  putRows(rows: Iterable<Conversation>, gone: Iterable<string> = []): void {
    const moved = new Set<string>();
    const touched: string[] = [];
    for (const id of gone) {
      this.unread -= this.rows.get(id)?.unread ?? 0;
      if (this.rows.delete(id)) moved.add(id);
      touched.push(id);
    }
    for (const row of rows) {
      const before = this.rows.get(row.id);
      this.unread += row.unread - (before?.unread ?? 0);
      this.rows.set(row.id, row);
      for (const alias of row.aliases) this.#roots.set(alias, row.id);
      if (before?.last_position !== row.last_position) moved.add(row.id);
      touched.push(row.id);
    }
    if (moved.size > 0) this.#reorder(moved);
    for (const id of touched) this.#tell(id);
  }

  putWindow(window: Window): void {
    this.windows.set(window.id, window);
    const { messages, complete } = window;
    this.#show(window.id, { messages, complete, loading: false, problem: null });
  }

  /** Marks a window as loading, or as failed; its messages stay. */
  mark(id: string, changes: Partial<Pick<MessageWindow, "loading" | "problem">>): void {
    this.#show(id, { ...this.shown(id), ...changes });
  }

  shown(id: string): MessageWindow {
    return this.#shown.get(this.rootOf(id)) ?? NOTHING;
  }

  clear(): void {
    const ids = [...this.#listeners.keys()];
    this.rows.clear();
    this.windows.clear();
    this.#roots.clear();
    this.#shown.clear();
    this.order = [];
    this.unread = 0;
    for (const id of ids) this.#tell(id);
  }

  subscribe(id: string, listener: () => void): () => void {
    const known = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, known.add(listener));
    return () => {
      known.delete(listener);
      if (known.size === 0) this.#listeners.delete(id);
    };
  }

  #show(id: string, shown: MessageWindow): void {
    this.#shown.set(id, shown);
    this.#tell(id);
  }

  #tell(id: string): void {
    for (const name of [id, ...(this.rows.get(id)?.aliases ?? [])]) {
      for (const listener of this.#listeners.get(name) ?? []) listener();
    }
  }

  /** Takes out what moved and merges it in again: one walk, whatever the length. */
  #reorder(moved: ReadonlySet<string>): void {
    const at = (id: string) => this.rows.get(id)?.last_position ?? 0;
    const fresh = [...moved].filter((id) => this.rows.has(id)).sort((a, b) => at(b) - at(a));
    const merged: string[] = [];
    let next = 0;
    for (const id of this.order) {
      if (moved.has(id)) continue;
      for (let one = fresh[next]; one !== undefined && at(one) > at(id); one = fresh[next]) {
        merged.push(one);
        next += 1;
      }
      merged.push(id);
    }
    this.order = [...merged, ...fresh.slice(next)];
  }
}
