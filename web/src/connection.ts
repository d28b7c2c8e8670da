// One device's subscription, across any number of links. No React, no storage.
//
//   link   none --open--> socket --welcome--> session --close, silence, gap, offline--> none
//   status connecting -> catching_up -> live -> reconnecting -> catching_up ... -> stopped
//
// * `cursor` is what the application has handled. Only that is acknowledged, and only that is said in
//   the next `hello`; so nothing is lost with a link.
// * A frame that does not follow what came before it, an event that a ping has shown and that does
//   not come, and silence end the link; the next `hello` repairs it.

import { Acks } from "./acks";
import { backoffMs } from "./backoff";
import * as CLOSE from "./close";
import {
  type CloseInfo,
  type ConnectionOptions,
  initialState,
  socketUrl,
} from "./connectionOptions";
import { Credential } from "./credential";
import { epochOf, positionOf } from "./cursor";
import { Intake } from "./intake";
import type { ConnectionState, StopReason } from "./model";
import { listen } from "./senses";
import { Snapshot } from "./snapshot";
import { stopReason } from "./stopping";
import {
  type ClientFrame,
  type Cursor,
  type LiveFrame,
  type PingFrame,
  type ResetFrame,
  type ServerFrame,
  SUBPROTOCOL,
  type WelcomeFrame,
  type WireEvent,
} from "./wire";

export type { CloseInfo, ConnectionOptions } from "./connectionOptions";
export type { Batch } from "./intake";
export type { ConnectionState, ConnectionStatus, StopReason } from "./model";
export type * from "./wire";

