// When a client acknowledges, and that it acknowledges only what came over the present link.
//
// Acks are cumulative, so a late one costs nothing but window. They are spaced, because the server
// takes 50 frames a second and writes each ack down.

import { positionOf } from "./cursor";
import type { ClientFrame, Cursor, Window } from "./wire";

const INTERVAL_MS = 100;
/** With half of the window unacknowledged; 40 a second stay below the server's 50. */
const INTERVAL_PRESSING_MS = 25;

export class Acks {
  #window: Window = { frames: 100, bytes: 256 * 1024 };
  #came: Cursor[] = [];
  #wanted: Cursor | null = null;
  #ackedAt = 0;
  #events = 0;
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #send: (frame: ClientFrame) => void;

  constructor(send: (frame: ClientFrame) => void) {
    this.#send = send;
  }

  /** A new link, or none: what was on the way is forgotten, and comes again. */
  begin(window = this.#window): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#window = window;
    this.#came = [];
    this.#wanted = null;
    this.#ackedAt = this.#events = this.#bytes = 0;
  }

  /** Something came over this link, perhaps again; it has taken its part of the window. */
  came(cursor: Cursor, events: number, bytes: number): void {
    this.#came.push(cursor);
    this.#events += events;
    this.#bytes += bytes;
  }

  get outstanding(): boolean {
    return this.#came.length > 0;
  }

  /** The application has handled everything up to here. */
  handled(cursor: Cursor): void {
    const position = positionOf(cursor);
    const last = this.#came.findLastIndex((one) => positionOf(one) <= position);
    if (last < 0) return;
    // The highest: after a redelivery the newest frame is not the furthest one.
    this.#wanted = this.#came.slice(0, last + 1).reduce(further, this.#wanted ?? "");
    this.#came = this.#came.filter((one) => positionOf(one) > position);
    const pressing =
      this.#events * 2 >= this.#window.frames || this.#bytes * 2 >= this.#window.bytes;
    const waitMs = this.#ackedAt + (pressing ? INTERVAL_PRESSING_MS : INTERVAL_MS) - Date.now();
    clearTimeout(this.#timer);
    // A clock that was set back must not keep an ack for hours.
    if (waitMs <= 0 || waitMs > INTERVAL_MS) this.flush();
    else this.#timer = setTimeout(() => this.flush(), waitMs);
  }

  /** Sends what waits, now. */
  flush(): void {
    clearTimeout(this.#timer);
    if (this.#wanted === null) return;
    this.#send({ type: "ack", cursor: this.#wanted });
    this.#wanted = null;
    this.#ackedAt = Date.now();
    this.#events = this.#bytes = 0;
  }
}

function further(one: Cursor, other: Cursor): Cursor {
  return one === "" || positionOf(other) > positionOf(one) ? other : one;
}
