// What a connection is made with, and the state it begins in.

import type { Handlers } from "./intake";
import type { ConnectionState } from "./model";
import type { Cursor, WelcomeFrame } from "./wire";

export interface CloseInfo {
  readonly code: number;
  readonly reason: string;
}

export interface ConnectionOptions extends Handlers {
  /** Where the server is: `https://inbox.example.org`. Default: where the page came from. */
  readonly url?: string;
  /** A function is asked before each attempt, and for a successor before a token's end. */
  readonly token: string | (() => string | Promise<string>);
  /** One installation of one user: 1 to 100 letters, digits and . _ : @ - */
  readonly device: string;
  /** What the application has; null: where this device last acknowledged, or now. */
  readonly cursor?: Cursor | null;
  /** Attempts in a row before it stops with `attempts_used_up`; null: no limit. */
  readonly maxAttempts?: number | null;
  /** Asked for each close that may be followed by another attempt. */
  readonly shouldReconnect?: (close: CloseInfo) => boolean;
  readonly onOpen?: (frame: WelcomeFrame) => void;
  readonly onClose?: (close: CloseInfo) => void;
  /** The server refused a frame, the application threw, or the token could not be had. */
  readonly onError?: (error: unknown) => void;
}

/** The state before `start`; also what a server renders. */
export function initialState(
  options: Pick<ConnectionOptions, "device" | "cursor" | "maxAttempts">,
): ConnectionState {
  return {
    status: "stopped",
    quality: null,
    rttMs: null,
    rttHistory: [],
    attempt: 0,
    maxAttempts: options.maxAttempts ?? null,
    retryAt: null,
    missed: 0,
    pending: 0,
    session: null,
    user: null,
    device: options.device,
    cursor: options.cursor ?? null,
    completeTo: null,
    downSince: null,
    lastClose: null,
    stopReason: "idle",
  };
}

/** Where the WebSocket of the server at `base` is; by default of the page's own. */
export function socketUrl(base: string | undefined): URL {
  const url = new URL(base ?? "", window.location.href);
  if (base === undefined) url.pathname = url.hash = url.search = "";
  url.protocol = url.protocol.replace("http", "ws");
  url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/ws`;
  return url;
}
