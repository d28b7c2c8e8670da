// The other tabs of this browser: which one leads, and what the tabs tell each other.

import type { Batch } from "../../connection";
import type { InboxState, ReplayedFrame, ResetFrame, SkippedFrame, SyncOutcome } from "../../model";

export type Frame =
  | (Batch & { readonly type: "events" })
  | SkippedFrame
  | ResetFrame
  | ReplayedFrame;
export type Shared = Pick<InboxState, "connection" | "skipped" | "reset">;
export type Call =
  | { readonly type: "frame"; readonly frame: Frame }
  | { readonly type: "shared"; readonly shared: Shared }
  | { readonly type: "list anew" }
  | { readonly type: "who leads" }
  | { readonly type: "try now" }
  | { readonly type: "sync" }
  | { readonly type: "synced"; readonly outcome: SyncOutcome }
  | { readonly type: "signed in" }
  | { readonly type: "signed out" };

export class Neighbours {
  readonly #hear: (call: Call) => void;
  #channel: BroadcastChannel | null = null;
  #resign: (() => void) | null = null;

  constructor(hear: (call: Call) => void) {
    this.#hear = hear;
  }

  listen(): void {
    this.#channel = new BroadcastChannel("malote");
    this.#channel.onmessage = ({ data }: MessageEvent<Call>) => this.#hear(data);
  }

  say(call: Call): void {
    this.#channel?.postMessage(call);
  }

  /** Waits to be the one tab that leads; where there are no locks, each tab leads. */
  stand(lead: () => void): void {
    let resign = () => {};
    const resigned = new Promise<void>((resolve) => {
      resign = resolve;
    });
    const stop = new AbortController();
    this.#resign = () => {
      stop.abort();
      resign();
    };
    this.say({ type: "who leads" });
    if (!("locks" in navigator)) {
      lead();
      return;
    }
    const led = navigator.locks.request("malote", { signal: stop.signal }, async () => {
      lead();
      await resigned;
    });
    led.catch((trouble: unknown) => {
      if (!stop.signal.aborted) throw trouble;
    });
  }

  /** Leads no more, and does not wait to. */
  resign(): void {
    this.#resign?.();
    this.#resign = null;
  }

  leave(): void {
    this.resign();
    this.#channel?.close();
    this.#channel = null;
  }
}
