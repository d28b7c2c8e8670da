// After which closes a connection does not come back by itself.

import * as CLOSE from "./close";
import type { CloseInfo, ConnectionOptions } from "./connectionOptions";
import type { StopReason } from "./model";

/** Null: it comes back. `mayRenew`: an expired token's successor can be asked for. */
export function stopReason(
  close: CloseInfo,
  mayRenew: boolean,
  attempts: number,
  { maxAttempts, shouldReconnect }: ConnectionOptions,
): StopReason | null {
  const { code } = close;
  if (code >= 4500 && code < 5000 && !(code === CLOSE.UNAUTHORIZED && mayRenew)) {
    if (code === CLOSE.UNAUTHORIZED) return "signed_out";
    if (code === CLOSE.REVOKED) return "revoked";
    return code === CLOSE.VERSION_NOT_SUPPORTED ? "not_supported" : "refused";
  }
  if (maxAttempts != null && attempts >= maxAttempts) return "attempts_used_up";
  return shouldReconnect?.(close) === false ? "refused" : null;
}
