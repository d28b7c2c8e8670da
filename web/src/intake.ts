// What came, on its way to the application: one batch at a time, in order. While one is being
// handled, the next gathers.
//
// A link that ends takes the queue with it. What then comes again is dropped by position when it is
// taken from the queue, not when it arrives: so an event is handed over once, also when a batch was
// still being handled while the next link opened.

import { positionOf } from "./cursor";
import type {
  ClientFrame,
  Cursor,
  EventsFrame,
  LiveFrame,
  ReplayedFrame,
  ResetFrame,
  SkippedFrame,
  WireEvent,
} from "./wire";

const BATCH_MAX = 1_000;
/** More than a server has under way for one device. */
const REMEMBERED_MAX = 4_000;

/** Events in order, each handed over once; empty where only the cursor moved. */
export interface Batch {
  readonly events: readonly WireEvent[];
  /** Store it with the effect of `events`, and give it back as `cursor` after a restart. */
  readonly cursor: Cursor;
}

export interface Handlers {
  /** Handles a batch. What it resolved is acknowledged; what it rejected comes again. */
  readonly onEvents: (batch: Batch) => unknown;
  /** These events will not come here; they are still in `/v1/sync`. Default: passed over. */
  readonly onSkipped?: ((frame: SkippedFrame) => unknown) | undefined;
  /** The server's history is another one: load everything anew. Default: passed over. */
  readonly onReset?: ((frame: ResetFrame) => unknown) | undefined;
  /**
   * Events that were put aside before, again, each once of a `request`: they lie below the cursor and
   * do not move it. What is rejected is put aside again. What was said of them is said again where a
   * link took it along. Default: left under way, not acknowledged.
   */
  readonly onReplayed?: ((frame: ReplayedFrame) => unknown) | undefined;
}

interface Side {
  /** The application has handled everything up to `intake.cursor`. */
  handled(frame: { cursor: Cursor }, events: readonly WireEvent[]): void;
  /** Everything before it has been handled. */
  live(frame: LiveFrame): void;
  send(frame: ClientFrame): void;
  /** `current`: what could not be handled came over the present link. */
  failed(error: unknown, current: boolean): void;
}

type Item = EventsFrame | SkippedFrame | ResetFrame | ReplayedFrame | LiveFrame;

export class Intake {
  /** The last event that the application has handled. */
  cursor: Cursor | null;
  readonly #handlers: Handlers;
  readonly #side: Side;
  /** What became of which request's events, while this page lives: handled (null), or why not. */
  readonly #again = new Map<string, string | null>();
  #queue: Item[] = [];
  #link = 0;
  #busy = false;

  constructor(cursor: Cursor | null, handlers: Handlers, side: Side) {
    this.cursor = cursor;
    this.#handlers = handlers;
    this.#side = side;
  }

  /** The link ended, or its history did. */
  clear(): void {
    this.#link += 1;
    this.#queue = [];
  }

  put(item: Item): void {
    this.#queue.push(item);
    if (!this.#busy) void this.#work();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (let item = this.#queue.shift(); item !== undefined; item = this.#queue.shift()) {
      const link = this.#link;
      try {
        // Awaited only where there is something to wait for: else a frame would cost a turn.
        const handling = this.#handle(item);
        if (handling instanceof Promise) await handling;
      } catch (error) {
        this.#side.failed(error, link === this.#link);
      }
    }
    this.#busy = false;
  }

  #handle(item: Item): unknown {
    const { onEvents, onSkipped, onReset } = this.#handlers;
    if (item.type === "live") return this.#side.live(item);
    if (item.type === "reset") return this.#finish(onReset?.(item), item, [], true);
    if (item.type === "replayed") return this.#replay(item);
    if (item.type === "skipped") {
      return this.#finish(this.#isNew(item.cursor) && onSkipped?.(item), item, []);
    }
    const { events, cursor } = this.#gather(item);
    return this.#finish(this.#isNew(cursor) && onEvents({ events, cursor }), { cursor }, events);
  }

  #finish(
    answer: unknown,
    frame: { cursor: Cursor },
    events: readonly WireEvent[],
    back = false,
  ): unknown {
    if (answer instanceof Promise) {
      return answer.then(() => this.#finish(undefined, frame, events, back));
    }
    // A reset may lead back; nothing else does.
    if (back || this.#isNew(frame.cursor)) this.cursor = frame.cursor;
    return this.#side.handled(frame, events);
  }

  async #replay({ type, request, events }: ReplayedFrame): Promise<void> {
    const { onReplayed } = this.#handlers;
    if (onReplayed === undefined) return;
    const link = this.#link;
    const known = this.#again;
    const fresh = events.filter(({ position }) => !known.has(`${request}.${position}`));
    let refused: string | null = null;
    try {
      if (fresh.length > 0) await onReplayed({ type, request, events: fresh });
    } catch (error) {
      // Not the link's end, as with others: it would come again with the next, for ever.
      refused = `${error}`.slice(0, 200);
    }
    for (const { position } of fresh) known.set(`${request}.${position}`, refused);
    // Only on the link that brought them: on the next they come again, and are answered then.
    if (link === this.#link) this.#answer(request, events);
    for (const oldest of known.keys()) if (known.size > REMEMBERED_MAX) known.delete(oldest);
  }

  #answer(request: number, events: readonly WireEvent[]): void {
    const handled: number[] = [];
    for (const { position } of events) {
      const reason = this.#again.get(`${request}.${position}`) ?? null;
      if (reason === null) handled.push(position);
      else this.#side.send({ type: "nack", position, reason });
    }
    if (handled.length > 0) {
      this.#side.send({ type: "replay_ack", request, positions: handled });
    }
  }

  #isNew(cursor: Cursor): boolean {
    return this.cursor === null || positionOf(cursor) > positionOf(this.cursor);
  }

  /** This frame and those that gathered behind it, without what the application had already. */
  #gather(first: EventsFrame): { events: WireEvent[]; cursor: Cursor } {
    const have = positionOf(this.cursor);
    const events: WireEvent[] = [];
    let { cursor } = first;
    for (let frame: Item | undefined = first; frame?.type === "events"; ) {
      const last: number = events.at(-1)?.position ?? have;
      events.push(...frame.events.filter(({ position }) => position > last));
      if (positionOf(frame.cursor) > positionOf(cursor)) cursor = frame.cursor;
      const next: Item | undefined = this.#queue[0];
      if (next?.type !== "events" || events.length + next.events.length > BATCH_MAX) break;
      frame = this.#queue.shift();
    }
    return { events, cursor };
  }
}
