// The few requests that the interface makes beside the store's: who am I, search, a test message.

import type { Conversation, Problem, Role } from "../model";
import { ProblemError, UNREACHABLE } from "../model";

export interface Me {
  readonly user: string;
  readonly role: Role;
  readonly inboxes: readonly {
    readonly id: string;
    readonly provider: string;
    readonly webhook_path: string;
  }[];
  readonly may: readonly string[];
  /** When the token ends; null: never. No page can renew it. */
  readonly expires_at: string | null;
}

export type Found = Conversation & {
  readonly match: { readonly position: number; readonly text: string | null } | null;
};

interface Options {
  readonly method?: "GET" | "POST";
  readonly body?: object;
  readonly signal?: AbortSignal;
}

/** The answer's JSON. Throws `ProblemError`, and the signal's reason once aborted. */
export async function ask<T>(token: string, path: string, options: Options = {}): Promise<T> {
  const { method = "GET", signal, body: sent } = options;
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers: { Authorization: `Bearer ${token}` },
      ...(sent === undefined ? {} : { body: JSON.stringify(sent) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (trouble) {
    signal?.throwIfAborted();
    throw new ProblemError({ type: UNREACHABLE, title: String(trouble), status: 0 });
  }
  const body: unknown = await answer.json().catch(() => null);
  if (!answer.ok) throw new ProblemError(asProblem(body, answer.status));
  return body as T;
}

function asProblem(body: unknown, status: number): Problem {
  const isProblem = typeof body === "object" && body !== null && "type" in body && "title" in body;
  return isProblem ? (body as Problem) : { type: "about:blank", title: `HTTP ${status}`, status };
}

export const getMe = (token: string, signal: AbortSignal): Promise<Me> =>
  ask(token, "/v1/me", { signal });

/** The most conversations that a search tells of, the newest first. */
export const FOUND_MAX = 50;

export async function search(
  token: string,
  q: string,
  inbox: string | null,
  asOf: number | null,
  signal: AbortSignal,
): Promise<readonly Found[]> {
  const query = new URLSearchParams({ q, limit: String(FOUND_MAX) });
  if (inbox !== null) query.set("inbox", inbox);
  if (asOf !== null) query.set("as_of", String(asOf));
  const answer = await ask<{ conversations: Found[] }>(token, `/v1/conversations?${query}`, {
    signal,
  });
  return answer.conversations;
}

export const sendTestMessage = (token: string, inbox: string): Promise<unknown> =>
  ask(token, `/v1/inboxes/${encodeURIComponent(inbox)}/test-message`, { method: "POST" });

/** In the demo only: cuts this user's link for the answered number of seconds. */
export const pullCable = (token: string): Promise<{ seconds: number }> =>
  ask(token, "/v1/demo/cable", { method: "POST" });
