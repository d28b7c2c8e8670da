// The hook: one Connection a component, its state by useSyncExternalStore, its events by callbacks.
//
// Events never go through React state: a state keeps the last one, and React renders when it likes,
// so events would be lost. They go to `onMessage` and to subscribers, each once and in order, and are
// acknowledged when these are done. What renders is how the connection stands, at most ten times a
// second while events come.

import { useCallback, useEffect, useInsertionEffect, useState, useSyncExternalStore } from "react";
import { type Batch, type CloseInfo, Connection, type ConnectionOptions } from "./connection";
import { initialState } from "./connectionOptions";
import type { ConnectionState } from "./model";
import type {
  ClientFrame,
  Cursor,
  ReplayedFrame,
  ResetFrame,
  SkippedFrame,
  WelcomeFrame,
  WireEvent,
} from "./wire";

export type { Batch, CloseInfo } from "./connection";
export type { ConnectionState, ConnectionStatus, StopReason } from "./model";
export type * from "./wire";

/** The numbers of `WebSocket.readyState`, and -1 for none wanted (`url` is null). */
export const ReadyState = { UNINSTANTIATED: -1, CONNECTING: 0, OPEN: 1, CLOSED: 3 } as const;

/** Called with each event, in order. What a promise resolved is acknowledged, what it rejected comes again. */
export type EventHandler = (event: WireEvent) => unknown;

/** Any of these may change with each render: the newest is called, and nothing reconnects. */
export interface UseWebSocketOptions {
  /** A string is renewed in band when it changes; a function is asked before each attempt. */
  token: string | (() => string | Promise<string>);
  /** One installation of one user. Changing it reconnects. */
  device: string;
  /** What the application has stored, read when the connection is made. */
  cursor?: Cursor | null;
  /** Attempts in a row before it stops; default: no limit. */
  reconnectAttempts?: number | null;
  /** Asked for each close that may be followed by another attempt; default: yes. */
  shouldReconnect?: (close: CloseInfo) => boolean;
  onMessage?: EventHandler;
  /** After the handlers of the batch's events: store `batch.cursor` here, with their effect. */
  onBatch?: (batch: Batch) => unknown;
  onSkipped?: (frame: SkippedFrame) => unknown;
  onReset?: (frame: ResetFrame) => unknown;
  /** An event that was put aside before and comes again on request; default: `onMessage`. */
  onReplayed?: EventHandler;
  onOpen?: (frame: WelcomeFrame) => void;
  onClose?: (close: CloseInfo) => void;
  onError?: (error: unknown) => void;
}

export interface UseWebSocketResult extends ConnectionState {
  readyState: number;
  /** Whole seconds until the next attempt, counting down; null while none is waited for. */
  retryIn: number | null;
  /** Everything recorded up to this time is here (RFC 3339, the server's clock); null at first. */
  syncedAt: string | null;
  /** Calls back with each event from now on; returns how to stop. */
  subscribe: (callback: EventHandler) => () => void;
  /** Sends a frame if a session is open, such as `nack`; says whether it was. */
  sendJsonMessage: (frame: ClientFrame) => boolean;
  /** Connects at once instead of in `retryIn`; begins anew where it had stopped. */
  tryNow: () => void;
}

/** Subscribes to the server at `url` while mounted; null: not yet. Safe in StrictMode and on servers. */
export function useWebSocket(url: string | null, options: UseWebSocketOptions): UseWebSocketResult {
  const [feed] = useState(() => new Feed(options));
  // Before any effect or event sees it, and never while rendering: a render may be thrown away.
  useInsertionEffect(() => {
    feed.options = options;
  });
  const { device, token } = options;
  useEffect(() => (url === null ? undefined : feed.connect(url, device)), [feed, url, device]);
  useEffect(() => feed.renew(token), [feed, token]);
  const state = useSyncExternalStore(feed.listen, feed.getSnapshot, feed.getSnapshot);
  return {
    ...state,
    readyState: readyStateOf(url, state),
    retryIn: useCountdown(state.retryAt),
    syncedAt: state.completeTo,
    subscribe: feed.subscribe,
    sendJsonMessage: feed.send,
    tryNow: feed.tryNow,
  };
}

/** How far one device came at one server: in whole batches, and in events within the next. */
interface Place {
  readonly of: string;
  cursor: Cursor | null;
  handed: number;
}

/** What outlives a connection: callbacks, subscribers, and the place. */
class Feed {
  options: UseWebSocketOptions;
  readonly #idle: ConnectionState;
  readonly #handlers = new Set<EventHandler>();
  readonly #listeners = new Set<() => void>();
  #connection: Connection | null = null;
  #place: Place = { of: "", cursor: null, handed: 0 };
  #token: UseWebSocketOptions["token"];

