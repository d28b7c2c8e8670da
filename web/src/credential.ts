// The token of a connection: what it is, and when its successor is due.

import type { ConnectionOptions } from "./connectionOptions";

/** How long before a token's end its successor is asked for, and when again if none was taken. */
const RENEW_MARGIN_MS = 60_000;
const RENEW_AGAIN_MS = 10_000;

export class Credential {
  readonly #given: ConnectionOptions["token"];
  /** Given later, in place of a plain one. */
  #renewed: string | null = null;
  #renewAt = Number.POSITIVE_INFINITY;

  constructor(given: ConnectionOptions["token"]) {
    this.#given = given;
  }

  /** Whether a fresh one can be had by asking for it. */
  get renews(): boolean {
    return typeof this.#given !== "string";
  }

  /** For a new link. Throws what asking for it throws. */
  ask(): string | Promise<string> {
    const given = this.#given;
    return typeof given === "string" ? (this.#renewed ?? given) : given();
  }

  replace(token: string): void {
    this.#renewed = token;
  }

  /** Well before its end: an identity service that is slow shall not cost the link. */
  lasts(expiresInMs: number | null | undefined): void {
    const lifeMs = expiresInMs ?? Number.POSITIVE_INFINITY;
    this.#renewAt = Date.now() + Math.max(lifeMs - RENEW_MARGIN_MS, lifeMs / 2);
  }

  /** Whether it is time to ask for the next one; said again after a while. */
  isDue(): boolean {
    if (Date.now() < this.#renewAt) return false;
    this.#renewAt = Date.now() + RENEW_AGAIN_MS;
    return this.renews;
  }
}
