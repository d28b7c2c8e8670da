import type { ConnectionState } from "../model";
import { useWords } from "./words";

const WIDTH = 272;
const HEIGHT = 40;
const SPAN_MS = 5 * 60_000;

/** The round trips of the last five minutes; time runs to the right edge, which is now. */
export function Sparkline({
  history,
  now,
}: {
  readonly history: ConnectionState["rttHistory"];
  readonly now: number;
}) {
  const words = useWords();
  const seen = history.filter(({ at }) => now - at <= SPAN_MS);
  if (seen.length === 0) return <p className="meta">{words.noRoundTrips}</p>;
  const values = seen.map(({ rttMs }) => rttMs);
  const high = Math.max(...values);
  const scale = Math.max(high, 50);
  const points = seen.map(({ at, rttMs }) => ({
    x: Math.max(2, WIDTH - 4 - ((now - at) / SPAN_MS) * (WIDTH - 8)),
    y: HEIGHT - 4 - (rttMs / scale) * (HEIGHT - 8),
  }));
  const last = points.at(-1);
  return (
    <svg
      className="sparkline"
      role="img"
      aria-label={words.rttChart(words.ms(Math.min(...values)), words.ms(high))}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
    >
      <path className="sparkline-base" d={`M0 ${HEIGHT - 2}H${WIDTH}`} />
      <polyline points={points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ")} />
      {last === undefined ? null : <circle cx={last.x} cy={last.y} r="2.5" />}
    </svg>
  );
}
