// What came over the connection or by a sync, made into rows, windows and a cursor, stored together.

import { positionOf } from "../../cursor";
import type { Conversation, KnownEvent, SkippedFrame, SkippedNotice, WireEvent } from "../../model";
import type { Contents } from "./contents";
import type { Meta } from "./database";
import { foldRow, foldWindow, provisional, type Window } from "./folding";
import type { Loading } from "./loading";
import type { Frame } from "./neighbours";
import type { Tab } from "./tab";

const RECEIVED_MAX = 20_000;

export class Applying {
  readonly #tab: Tab;
  readonly #loading: Loading;

  constructor(tab: Tab, loading: Loading) {
    this.#tab = tab;
    this.#loading = loading;
  }

  async frame(frame: Frame): Promise<void> {
    if (frame.type === "events") {
      await this.events(frame.events, frame.cursor);
      return;
    }
    if (frame.type === "replayed") {
      // The server's list has each in its place; ours was stored without them.
      await this.#loading.anew(this.#tab.meta?.cursor);
      return;
    }
    await this.#loading.anew(frame.cursor);
    this.#tab.set(
      frame.type === "skipped"
        ? { skipped: joined(this.#tab.state.skipped, frame) }
        : { reset: { reason: frame.reason, at: Date.now() }, skipped: null },
    );
  }

  /** Folds what is new of these events; rows, windows and cursor are stored together. */
  async events(events: readonly WireEvent[], cursor: string): Promise<void> {
    const { contents, database, state } = this.#tab;
    const before = positionOf(this.#tab.meta?.cursor ?? null);
    const fresh = events.filter((event) => event.position > before);
    if (fresh.some((event) => event.type === "message.redacted")) {
      await this.#loading.anew(cursor); // what was erased goes from memory and from this browser's disk
      return;
    }
    const { rows, windows, gone, stale } = folded(contents, fresh);
    const meta = advanced(this.#tab.meta as Meta, fresh, cursor);
    if (state.leader) {
      await database?.write({
        meta,
        rows: rows.values(),
        goneRows: gone,
        windows: windows.values(),
        goneWindows: gone,
      });
    }
    this.#tab.meta = meta;
    contents.putRows(rows.values(), gone);
    for (const window of windows.values()) contents.putWindow(window);
    this.#tab.set();
    this.#loading.reload(stale);
  }
}

/** What changes with these events, and what has to be loaded again at which position. */
function folded(contents: Contents, events: readonly WireEvent[]) {
  const rows = new Map<string, Conversation>();
  const windows = new Map<string, Window>();
  const stale = new Map<string, number>();
  const gone = new Set<string>();
  for (const event of events) {
    if (event.conversation === null) continue;
    const id = contents.rootOf(event.conversation);
    const known = rows.get(id) ?? contents.rows.get(id);
    const row = foldRow(known, event);
    if (row !== null) rows.set(id, row);
    else stale.set(id, event.position);
    if (row === null && known === undefined && event.type === "message.received") {
      const first = provisional(event as KnownEvent & { type: "message.received" });
      if (first !== null) rows.set(id, first);
    }
    const open = windows.get(id) ?? contents.windows.get(id);
    const window = open === undefined ? undefined : foldWindow(open, event);
    if (window) windows.set(id, window);
    else if (window === null) stale.set(id, event.position);
    if (event.type === "contact.aliased") {
      const { alias } = (event.data ?? {}) as { alias?: string };
      if (alias !== undefined) gone.add(alias);
    }
  }
  for (const id of gone) rows.delete(id);
  return { rows, windows, stale, gone };
}

function advanced(meta: Meta, events: readonly WireEvent[], cursor: string): Meta {
  const received = [...meta.received, ...events.map((event) => event.cursor)];
  const ahead = positionOf(cursor) > positionOf(meta.cursor) ? cursor : meta.cursor;
  return received.length <= RECEIVED_MAX
    ? { ...meta, cursor: ahead, received }
    : { ...meta, cursor: ahead, received: [], verified: ahead };
}

/** What was skipped before and has not been loaded yet is told together with what is new. */
function joined(before: SkippedNotice | null, frame: SkippedFrame): SkippedNotice {
  const { after, cursor, count, reason } = frame;
  if (before === null || positionOf(after) < positionOf(before.cursor))
    return { after, cursor, count, reason };
  return { after: before.after, cursor, count: before.count + count, reason };
}