const WATCH_MS = 1_000;
/** A socket that did not open, or did not say `welcome`, in this time is given up. */
const OPENING_MS = 15_000;
/** A link that held this long was a good one, whatever ended it. */
const STEADY_MS = 30_000;
const RTT_HISTORY_MS = 5 * 60_000;
/** What the server may say before `welcome`. */
const EARLY: ReadonlySet<string> = new Set(["welcome", "bye", "error"]);

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #shown: Snapshot;
  readonly #credential: Credential;
  readonly #intake: Intake;
  readonly #acks = new Acks((frame) => this.#send(frame));

  #running = false;
  #deafen = () => {};
  #socket: WebSocket | null = null;
  /** Changes with each link; what belongs to an older one is ignored. */
  #link = 0;
  #welcome: WelcomeFrame | null = null;
  #received: Cursor | null = null;
  #missing: { cursor: Cursor; until: number } | null = null;
  #openedAt = 0;
  #heardAt = 0;
  #attempts = 0;
  #sentAway = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#shown = new Snapshot(initialState(options));
    this.#credential = new Credential(options.token);
    this.#intake = new Intake(this.#shown.next.cursor, options, {
      handled: ({ cursor }, events) => this.#handled(cursor, events),
      live: (frame) => this.#live(frame),
      send: (frame) => this.send(frame),
      failed: (error, current) => this.#failed(error, current),
    });
  }

  // --- what the application asks ---------------------------------------------------------------

  /** Immutable; a new object with each change that listeners are told of. */
  getSnapshot = (): ConnectionState => this.#shown.told;

  subscribe = (listener: () => void): (() => void) => this.#shown.subscribe(listener);

  get readyState(): number {
    return this.#socket?.readyState ?? 3;
  }

  /** Connects, and keeps connected until `stop`. Safe to call twice. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#attempts = 0;
    this.#deafen = listen(this.#woken, this.#offline, this.#leaving);
    this.#watch = setInterval(this.#look, WATCH_MS);
    this.#shown.set({ status: "connecting", stopReason: null, downSince: Date.now() });
    if (navigator.onLine === false) this.#offline();
    else this.#open();
  }

  /** Acknowledges what was handled, and disconnects. */
  stop(reason: StopReason = "idle"): void {
    if (!this.#running) return;
    this.#running = false;
    this.#deafen();
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#acks.flush();
    this.#detach();
    const downSince = this.#shown.next.downSince ?? Date.now();
    this.#shown.set({ status: "stopped", stopReason: reason, retryAt: null, downSince });
  }

  /** Connects at once where a link is missing; begins anew where it had stopped. */
  tryNow = (): void => {
    if (!this.#running) this.start();
    else if (this.#socket === null) this.#open();
  };

  /** Renews a plain token, on this link and later ones. */
  refresh(token: string): void {
    this.#credential.replace(token);
    this.#send({ type: "refresh", token });
  }

  /** Sends a frame if a session is open; says whether it was. */
  send(frame: ClientFrame): boolean {
    return this.#welcome !== null && this.#send(frame);
  }

  // --- the link --------------------------------------------------------------------------------

  async #open(): Promise<void> {
    clearTimeout(this.#retry);
    this.#detach();
    const link = this.#link;
    this.#attempts += 1;
    this.#openedAt = this.#heardAt = Date.now();
    const status = this.#shown.next.status === "connecting" ? "connecting" : "reconnecting";
    this.#shown.set({ status, attempt: this.#attempts, retryAt: null });
    try {
      const asked = this.#credential.ask();
      // A plain token's socket opens at once, within `start`.
      const token = typeof asked === "string" ? asked : await asked;
      if (link === this.#link && this.#running) this.#attach(token);
    } catch (error) {
      this.#options.onError?.(error);
      if (link === this.#link) this.#lost(CLOSE.ABNORMAL, "no token, or no such address");
    }
  }

  #attach(token: string): void {
    const socket = new WebSocket(socketUrl(this.#options.url), SUBPROTOCOL);
    const { device } = this.#options;
    this.#socket = socket;
    socket.onopen = () => {
      const { cursor } = this.#intake;
      this.#received = cursor;
      this.#send({ type: "hello", token, device, cursor });
    };
    socket.onmessage = ({ data }) => this.#hear(data as string);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  #send(frame: ClientFrame): boolean {
    if (this.readyState !== 1) return false;
    this.#socket?.send(JSON.stringify(frame));
    return true;
  }

  /** Lets the socket go whatever it does: on a dead link its `close` may take minutes. */
  #detach(): void {
    const socket = this.#socket;
    this.#link += 1;
    this.#socket = this.#welcome = this.#missing = null;
    this.#credential.lasts(null);
    this.#intake.clear();
    this.#acks.begin();
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #lost(code: number, reason: string, retryAfterMs = 0): void {
    const welcomed = this.#welcome !== null;
    if (welcomed && Date.now() - this.#openedAt >= STEADY_MS) {
      this.#attempts = 0;
      this.#sentAway = false;
    }
    this.#detach();
    const lastClose = { code, reason };
    const downSince = this.#shown.next.downSince ?? Date.now();
    this.#shown.note({ lastClose, downSince, session: null, missed: 0 });
    this.#options.onClose?.(lastClose);
    if (this.#running) this.#comeBack(lastClose, welcomed, retryAfterMs); // or stopped by `onClose`
  }

  #comeBack(close: CloseInfo, welcomed: boolean, retryAfterMs: number): void {
    // After a welcome the token was good and has expired: a fresh one is tried, once.
    const mayRenew = welcomed && this.#credential.renews;
    const stop = stopReason(close, mayRenew, this.#attempts, this.#options);
    if (stop !== null) {
      this.stop(stop);
      return;
    }
    // The server has other inboxes for us, now; said twice in a row, it is borne with patience.
    const atOnce = close.code === CLOSE.ACCESS_CHANGED && !this.#sentAway;
    // Two tabs or programs that are one device replace each other after each `live`: who was sent
    // away stays patient until a link holds, or the two would race for ever.
    this.#sentAway = close.code >= 4000 && close.code < 4500;
    if (navigator.onLine === false) {
      this.#offline();
      return;
    }
    // Added, not the larger of the two: who were told the same time come back spread.
    const waitMs = retryAfterMs + (atOnce ? 0 : backoffMs(this.#attempts, Math.random()));
    this.#retry = setTimeout(this.tryNow, waitMs);
    const attempt = this.#attempts + 1;
    this.#shown.set({ status: "reconnecting", attempt, retryAt: Date.now() + waitMs });
  }

  async #renew(): Promise<void> {
    try {
      this.#send({ type: "refresh", token: await this.#credential.ask() });
    } catch (error) {
      this.#options.onError?.(error);
    }
  }

  // --- what the browser and the clock say ------------------------------------------------------

  readonly #offline = (): void => {
    clearTimeout(this.#retry);
    this.#detach();
    const downSince = this.#shown.next.downSince ?? Date.now();
    this.#shown.set({ status: "offline", retryAt: null, session: null, downSince });
  };

  /** The tab or the network is back: wait no longer, and ask more of a link that is quiet. */
  readonly #woken = (): void => {
    if (document.visibilityState === "hidden" && this.#shown.next.status !== "offline") return;
    if (this.#socket === null) this.tryNow();
    else this.#checkSilence(1);
  };

  /** Into the back-forward cache a page takes no socket; from there it comes by `pageshow`. */
  readonly #leaving = (): void => {
    this.#acks.flush();
    this.#detach();
    this.#shown.set({
      status: "reconnecting",
      downSince: this.#shown.next.downSince ?? Date.now(),
    });
  };

  readonly #look = (): void => {
    if (this.#credential.isDue()) void this.#renew();
    if (this.#socket === null) {
      // A timer does not run while the machine sleeps, and a clock may be set back.
      const { retryAt } = this.#shown.next;
      if (retryAt !== null && Date.now() > retryAt + WATCH_MS) this.tryNow();
      return;
    }
    if (Date.now() < this.#heardAt) this.#heardAt = this.#openedAt = Date.now();
    this.#checkSilence(2);
    if (this.#missing !== null && Date.now() >= this.#missing.until) {
      const { cursor } = this.#missing;
      this.#missing = null;
      if (this.#lacks(cursor)) this.#lost(CLOSE.ABNORMAL, "an event did not come");
    }
  };

  /** `timeouts`: how many heartbeats may be late by their time before the link counts as dead. */
  #checkSilence(timeouts: number): void {
    const silentMs = Date.now() - this.#heardAt;
    if (this.#welcome === null) {
      if (silentMs > OPENING_MS) this.#lost(CLOSE.ABNORMAL, "no answer");
      return;
    }
    const { interval_ms, timeout_ms } = this.#welcome.heartbeat;
    const expectedMs = interval_ms * 1.1; // the server's jitter
    if (silentMs > expectedMs + timeouts * timeout_ms) {
      this.#lost(CLOSE.ABNORMAL, "no sign of life");
    } else if (silentMs > expectedMs + timeout_ms / 2 && this.#shown.next.missed === 0) {
      this.#shown.set({ missed: 1, quality: "poor" });
    }
  }

  #lacks(cursor: Cursor): boolean {
    // With something unacknowledged the window may be full, and the server owes us nothing yet.
    const idle = this.#shown.next.status === "live" && !this.#acks.outstanding;
    return idle && positionOf(cursor) > positionOf(this.#received);
  }

  // --- what the server says --------------------------------------------------------------------

  #hear(text: string): void {
    this.#heardAt = Date.now();
    if (this.#shown.next.missed > 0) this.#shown.set({ missed: 0 });
    try {
      this.#take(JSON.parse(text) as ServerFrame, text.length);
    } catch (error) {
      this.#lost(CLOSE.ABNORMAL, error instanceof Error ? error.message : "a malformed frame");
    }
  }

  #take(frame: ServerFrame, bytes: number): void {
    if (this.#welcome === null && !EARLY.has(frame.type)) {
      throw new Error("a frame before the welcome");
    }
    switch (frame.type) {
      case "welcome":
        this.#greeted(frame);
        break;
      case "ping":
        this.#send({ type: "pong", id: frame.id });
        this.#pinged(frame);
        break;
      case "events":
      case "skipped":
        this.#demandFollows(frame.after);
        this.#acks.came(frame.cursor, frame.type === "events" ? frame.events.length : 0, bytes);
        if (positionOf(frame.cursor) > positionOf(this.#received)) this.#received = frame.cursor;
        this.#intake.put(frame);
        break;
      case "live":
        this.#demandFollows(frame.cursor);
        this.#intake.put(frame);
        break;
      case "replayed":
        this.#intake.put(frame);
        break;
      case "reset":
        this.#resetTo(frame);
        break;
      case "refreshed":
        this.#credential.lasts(frame.expires_in_ms);
        break;
      case "error":
        this.#options.onError?.(frame.problem);
        break;
      case "bye":
        this.#lost(frame.code, frame.reason, frame.retry_after_ms ?? 0);
    } // another type is a newer server's
  }

  #greeted(frame: WelcomeFrame): void {
    const { resume } = frame;
    this.#welcome = frame;
    this.#acks.begin(frame.window);
    this.#credential.lasts(frame.expires_in_ms);
    this.#shown.set({
      status: "catching_up",
      session: frame.session,
      user: frame.user,
      pending: resume.pending,
      quality: null,
    });
    this.#options.onOpen?.(frame);
    if (resume.outcome === "reset") {
      const reason = resume.reason ?? "history_differs";
      this.#resetTo({ type: "reset", cursor: resume.cursor, reason });
    } else if (this.#received === null) {
      // A second hello without a cursor would begin at a later head, and what lies between be lost.
      this.#received = resume.cursor;
      const nothing = { type: "events", after: resume.cursor, cursor: resume.cursor } as const;
      this.#intake.put({ ...nothing, attempt: 1, events: [] });
    }
  }

  /** The welcome and a frame may both say so. */
  #resetTo(frame: ResetFrame): void {
    if (this.#received === frame.cursor) return;
    this.#received = frame.cursor;
    this.#acks.came(frame.cursor, 0, 0);
    this.#intake.clear();
    this.#intake.put(frame);
  }

  #demandFollows(after: Cursor): void {
    const last = this.#received ?? after;
    const ahead = positionOf(after) - positionOf(last);
    if (ahead > 0) throw new Error("a gap in the events");
    if (epochOf(after) !== epochOf(last) || (ahead === 0 && after !== last)) {
      throw new Error("events of another history");
    }
  }

  #pinged({ cursor, rtt_ms: rttMs, quality }: PingFrame): void {
    const at = Date.now();
    const recent = this.#shown.next.rttHistory.filter((one) => at - one.at <= RTT_HISTORY_MS);
    const rttHistory = rttMs === null ? recent : [...recent, { at, rttMs }];
    this.#shown.note({ quality, rttMs, rttHistory });
    if (quality !== this.getSnapshot().quality) this.#shown.set({});
    if (this.#missing === null && this.#lacks(cursor)) {
      // Not believed at once: the event may be on its way behind this very ping.
      const until = at + (this.#welcome?.heartbeat.timeout_ms ?? 0);
      this.#missing = { cursor, until };
    }
  }

  // --- what the application did ----------------------------------------------------------------

  #handled(cursor: Cursor, events: readonly WireEvent[]): void {
    const { status, pending, completeTo } = this.#shown.next;
    this.#shown.note({
      cursor: this.#intake.cursor,
      pending: Math.max(0, pending - events.length),
      completeTo: status === "live" ? (events.at(-1)?.time ?? completeTo) : completeTo,
    });
    this.#acks.handled(cursor);
  }

  #live({ time: completeTo }: LiveFrame): void {
    if (!this.#sentAway || Date.now() - this.#openedAt >= STEADY_MS) this.#attempts = 0;
    this.#shown.set({ status: "live", attempt: 0, pending: 0, completeTo, downSince: null });
  }

  #failed(error: unknown, current: boolean): void {
    this.#options.onError?.(error);
    if (current) this.#lost(CLOSE.ABNORMAL, "the application could not handle it");
  }
}
