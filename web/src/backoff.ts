// How long to wait before the next attempt: exponential with full jitter. Pure.
//
// Full jitter, because a thousand browsers lose a restarted server in the same instant: spread over
// the whole interval they come back as a stream and not as waves.

export const BACKOFF_BASE_MS = 500;
export const BACKOFF_CAP_MS = 20_000;

/** Milliseconds after `attempts` attempts that failed in a row; `fraction` is drawn from [0, 1). */
export function backoffMs(attempts: number, fraction: number): number {
  return fraction * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempts, 10));
}
