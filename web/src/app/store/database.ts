// What this browser keeps: rows, windows and the cursor they stand at, changed in one transaction.

import type { Conversation, Cursor } from "../../model";
import type { Window } from "./folding";

const NAME = "malote";
const VERSION = 1;
const STORES = ["meta", "rows", "windows"] as const;

/**
 * `received`: cursors of events since `verified`, in order; what a sync holds against the server's.
 * `listedTo`: every conversation whose last message is there or later is here; null: not begun. It is
 * not the oldest row: a conversation may be opened long before the list has come down to it.
 */
export interface Meta {
  readonly token: string;
  readonly user: string | null;
  readonly cursor: Cursor | null;
  readonly complete: boolean;
  readonly listedTo: number | null;
  readonly verified: Cursor | null;
  readonly received: readonly Cursor[];
}

export interface Change {
  /** Only whoever holds the connection writes it. */
  readonly meta?: Meta | undefined;
  readonly rows?: Iterable<Conversation>;
  readonly goneRows?: Iterable<string>;
  readonly windows?: Iterable<Window>;
  readonly goneWindows?: Iterable<string>;
  /** First forget everything. */
  readonly anew?: boolean;
}

const FIRST_ROWS = 100;
const PAGE_ROWS = 5_000;

/** `order` is the negative of the last position: an index ascends, and the newest come first. */
interface StoredRow {
  readonly id: string;
  readonly order: number;
  readonly row: Conversation;
}

/** A row without a message yet has position 0, and its own place all the same. */
const orderOf = (row: Conversation): number => -(row.last_position || row.touched / 2);

export class Database {
  readonly #db: IDBDatabase;

  private constructor(db: IDBDatabase) {
    this.#db = db;
  }

  static async open(): Promise<Database> {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("meta");
      const rows = request.result.createObjectStore("rows", { keyPath: "id" });
      rows.createIndex("newest", "order");
      request.result.createObjectStore("windows", { keyPath: "id" });
    };
    return new Database(await settled(request));
  }

  async meta(): Promise<Meta | undefined> {
    return settled(this.#db.transaction("meta").objectStore("meta").get("meta"));
  }

  /** All rows, newest message first, a page at a time: the first is there long before the last. */
  async *rows(): AsyncGenerator<Conversation[]> {
    let after = Number.NEGATIVE_INFINITY;
    for (let limit = FIRST_ROWS; ; limit = PAGE_ROWS) {
      const index = this.#db.transaction("rows").objectStore("rows").index("newest");
      const beyond = IDBKeyRange.lowerBound(after, true);
      const page: StoredRow[] = await settled(index.getAll(beyond, limit));
      if (page.length > 0) yield page.map(({ row }) => row);
      if (page.length < limit) return;
      after = page.at(-1)?.order ?? after;
    }
  }

  async window(id: string): Promise<Window | undefined> {
    return settled(this.#db.transaction("windows").objectStore("windows").get(id));
  }

  /** All of it or nothing. Resolves once it is stored. */
  async write(change: Change): Promise<void> {
    const transaction = this.#db.transaction(STORES, "readwrite");
    const done = finished(transaction);
    const [meta, rows, windows] = STORES.map((name) => transaction.objectStore(name)) as [
      IDBObjectStore,
      IDBObjectStore,
      IDBObjectStore,
    ];
    if (change.anew) {
      rows.clear();
      windows.clear();
    }
    for (const row of change.rows ?? []) rows.put({ id: row.id, order: orderOf(row), row });
    for (const id of change.goneRows ?? []) rows.delete(id);
    for (const window of change.windows ?? []) windows.put(window);
    for (const id of change.goneWindows ?? []) windows.delete(id);
    if (change.meta !== undefined) meta.put(change.meta, "meta");
    await done;
  }

  async clear(): Promise<void> {
    const transaction = this.#db.transaction(STORES, "readwrite");
    const done = finished(transaction);
    for (const name of STORES) transaction.objectStore(name).clear();
    await done;
  }

  close(): void {
    this.#db.close();
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}
