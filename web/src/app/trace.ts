// The life of one message as the auditor's route tells it, and how far its stations stand apart. Pure,
// but for the one question.

import type { Content, Time } from "../model";
import { ask } from "./server";

export type Outcome = "acknowledged" | "outstanding" | "parked" | "skipped" | "withdrawn";
export type StepName =
  | Exclude<Outcome, "outstanding">
  | "addressed"
  | "retried"
  | "replay_requested"
  | "replayed";

export interface TracedEvent {
  readonly position: number;
  readonly time: Time;
  readonly type: string;
  readonly inbox: string | null;
  readonly correlation_id: string | null;
  readonly hash: string;
  readonly redacted: boolean;
  /** Null where it was erased, or is a raw webhook's. */
  readonly data: {
    readonly status?: string;
    readonly reason?: string;
    readonly by?: string;
    readonly content?: Content;
  } | null;
}

export interface TracedWebhook {
  readonly position: number;
  readonly time: Time;
  readonly correlation_id: string | null;
  readonly provider: string | null;
  readonly delivery_id: string | null;
  readonly body_bytes: number | null;
  readonly body_sha256: string | null;
  readonly hash: string;
  readonly redacted: boolean;
}

/** What happened to it on its way to one device, where in the log that is said. */
export interface Step {
  readonly step: StepName;
  readonly position: number;
  readonly time: Time;
  readonly session: string | null;
  readonly reason: string | null;
  readonly after: number | null;
  readonly until: number | null;
  readonly attempt: number | null;
  readonly by: string | null;
}

export interface DeviceTrace {
  readonly user: string;
  readonly device: string;
  readonly outcome: Outcome;
  readonly took_us: number | null;
  readonly steps: readonly Step[];
  /** So many events that concern it were not looked at. */
  readonly left_out: number;
}

export interface Trace {
  readonly event: TracedEvent;
  readonly webhook: TracedWebhook | null;
  readonly beside: readonly TracedEvent[];
  readonly later: readonly TracedEvent[];
  readonly devices: readonly DeviceTrace[];
  /** Where the next page of devices begins. */
  readonly next: string | null;
  /** The lists that are not whole. */
  readonly truncated: readonly ("beside" | "later")[];
}

export function getTrace(
  token: string,
  position: number,
  after: string | null,
  signal: AbortSignal,
): Promise<Trace> {
  const query = after === null ? "" : `?after=${encodeURIComponent(after)}`;
  return ask(token, `/v1/audit/trace/${position}${query}`, { signal });
}

const APART_MIN_PX = 6;
const APART_MAX_PX = 56;

/** Microseconds from one time of the wire to another. */
export function tookUs(from: Time, to: Time): number {
  return microsecondsOf(to) - microsecondsOf(from);
}

/** `2026-11-28T14:32:07.000123Z`: a `Date` knows only its milliseconds. */
function microsecondsOf(time: Time): number {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? "";
  const wholeMs = Date.parse(time.replace(/\.\d+/, ""));
  return wholeMs * 1000 + Number(fraction.padEnd(6, "0").slice(0, 6));
}

/** Gaps to scale, of which a minute is not sixty times a second's: each tenfold adds as much. */
export function apartPx(us: number): number {
  const tenfolds = Math.log10(1 + Math.max(0, us) / 1000);
  return Math.min(APART_MAX_PX, Math.round(APART_MIN_PX + 7 * tenfolds));
}

/** A device whose way needs no explaining: addressed, and then acknowledged, or nothing yet. */
export const isPlain = ({ outcome, steps, left_out }: DeviceTrace): boolean =>
  steps.length <= (outcome === "acknowledged" ? 2 : 1) && left_out === 0;
