import type { ConnectionState } from "../model";
import { useWords } from "./words";

const SPAN_MS = 5 * 60_000;

/** The round trips of the last five minutes, or of `spanMs`; time runs to the right edge, which is now. */
export function Sparkline({
  history,
  now,
  width = 272,
  height = 40,
  spanMs = SPAN_MS,
}: {
  readonly history: ConnectionState["rttHistory"];
  readonly now: number;
  readonly width?: number;
  readonly height?: number;
  /** How much time the line covers. */
  readonly spanMs?: number;
}) {
  const words = useWords();
  const seen = history.filter(({ at }) => now - at <= spanMs);
  if (seen.length === 0) return <p className="meta">{words.noRoundTrips}</p>;
  const values = seen.map(({ rttMs }) => rttMs);
  const high = Math.max(...values);
  const scale = Math.max(high, 50);
  const points = seen.map(({ at, rttMs }) => ({
    x: Math.max(2, width - 4 - ((now - at) / spanMs) * (width - 8)),
    y: height - 4 - (rttMs / scale) * (height - 8),
  }));
  const last = points.at(-1);
  return (
    <svg
      className="sparkline"
      role="img"
      aria-label={words.rttChart(words.ms(Math.min(...values)), words.ms(high))}
      viewBox={`0 0 ${width} ${height}`}
    >
      <path className="sparkline-base" d={`M0 ${height - 2}H${width}`} />
      <polyline points={points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ")} />
      {last === undefined ? null : <circle cx={last.x} cy={last.y} r="2.5" />}
    </svg>
  );
}
