// The page for administrators: one hour of traffic, who is online and how well, what was put aside.

import { type ReactNode, useState } from "react";
import type { Problem } from "../model";
import { ProblemError } from "../model";
import type { Minute } from "./audit";
import { useNow } from "./hooks";
import { BackIcon, LiveMark, SlowMark } from "./icons";
import {
  BEATS_MS,
  type Figures,
  type OpenSession,
  type ParkedEvent,
  replay,
  useFigures,
} from "./operations";
import { bars, Plot } from "./Plot";
import { go } from "./route";
import { Sparkline } from "./Sparkline";
import { ProblemText } from "./SyncButton";
import { clock, clockWithSeconds, full, short } from "./times";
import { useWords } from "./words";

const HOUR_MS = 3_600_000;
const MINUTES = 60;
const SPAN_MIN_MS = 30_000;

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

function Online({ figures }: { readonly figures: Figures }) {
  const words = useWords();
  return (
    <Table
      name="online"
      title={words.whoIsOnline}
      columns={words.onlineColumns}
      empty={figures.sessions.length === 0 ? words.nobodyOnline : null}
    >
      {figures.sessions.map((session) => (
        <OnlineRow key={session.session} session={session} figures={figures} />
      ))}
    </Table>
  );
}

function OnlineRow({
  session,
  figures,
}: {
  readonly session: OpenSession;
  readonly figures: Figures;
}) {
  const words = useWords();
  const now = useNow(1000);
  const number = new Intl.NumberFormat(words.locale);
  const { user, device, state, quality, rtt_ms, behind, in_flight, opened_at } = session;
  const history = figures.beats.get(session.session) ?? [];
  // A session of a minute fills the line as one of five does.
  const spanMs = Math.min(BEATS_MS, Math.max(SPAN_MIN_MS, now - (history[0]?.at ?? now)));
  const poor = quality === "poor";
  return (
    <tr>
      <th scope="row">
        <span className="ellipsis">{user}</span>
        <span className="meta ellipsis">{device}</span>
      </th>
      <td>
        <span className={`quality tone-${poor ? "busy" : "good"}`}>
          {poor ? <SlowMark /> : <LiveMark />}
          {state === "catching_up" ? words.catchingUp(0) : poor ? words.slow : words.live}
        </span>
      </td>
      <td className="trips figures">
        {history.length === 0 ? null : (
          <Sparkline history={history} now={now} width={96} height={24} spanMs={spanMs} />
        )}
        <span>{rtt_ms === null ? "–" : words.ms(rtt_ms)}</span>
      </td>
      <td className="figures number">{number.format(behind)}</td>
      <td className="figures number">{number.format(in_flight.events)}</td>
      <td className="figures">
        <time dateTime={opened_at} title={full(words.locale, opened_at)}>
          {short(words, opened_at, now)}
        </time>
      </td>
    </tr>
  );
}

function Parked({
  token,
  parked,
  onReplayed,
}: {
  readonly token: string;
  readonly parked: readonly ParkedEvent[];
  readonly onReplayed: () => void;
}) {
  const words = useWords();
  return (
    <Table
      name="parked"
      title={words.putAside}
      columns={words.parkedColumns}
      empty={parked.length === 0 ? words.nothingPutAside : null}
    >
      {parked.map((one) => (
        <ParkedRow
          key={`${one.user}/${one.device} ${one.position}`}
          token={token}
          parked={one}
          onReplayed={onReplayed}
        />
      ))}
    </Table>
  );
}

function ParkedRow({
  token,
  parked,
  onReplayed,
}: {
  readonly token: string;
  readonly parked: ParkedEvent;
  readonly onReplayed: () => void;
}) {
  const words = useWords();
  const now = useNow(30_000);
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const { user, device, position, reason, parked_at, requested } = parked;
  const again = async () => {
    setAsking(true);
    setProblem(null);
    try {
      await replay(token, parked);
      onReplayed();
    } catch (trouble) {
      if (!(trouble instanceof ProblemError)) throw trouble;
      setProblem(trouble.problem);
    } finally {
      setAsking(false);
    }
  };
  return (
    <tr>
      <th scope="row" className="figures">
        {new Intl.NumberFormat(words.locale).format(position)}
      </th>
      <td>
        <span className="ellipsis">{user}</span> <span className="meta ellipsis">{device}</span>
      </td>
      <td>
        {reason}
        {problem === null ? null : (
          <p className="tone-bad" role="alert">
            <ProblemText problem={problem} />
          </p>
        )}
      </td>
      <td className="figures">
        <time dateTime={parked_at} title={full(words.locale, parked_at)}>
          {short(words, parked_at, now)}
        </time>
      </td>
      <td className="number">
        {requested == null ? (
          <button
            type="button"
            className="button"
            disabled={asking}
            aria-label={words.replayOne(position)}
            onClick={() => void again()}
          >
            {words.replay}
          </button>
        ) : (
          <span className="meta">{words.replaying}</span>
        )}
      </td>
    </tr>
  );
}

function Table({
  name,
  title,
  columns,
  empty,
  children,
}: {
  /** Which one it is, for the sheet: on a phone it has fewer columns. */
  readonly name: "online" | "parked";
  readonly title: string;
  readonly columns: readonly string[];
  /** What stands in the place of no rows; null where there are rows. */
  readonly empty: string | null;
  readonly children: ReactNode;
}) {
  return (
    <section className="operations-part" aria-label={title}>
      <h3>{title}</h3>
      {empty === null ? (
        <table className={name}>
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column} scope="col">
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{children}</tbody>
        </table>
      ) : (
        <p className="meta">{empty}</p>
      )}
    </section>
  );
}
