// A server that does what a test says: sockets that open when told, and frames as the protocol has them.

import { vi } from "vitest";
import type { ClientFrame, ServerFrame, WireEvent } from "../../src/wire";

export const EPOCH = "k3f9";
export const cursorAt = (position: number, hash = "0a0b0c0d") => `${EPOCH}.${position}.${hash}`;

export function eventAt(position: number, changes: Partial<WireEvent> = {}): WireEvent {
  return {
    position,
    cursor: cursorAt(position),
    type: "message.received",
    version: 1,
    time: `2026-11-22T14:02:11.${String(position).padStart(6, "0")}Z`,
    inbox: "support",
    conversation: "c_1",
    data: {
      message_id: `m${position}`,
      contact: { id: "1" },
      content: { type: "text", body: "x" },
    },
    ...changes,
  } as WireEvent;
}

/** The positions from `first` to `last` in one frame. */
export function eventsFrame(first: number, last: number, attempt = 1): ServerFrame {
  const events = Array.from({ length: last - first + 1 }, (_, i) => eventAt(first + i));
  return { type: "events", after: cursorAt(first - 1), cursor: cursorAt(last), attempt, events };
}

export function welcome(position: number, changes: object = {}): ServerFrame {
  return {
    type: "welcome",
    session: "s_1",
    user: "ana",
    device: "tab",
    epoch: EPOCH,
    server_time: "2026-11-22T14:02:11.000000Z",
    heartbeat: { interval_ms: 25_000, timeout_ms: 10_000 },
    window: { frames: 100, bytes: 262_144 },
    resume: { outcome: "resumed", reason: null, cursor: cursorAt(position), pending: 0 },
    ...changes,
  };
}

export const live = (position: number): ServerFrame => ({
  type: "live",
  cursor: cursorAt(position),
  time: "2026-11-22T14:02:12.000000Z",
});

/** Stands in for the browser's WebSocket; `close` never finishes, as on a dead link. */
export class FakeSocket {
  static all: FakeSocket[] = [];
  static get last(): FakeSocket {
    const socket = FakeSocket.all.at(-1);
    if (socket === undefined) throw new Error("no socket was opened");
    return socket;
  }

  readyState = 0;
  closed = false;
  readonly sent: ClientFrame[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;

  readonly url: string | URL;
  readonly protocol: string;

  constructor(url: string | URL, protocol: string) {
    this.url = url;
    this.protocol = protocol;
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.closed = true;
    this.readyState = 2;
  }

  // --- what the test does ---

  open(): this {
    this.readyState = 1;
    this.onopen?.();
    return this;
  }
  say(...frames: ServerFrame[]): this {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
    return this;
  }
  sayText(text: string): void {
    this.onmessage?.({ data: text });
  }
  /** Open, greeted and caught up at `position`. */
  goLive(position: number): this {
    return this.open().say(welcome(position), live(position));
  }
  drop(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
  ofType<T extends ClientFrame["type"]>(type: T): Extract<ClientFrame, { type: T }>[] {
    return this.sent.filter((frame) => frame.type === type) as never;
  }
}

export function useFakeSockets(): void {
  FakeSocket.all = [];
  vi.stubGlobal("WebSocket", FakeSocket);
}

export function setOnline(online: boolean): void {
  vi.spyOn(navigator, "onLine", "get").mockReturnValue(online);
  window.dispatchEvent(new Event(online ? "online" : "offline"));
}
