// One session after another with the server: open, resume by cursor, answer pings, come back.
// It knows frames and time, and nothing of conversations.

import type {
  ClientFrame,
  ConnectionState,
  Cursor,
  EventsFrame,
  ResetFrame,
  ServerFrame,
  SkippedFrame,
  StopReason,
} from "../../model";
import { CLOSE, SUBPROTOCOL } from "../../wire";

export const BACKOFF_BASE_MS = 500;
export const BACKOFF_CAP_MS = 20_000;
const HISTORY_MS = 5 * 60_000;
const STEADY_MS = 30_000;
const WATCH_MS = 1_000;
/** A clock that jumped this far over one second: the machine slept. */
const SLEPT_MS = 15_000;

/** How long before the attempt after `attempt` failed ones: full jitter, doubling, capped. */
export function backoffMs(attempt: number, random: number): number {
  return random * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempt, 10));
}

export interface LinkSide {
  /** The token and cursor of the next hello; the cursor is what was applied and stored. */
  credentials(): { readonly token: string; readonly cursor: Cursor | null };
  /** Apply and store; the ack goes out once it resolves. Rejects: the link is opened anew. */
  apply(frame: EventsFrame | SkippedFrame | ResetFrame): Promise<void>;
  changed(state: ConnectionState): void;
}

export const NOT_STARTED: ConnectionState = {
  status: "stopped",
  quality: null,
  rttMs: null,
  rttHistory: [],
  attempt: 0,
  maxAttempts: null,
  retryAt: null,
  missed: 0,
  pending: 0,
  session: null,
  user: null,
  device: "",
  cursor: null,
  completeTo: null,
  downSince: null,
  lastClose: null,
  stopReason: "idle",
};

export class Link {
  state: ConnectionState;
  readonly #url: string;
  readonly #side: LinkSide;
  #socket: WebSocket | null = null;
  #work: Promise<void> = Promise.resolve();
  #sent: Cursor | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #heardAt = 0;
  #watchedAt = 0;
  #liveAt = 0;
  #silenceMs = 45_000;
  #running = false;

