// Which rows of a long list of equal rows are on the page, and how its place is kept. Pure.

export const ROW_PX = 64;
const MORE_ROWS = 8;

export interface Range {
  readonly first: number;
  /** Exclusive. */
  readonly end: number;
}

export function visibleRange(scrollTop: number, height: number, count: number): Range {
  const first = Math.max(0, Math.floor(scrollTop / ROW_PX) - MORE_ROWS);
  const end = Math.min(count, Math.ceil((scrollTop + height) / ROW_PX) + MORE_ROWS);
  return { first: Math.min(first, end), end };
}

/** How far to scroll so that row `index` is seen whole; null where it is. */
export function scrollFor(index: number, scrollTop: number, height: number): number | null {
  const top = index * ROW_PX;
  if (top < scrollTop) return top;
  if (top + ROW_PX > scrollTop + height) return top + ROW_PX - height;
  return null;
}
