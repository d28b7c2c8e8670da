import type { Cursor } from "./wire";

/** The position in a cursor, `epoch.position.hash8`; 0 for none. */
export function positionOf(cursor: Cursor | null): number {
  return cursor === null ? 0 : Number(cursor.split(".").at(-2));
}

/** The log a cursor belongs to. */
export function epochOf(cursor: Cursor): string {
  return cursor.split(".").slice(0, -2).join(".");
}