  constructor(options: UseWebSocketOptions) {
    this.options = options;
    this.#token = options.token;
    this.#idle = initialState({ device: options.device });
  }

  getSnapshot = (): ConnectionState => this.#connection?.getSnapshot() ?? this.#idle;

  listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  subscribe = (handler: EventHandler): (() => void) => {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  };

  send = (frame: ClientFrame): boolean => this.#connection?.send(frame) ?? false;

  tryNow = (): void => this.#connection?.tryNow();

  renew(token: UseWebSocketOptions["token"]): void {
    if (token === this.#token) return;
    this.#token = token;
    if (typeof token !== "string" || this.#connection === null) return;
    this.#connection.refresh(token);
    if (this.getSnapshot().stopReason === "signed_out") this.#connection.tryNow();
  }

  connect(url: string, device: string): () => void {
    const of = `${device} ${url}`;
    // StrictMode, and a component that comes and goes, continue where they were.
    if (this.#place.of !== of) {
      this.#place = { of, cursor: this.options.cursor ?? null, handed: 0 };
    }
    const connection = new Connection(this.#newest(url, device, this.#place));
    const tell = () => {
      for (const listener of this.#listeners) listener();
    };
    const deaf = connection.subscribe(tell);
    this.#connection = connection;
    // Not yet: StrictMode takes its first mount back at once, and no socket shall come of that.
    queueMicrotask(() => this.#connection === connection && connection.start());
    return () => {
      this.#connection = null;
      deaf();
      connection.stop();
      tell();
    };
  }

  /** Options that call whatever was given with the newest render. */
  #newest(url: string, device: string, place: Place): ConnectionOptions {
    const feed = this;
    const arriveAt = ({ cursor }: { cursor: Cursor }) => {
      place.cursor = cursor;
      place.handed = 0;
    };
    return {
      url,
      device,
      cursor: place.cursor,
      get maxAttempts() {
        return feed.options.reconnectAttempts ?? null;
      },
      get token() {
        return feed.options.token;
      },
      onEvents: async (batch: Batch) => {
        await this.#hand(batch, place);
        arriveAt(batch);
      },
      onSkipped: async (frame: SkippedFrame) => {
        await this.options.onSkipped?.(frame);
        arriveAt(frame);
      },
      onReset: async (frame: ResetFrame) => {
        await this.options.onReset?.(frame);
        arriveAt(frame);
      },
      onReplayed: async ({ events }: ReplayedFrame) => {
        const { onReplayed, onMessage } = this.options;
        for (const event of events) await this.#tell(event, onReplayed ?? onMessage);
      },
      onOpen: (frame: WelcomeFrame) => this.options.onOpen?.(frame),
      onClose: (close: CloseInfo) => this.options.onClose?.(close),
      onError: (error: unknown) => this.options.onError?.(error),
      shouldReconnect: (close: CloseInfo) => this.options.shouldReconnect?.(close) ?? true,
    };
  }

  /** Awaited only where there is something to wait for, or 10,000 events were 10,000 turns. */
  #tell(event: WireEvent, first: EventHandler | undefined): Promise<unknown> | undefined {
    const answers = [first?.(event)];
    for (const handler of this.#handlers) answers.push(handler(event));
    return answers.some((one) => one instanceof Promise) ? Promise.all(answers) : undefined;
  }

  async #hand(batch: Batch, place: Place): Promise<void> {
    for (const event of batch.events) {
      // A batch of which one event was rejected comes again; those before it were handled.
      if (event.position <= place.handed) continue;
      const answer = this.#tell(event, this.options.onMessage);
      if (answer !== undefined) await answer;
      place.handed = event.position;
    }
    await this.options.onBatch?.(batch);
  }
}

function readyStateOf(url: string | null, { status }: ConnectionState): number {
  if (url === null) return ReadyState.UNINSTANTIATED;
  if (status === "live" || status === "catching_up") return ReadyState.OPEN;
  return status === "connecting" ? ReadyState.CONNECTING : ReadyState.CLOSED;
}

/** Renders each second while there is something to count down, and not otherwise. */
function useCountdown(until: number | null): number | null {
  const subscribe = useCallback(
    (listener: () => void) => {
      if (until === null) return () => {};
      const timer = setInterval(listener, 250);
      return () => clearInterval(timer);
    },
    [until],
  );
  const left = () => (until === null ? null : Math.max(0, Math.ceil((until - Date.now()) / 1000)));
  return useSyncExternalStore(subscribe, left, () => null);
}
