import type { Conversation, Cursor, Message, Problem, SyncAnswer } from "../../model";
import { ProblemError, UNREACHABLE } from "../../model";

/** What the store asks over HTTP. All throw `ProblemError`. */
export class Http {
  readonly #token: string;
  readonly #asOf: string;

  /** `asOf`: lists and messages as they were at this position or time. */
  constructor(token: string, asOf: string | null = null) {
    this.#token = token;
    this.#asOf = asOf === null ? "" : `&as_of=${encodeURIComponent(asOf)}`;
  }

  at(position: number): Http {
    return new Http(this.#token, String(position));
  }
  me(): Promise<{ user: string }> {
    return this.#ask("/v1/me");
  }
  conversations(before?: number): Promise<{ conversations: Conversation[]; cursor: Cursor }> {
    return this.#ask(
      `/v1/conversations?limit=200${before === undefined ? "" : `&before=${before}`}${this.#asOf}`,
    );
  }
  conversation(id: string): Promise<{ conversation: Conversation; cursor: Cursor }> {
    const query = this.#asOf.replace("&", "?");
    return this.#ask(`/v1/conversations/${encodeURIComponent(id)}${query}`);
  }
  messages(
    id: string,
    before?: number,
    limit = MESSAGES_PAGE,
  ): Promise<{ messages: Message[]; cursor: Cursor }> {
    const query = `limit=${limit}${before === undefined ? "" : `&before=${before}`}${this.#asOf}`;
    return this.#ask(`/v1/conversations/${encodeURIComponent(id)}/messages?${query}`);
  }
  read(id: string, position: number): Promise<unknown> {
    return this.#ask(`/v1/conversations/${encodeURIComponent(id)}/read`, { position });
  }
  sync(cursor: Cursor): Promise<SyncAnswer> {
    return this.#ask(`/v1/sync?limit=1000&cursor=${encodeURIComponent(cursor)}`);
  }

  async #ask<T>(path: string, body?: object): Promise<T> {
    const answer = await fetch(path, {
      headers: { Authorization: `Bearer ${this.#token}` },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    }).catch((trouble: unknown) => {
      throw new ProblemError({ type: UNREACHABLE, title: String(trouble), status: 0 });
    });
    const found: unknown = await answer.json().catch(() => null);
    if (!answer.ok) throw new ProblemError(problemOf(found, answer.status));
    return found as T;
  }
}

export const MESSAGES_PAGE = 50;
export const OLDER_PAGE = 200;
export const CONVERSATIONS_PAGE = 200;

export function problemOf(body: unknown, status: number): Problem {
  const known = typeof body === "object" && body !== null && "type" in body && "title" in body;
  return known ? (body as Problem) : { type: "about:blank", title: `HTTP ${status}`, status };
}

/** Whether the SHA-256 over these cursors, each with a line feed, is `digest`. */
export async function digestIs(cursors: readonly Cursor[], digest: string): Promise<boolean> {
  const text = cursors.map((cursor) => `${cursor}\n`).join("");
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const hex = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex === digest;
}