  constructor(url: string, device: string, side: LinkSide) {
    this.#url = url;
    this.#side = side;
    this.state = { ...NOT_STARTED, device };
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    window.addEventListener("online", this.#online);
    window.addEventListener("offline", this.#offline);
    window.addEventListener("pageshow", this.#woken);
    document.addEventListener("visibilitychange", this.#woken);
    this.#watchedAt = Date.now();
    this.#watch = setInterval(this.#look, WATCH_MS);
    this.#set({ status: "connecting", stopReason: null, attempt: 0, downSince: Date.now() });
    if (navigator.onLine) this.#open();
    else this.#offline();
  }

  stop(reason: StopReason): void {
    this.#running = false;
    window.removeEventListener("online", this.#online);
    window.removeEventListener("offline", this.#offline);
    window.removeEventListener("pageshow", this.#woken);
    document.removeEventListener("visibilitychange", this.#woken);
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#detach();
    this.#set({ status: "stopped", stopReason: reason, retryAt: null, downSince: Date.now() });
  }

  /** Connects at once where a connection is missing. */
  tryNow(): void {
    if (!this.#running) {
      this.start();
    } else if (this.#socket === null && navigator.onLine) {
      clearTimeout(this.#retry);
      this.#open();
    }
  }

  readonly #online = () => {
    if (this.#socket === null) this.#open();
  };
  readonly #offline = () => {
    clearTimeout(this.#retry);
    this.#detach();
    this.#set({ status: "offline", retryAt: null, downSince: this.state.downSince ?? Date.now() });
  };
  readonly #woken = () => {
    if (document.visibilityState === "visible" && this.state.retryAt !== null) this.tryNow();
  };
  readonly #look = () => {
    const now = Date.now();
    const slept = now - this.#watchedAt > SLEPT_MS;
    this.#watchedAt = now;
    if (this.#socket === null) {
      if (slept) this.tryNow();
    } else if (slept || now - this.#heardAt > this.#silenceMs) {
      this.#lost(CLOSE.ABNORMAL, "no sign of life", null);
    }
  };

  #open(): void {
    this.#set({ retryAt: null });
    const socket = new WebSocket(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    this.#heardAt = Date.now();
    let farewell: { code: number; retryAfterMs: number | null } | null = null;
    socket.onopen = () => {
      const { token, cursor } = this.#side.credentials();
      this.#send({ type: "hello", token, device: this.state.device, cursor });
    };
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      this.#heardAt = Date.now();
      const frame = JSON.parse(data) as ServerFrame;
      if (frame.type === "bye") farewell = { code: frame.code, retryAfterMs: frame.retry_after_ms };
      else this.#receive(frame);
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket !== socket) return;
      this.#lost(farewell?.code ?? code, reason, farewell?.retryAfterMs ?? null);
    };
  }

  #send(frame: ClientFrame): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** Lets the socket go whatever it does: its `close` may take minutes on a dead link. */
  #detach(): void {
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #receive(frame: ServerFrame): void {
    switch (frame.type) {
      case "welcome":
        this.#sent = frame.resume.cursor;
        this.#silenceMs = frame.heartbeat.interval_ms * 1.1 + 2 * frame.heartbeat.timeout_ms;
        this.#set({
          status: "catching_up",
          session: frame.session,
          user: frame.user,
          pending: frame.resume.pending,
          quality: "good",
          missed: 0,
        });
        break;
      case "ping":
        this.#send({ type: "pong", id: frame.id });
        this.#beat(frame.rtt_ms, frame.quality);
        break;
      case "events":
        // What the session sent before is this frame's `after`, or something went missing.
        if (this.#sent !== null && frame.after !== this.#sent) {
          this.#lost(CLOSE.ABNORMAL, "a gap in the stream", 0);
          break;
        }
        this.#sent = frame.cursor;
        this.#handle(frame);
        break;
      case "skipped":
      case "reset":
        this.#sent = frame.cursor;
        this.#handle(frame);
        break;
      case "live":
        this.#afterWork(() => {
          this.#liveAt = Date.now();
          this.#set({
            status: "live",
            attempt: 0,
            pending: 0,
            completeTo: frame.time,
            downSince: null,
            lastClose: null,
          });
        });
        break;
      default: // error: the link lives; anything else is a newer server's
        break;
    }
  }

  #handle(frame: EventsFrame | SkippedFrame | ResetFrame): void {
    const socket = this.#socket;
    this.#work = this.#work.then(async () => {
      if (this.#socket !== socket) return; // it comes again, from the stored cursor
      try {
        await this.#side.apply(frame);
      } catch {
        this.#lost(CLOSE.ABNORMAL, "could not be stored", null);
        return;
      }
      this.#send({ type: "ack", cursor: frame.cursor });
      const came = frame.type === "events" ? frame.events.length : 0;
      const live = this.state.status === "live";
      this.#set({
        cursor: frame.cursor,
        pending: Math.max(0, this.state.pending - came),
        ...(live ? { completeTo: lastTime(frame) ?? this.state.completeTo } : {}),
      });
    });
  }

  #afterWork(then: () => void): void {
    const socket = this.#socket;
    this.#work = this.#work.then(() => {
      if (this.#socket === socket && socket !== null) then();
    });
  }

  #beat(rttMs: number | null, quality: ConnectionState["quality"]): void {
    const now = Date.now();
    const kept = this.state.rttHistory.filter(({ at }) => now - at <= HISTORY_MS);
    this.#set({
      quality,
      rttMs,
      rttHistory: rttMs === null ? kept : [...kept, { at: now, rttMs }],
    });
  }

  #lost(code: number, reason: string, retryAfterMs: number | null): void {
    this.#detach();
    const lastClose = { code, reason };
    if (code >= 4500 && code < 5000) {
      this.#set({ lastClose });
      this.stop(stopReasonOf(code));
      return;
    }
    const steady = this.state.status === "live" && Date.now() - this.#liveAt > STEADY_MS;
    const attempt = steady ? 1 : this.state.attempt + 1;
    const waitMs = retryAfterMs ?? backoffMs(attempt - 1, Math.random());
    this.#set({
      status: navigator.onLine ? "reconnecting" : "offline",
      attempt,
      retryAt: navigator.onLine ? Date.now() + waitMs : null,
      downSince: this.state.downSince ?? Date.now(),
      lastClose,
    });
    clearTimeout(this.#retry);
    if (navigator.onLine) this.#retry = setTimeout(() => this.#open(), waitMs);
  }

  #set(changes: Partial<ConnectionState>): void {
    this.state = { ...this.state, ...changes };
    this.#side.changed(this.state);
  }
}

function stopReasonOf(code: number): StopReason {
  if (code === CLOSE.UNAUTHORIZED) return "signed_out";
  if (code === CLOSE.REVOKED) return "revoked";
  return code === CLOSE.VERSION_NOT_SUPPORTED ? "not_supported" : "refused";
}

function lastTime(frame: EventsFrame | SkippedFrame | ResetFrame): string | null {
  return frame.type === "events" ? (frame.events.at(-1)?.time ?? null) : null;
}
