// What auditors ask beside the inbox: how much happened when, what was signed, which event was next.

import { ask } from "./server";

/** A minute in which something happened; the others are left out. */
export interface Minute {
  readonly time: string;
  readonly messages: number;
  readonly acknowledged: number;
  readonly disconnected: number;
  readonly missed: number;
  readonly pongs: number;
  readonly rtt_us: number;
}

export interface Checkpoint {
  readonly epoch: string;
  readonly position: number;
  readonly hash: string;
  readonly time: string;
  readonly key_id: string;
  readonly public_key: string;
  readonly signature: string;
}

interface HistoryEvent {
  readonly position: number;
  readonly time: string;
  readonly stream: string;
  readonly data: unknown;
}

interface History {
  readonly events: readonly HistoryEvent[];
  readonly position: number;
  readonly has_more: boolean;
}

const WEEK_MINUTES = 7 * 24 * 60;
const PAGES_MAX = 20;

export async function getMinutes(
  token: string,
  sinceMs: number,
  untilMs: number,
  signal: AbortSignal,
): Promise<readonly Minute[]> {
  const [since, until] = [new Date(sinceMs).toISOString(), new Date(untilMs).toISOString()];
  const query = new URLSearchParams({ since, until, limit: String(WEEK_MINUTES) });
  const path = `/v1/metrics/history?${query}`;
  return (await ask<{ minutes: Minute[] }>(token, path, { signal })).minutes;
}

export const getCheckpoint = (token: string, signal: AbortSignal): Promise<Checkpoint> =>
  ask(token, "/v1/audit/checkpoint", { signal });

export const getHistory = (
  token: string,
  given: Record<string, string>,
  signal?: AbortSignal,
): Promise<History> =>
  ask(token, `/v1/audit/events?${new URLSearchParams(given)}`, signal ? { signal } : {});

/** When the event at this position was recorded; null for a position without one. */
export async function timeAt(token: string, position: number): Promise<string | null> {
  if (position < 1) return null;
  const given = { after: String(position - 1), until: String(position), limit: "1" };
  return (await getHistory(token, given)).events[0]?.time ?? null;
}

/** The position of the next message after this one; null where there is none, or none near. */
export async function messageAfter(token: string, position: number): Promise<number | null> {
  let after = position;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const given = { after: String(after), type: "message.received", limit: "1" };
    const answer = await getHistory(token, given);
    const found = answer.events[0];
    if (found !== undefined) return found.position;
    if (!answer.has_more) return null;
    after = answer.position;
  }
  return null;
}

/** Whether the signature is that of the key that goes along; null where this browser cannot say. */
export async function isSigned(checkpoint: Checkpoint): Promise<boolean | null> {
  const { epoch, position, hash, time, key_id, public_key, signature } = checkpoint;
  const text = `malote checkpoint/1\n${epoch}\n${position}\n${hash}\n${time}\n${key_id}\n`;
  const name = "Ed25519";
  try {
    const raw = bytesOf(public_key);
    const key = await crypto.subtle.importKey("raw", raw, name, false, ["verify"]);
    return await crypto.subtle.verify(
      name,
      key,
      bytesOf(signature),
      new TextEncoder().encode(text),
    );
  } catch {
    return null; // no secure context, or a browser from before Ed25519
  }
}

const bytesOf = (hex: string) =>
  new Uint8Array((hex.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16)));
