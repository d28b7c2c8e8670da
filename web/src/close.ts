// Why a link ended. 4000-4499: reconnect with the same cursor. 4500-4999: do not; show it.
// Names of their own, and not of one object: who uses one of them carries no other.

export const NORMAL = 1000;
export const ABNORMAL = 1006;
export const RESTART = 1012;
export const OVERLOADED = 1013;
export const BAD_FRAME = 4400;
export const STALLED = 4408;
export const REPLACED = 4409;
export const ACK_OVERDUE = 4410;
export const ACCESS_CHANGED = 4411;
export const TOO_FAST = 4429;
export const UNAUTHORIZED = 4501;
export const REVOKED = 4503;
export const VERSION_NOT_SUPPORTED = 4505;
