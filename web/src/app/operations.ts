// What administrators see of the server: who is connected and how well, what waits, how much flows.

import { useCallback, useEffect, useState } from "react";
import type { Problem, Quality } from "../model";
import { ProblemError } from "../model";
import { getHistory, getMinutes, type Minute } from "./audit";
import { ask } from "./server";

const AGAIN_MS = 5_000;
const HOUR_MS = 3_600_000;
export const BEATS_MS = 5 * 60_000;

export interface OpenSession {
  readonly session: string;
  readonly user: string;
  readonly device: string;
  readonly address: string | null;
  readonly opened_at: string;
  readonly state: "catching_up" | "live" | "closed";
  readonly quality: Quality;
  readonly rtt_ms: number | null;
  readonly attempt: number;
  readonly behind: number;
  readonly in_flight: { readonly events: number; readonly bytes: number };
}

export interface ParkedEvent {
  readonly user: string;
  readonly device: string;
  readonly position: number;
  readonly reason: string;
  readonly parked_at: string;
  /** Where in the log its delivery was asked for again; null: it waits for somebody to ask. */
  readonly requested: number | null;
}

type Beats = ReadonlyMap<string, readonly { readonly at: number; readonly rttMs: number }[]>;

export interface Figures {
  readonly at: number;
  readonly head: number;
  readonly sessions: readonly OpenSession[];
  readonly parked: readonly ParkedEvent[];
  readonly minutes: readonly Minute[];
  /** The round trips of the last five minutes, by session. */
  readonly beats: Beats;
}

/** The figures, again every five seconds while the page is in front; old ones stay until new come. */
export function useFigures(token: string) {
  const [figures, setFigures] = useState<Figures | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asked, setAsked] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `asked` asks again at once
  useEffect(() => {
    const stop = new AbortController();
    const look = () => {
      if (document.visibilityState === "hidden") return;
      figuresOf(token, stop.signal).then(
        (found) => {
          setFigures(found);
          setProblem(null);
        },
        (trouble: unknown) => {
          if (trouble instanceof ProblemError) setProblem(trouble.problem);
          else if (!stop.signal.aborted) throw trouble;
        },
      );
    };
    look();
    const timer = setInterval(look, AGAIN_MS);
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, [token, asked]);
  const again = useCallback(() => setAsked((count) => count + 1), []);
  return { figures, problem, again };
}

async function figuresOf(token: string, signal: AbortSignal): Promise<Figures> {
  const at = Date.now();
  const [open, deliveries, minutes, beats] = await Promise.all([
    ask<{ connections: OpenSession[]; head: number }>(token, "/debug/connections", { signal }),
    ask<{ parked: ParkedEvent[] }>(token, "/debug/deliveries", { signal }),
    getMinutes(token, at - HOUR_MS, at, signal),
    beatsOf(token, at, signal),
  ]);
  return {
    at,
    head: open.head,
    sessions: open.connections,
    parked: deliveries.parked,
    minutes,
    beats,
  };
}

async function beatsOf(token: string, now: number, signal: AbortSignal): Promise<Beats> {
  const since = new Date(now - BEATS_MS).toISOString();
  const given = { since, type: "heartbeat.answered", limit: "1000" };
  const found = new Map<string, { at: number; rttMs: number }[]>();
  for (const { time, data } of (await getHistory(token, given, signal)).events) {
    const { session, rtt_ms } = data as { session: string; rtt_ms: number };
    const known = found.get(session) ?? [];
    known.push({ at: Date.parse(time), rttMs: rtt_ms });
    found.set(session, known);
  }
  return found;
}

/** Has these events of a user's device delivered again. Throws `ProblemError`. */
export async function replay(token: string, { user, device, position }: ParkedEvent) {
  const path = `/v1/deliveries/${encodeURIComponent(device)}/replay`;
  await ask(token, path, { method: "POST", body: { user, positions: [position] } });
}
