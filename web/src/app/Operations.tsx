// The page for administrators: one hour of traffic, who is online and how well, what was put aside.

import type { Minute } from "./audit";
import { BackIcon } from "./icons";
import { Online } from "./Online";
import { type Figures, useFigures } from "./operations";
import { Parked } from "./Parked";
import { bars, Plot } from "./Plot";
import { go } from "./route";
import { ProblemText } from "./SyncButton";
import { clock, clockWithSeconds } from "./times";
import { useWords } from "./words";

const HOUR_MS = 3_600_000;
const MINUTES = 60;

export function Operations({ token }: { readonly token: string }) {
  const words = useWords();
  const { figures, problem, again } = useFigures(token);
  return (
    <main className="operations">
      <header className="operations-head">
        <button
          type="button"
          className="icon-button"
          aria-label={words.back}
          onClick={() => go({ page: null })}
        >
          <BackIcon />
        </button>
        <h2>{words.operations}</h2>
        {figures === null ? null : (
          <span className="meta figures">
            {words.asOf(clockWithSeconds(words.locale, figures.at))}
          </span>
        )}
      </header>
      {problem === null ? null : (
        <p className="told" role="alert">
          <ProblemText problem={problem} />
        </p>
      )}
      {figures === null ? null : (
        <>
          <Summary figures={figures} />
          <Plots minutes={figures.minutes} until={figures.at} />
          <Online figures={figures} />
          <Parked token={token} parked={figures.parked} onReplayed={again} />
        </>
      )}
    </main>
  );
}

function Summary({ figures }: { readonly figures: Figures }) {
  const words = useWords();
  const { sessions, parked, head, minutes } = figures;
  const number = new Intl.NumberFormat(words.locale);
  const users = new Set(sessions.map(({ user }) => user)).size;
  const behind = Math.max(0, ...sessions.map((one) => one.behind));
  const told: readonly (readonly [string, string])[] = [
    [words.online, `${words.users(users)} · ${words.devices(sessions.length)}`],
    [words.messagesHour, number.format(sum(minutes, "messages"))],
    [words.mostBehind, number.format(behind)],
    [words.putAside, number.format(parked.length)],
    [words.head, number.format(head)],
  ];
  return (
    <dl className="summary">
      {told.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="figures">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const sum = (minutes: readonly Minute[], name: Exclude<keyof Minute, "time">) =>
  minutes.reduce((total, minute) => total + minute[name], 0);

/** Four plots over the same hour: what came in, what was acknowledged, how fast, what broke. */
function Plots({
  minutes,
  until,
}: {
  readonly minutes: readonly Minute[];
  readonly until: number;
}) {
  const words = useWords();
  const number = new Intl.NumberFormat(words.locale, { maximumFractionDigits: 1 });
  const since = until - HOUR_MS;
  const aMinute = (value: number) => words.mostAMinute(number.format(value));
  const shown: readonly (readonly [
    string,
    (minute: Minute) => number,
    (most: number) => string,
  ])[] = [
    [words.plots.messages, ({ messages }) => messages, aMinute],
    [words.plots.acknowledged, ({ acknowledged }) => acknowledged, aMinute],
    [
      words.plots.roundTrip,
      ({ rtt_us, pongs }) => (pongs === 0 ? 0 : rtt_us / pongs / 1000),
      (most) => words.most(`${number.format(most)} ms`),
    ],
    [words.plots.interruptions, ({ disconnected, missed }) => disconnected + missed, aMinute],
  ];
  return (
    <div className="plots">
      {shown.map(([name, counted, say]) => {
        const points = minutes.map((one) => ({ at: Date.parse(one.time), value: counted(one) }));
        const hour = bars(points, since, until, MINUTES);
        const most = say(Math.max(0, ...hour.map(({ value }) => value)));
        return (
          <figure key={name}>
            <figcaption>
              {name} <span className="meta figures">{most}</span>
            </figcaption>
            <Plot shown={hour} label={`${name}: ${most}`} />
            <p className="axis meta figures">
              <time dateTime={new Date(since).toISOString()}>{clock(words.locale, since)}</time>
              <span>{words.nowLabel}</span>
            </p>
          </figure>
        );
      })}
    </div>
  );
}
