// How much of something there was over time: bars, without a library.

export interface Bar {
  readonly at: number;
  readonly value: number;
}

/** Adds up what lies in each of `count` equal parts of the time from `since` to `until` (ms). */
export function bars(
  points: readonly Bar[],
  since: number,
  until: number,
  count: number,
): readonly Bar[] {
  const width = (until - since) / count;
  const sums = new Array<number>(count).fill(0);
  for (const { at, value } of points) {
    const index = Math.floor((at - since) / width);
    if (index >= 0 && index < count) sums[index] = (sums[index] ?? 0) + value;
  }
  return sums.map((value, index) => ({ at: since + index * width, value }));
}

const HEIGHT = 100;

/** Bars from left to right, the highest as high as the plot. `label` says what they show. */
export function Plot({ shown, label }: { readonly shown: readonly Bar[]; readonly label: string }) {
  const high = Math.max(1, ...shown.map(({ value }) => value));
  return (
    <svg
      className="plot"
      role="img"
      aria-label={label}
      viewBox={`0 0 ${shown.length * 4} ${HEIGHT}`}
      preserveAspectRatio="none"
    >
      {shown.map(({ at, value }, index) =>
        value === 0 ? null : (
          <rect
            key={at}
            x={index * 4 + 0.5}
            width={3}
            y={HEIGHT - Math.max(3, (value / high) * HEIGHT)}
            height={Math.max(3, (value / high) * HEIGHT)}
          />
        ),
      )}
    </svg>
  );
}
