// For auditors: what happened when, and a scrubber that shows the inbox as it was then.

import { useEffect, useState } from "react";
import { getMinutes, type Minute, messageAfter } from "./audit";
import { useNow } from "./hooks";
import { BackIcon, CloseIcon } from "./icons";
import { ScreenBanner, WhoseScreen } from "./OnScreen";
import { bars, Plot } from "./Plot";
import { go } from "./route";
import { Signed } from "./Signed";
import { ProblemText } from "./SyncButton";
import { clock, moment } from "./times";
import type { Past } from "./usePast";
import { useWords } from "./words";

const MINUTE_MS = 60_000;
const SPANS = { hour: 60, day: 24 * 60, week: 7 * 24 * 60 };
type Span = keyof typeof SPANS;
const BARS_MAX = 120;
const SETTLED_MS = 150;
const LOOK_AGAIN_MS = 30_000;

export function Timeline({
  token,
  past,
  onClose,
}: {
  readonly token: string;
  readonly past: Past;
  readonly onClose: () => void;
}) {
  const words = useWords();
  const [span, setSpan] = useState<Span>("hour");
  const now = useNow(LOOK_AGAIN_MS);
  return (
    <section className="timeline" aria-label={words.timeline}>
      <div className="timeline-head">
        <Standing past={past} />
        <Steps token={token} past={past} />
        <span className="top-space" />
        <WhoseScreen token={token} whose={past.whose} />
        <Signed token={token} />
        <select
          className="span"
          aria-label={words.span}
          value={span}
          onChange={(event) => setSpan(event.target.value as Span)}
        >
          {(Object.keys(SPANS) as Span[]).map((each) => (
            <option key={each} value={each}>
              {words.spans[each]}
            </option>
          ))}
        </select>
        <button
          type="button"
          className="icon-button timeline-close"
          aria-label={words.close}
          onClick={onClose}
        >
          <CloseIcon size={16} />
        </button>
      </div>
      <ScreenBanner past={past} />
      <Scrubber token={token} past={past} until={now} minutes={SPANS[span]} />
    </section>
  );
}

/** Where one is, and the way back. */
function Standing({ past }: { readonly past: Past }) {
  const words = useWords();
  const number = new Intl.NumberFormat(words.locale);
  const { inbox, time, problem } = past;
  if (problem !== null) {
    return (
      <p role="alert">
        {problem.status === 400 ? words.noSuchMoment : <ProblemText problem={problem} />}{" "}
        <BackToNow />
      </p>
    );
  }
  if (inbox === null)
    return <p className="meta">{past.loading ? words.loading : words.timelineHelp}</p>;
  return (
    <p className="figures" role="status">
      {words.lookingAt(time === null ? "–" : moment(words, time), number.format(inbox.position))}{" "}
      <BackToNow />
    </p>
  );
}

function BackToNow() {
  const words = useWords();
  return (
    <button type="button" className="button" onClick={() => go({ at: null, on: null })}>
      {words.backToNow}
    </button>
  );
}

/** From one message to the one before or after it. */
function Steps({ token, past }: { readonly token: string; readonly past: Past }) {
  const words = useWords();
  const { inbox } = past;
  if (inbox === null) return null;
  const newest = inbox.getConversation(inbox.getSnapshot().conversations[0] ?? "")?.last_position;
  const later = async () => {
    const position = await messageAfter(token, inbox.position);
    go({ at: position === null ? null : String(position) });
  };
  return (
    <span className="steps">
      <button
        type="button"
        className="icon-button"
        aria-label={words.messageBefore}
        title={words.messageBefore}
        disabled={newest === undefined || newest <= 1}
        onClick={() => newest !== undefined && go({ at: String(newest - 1) })}
      >
        <BackIcon size={16} />
      </button>
      <button
        type="button"
        className="icon-button step-later"
        aria-label={words.messageAfter}
        title={words.messageAfter}
        onClick={() => void later()}
      >
        <BackIcon size={16} />
      </button>
    </span>
  );
}

function Scrubber({
  token,
  past,
  until,
  minutes,
}: {
  readonly token: string;
  readonly past: Past;
  readonly until: number;
  readonly minutes: number;
}) {
  const words = useWords();
  const since = until - minutes * MINUTE_MS;
  const known = useMinutes(token, since, until);
  const [dragged, setDragged] = useState<number | null>(null);
  const step = Math.max(1_000, (minutes * MINUTE_MS) / 3_600);
  useEffect(() => {
    if (dragged === null) return;
    const timer = setTimeout(() => {
      go({ at: dragged >= until - step ? null : new Date(dragged).toISOString() });
      setDragged(null);
    }, SETTLED_MS);
    return () => clearTimeout(timer);
  }, [dragged, until, step]);
  const stands = past.inbox === null || past.time === null ? until : Date.parse(past.time);
  const value = Math.min(until, Math.max(since, dragged ?? stands));
  const points = known.map(({ time, messages }) => ({ at: Date.parse(time), value: messages }));
  const shown = bars(points, since, until, Math.min(BARS_MAX, minutes));
  const total = points.reduce((sum, { value: count }) => sum + count, 0);
  const told = (at: number) => (minutes > SPANS.hour ? moment(words, at) : clock(words.locale, at));
  return (
    <div className="track">
      <Plot shown={shown} label={words.throughput(total, told(since), told(until))} />
      <input
        type="range"
        className="scrubber"
        aria-label={words.scrubber}
        aria-valuetext={value >= until ? words.nowLabel : moment(words, value)}
        min={since}
        max={until}
        step={step}
        value={value}
        onChange={(event) => setDragged(Number(event.target.value))}
      />
      <p className="axis meta figures">
        <time dateTime={new Date(since).toISOString()}>{told(since)}</time>
        {dragged === null ? null : <strong>{moment(words, dragged)}</strong>}
        <span>{words.nowLabel}</span>
      </p>
    </div>
  );
}

function useMinutes(token: string, since: number, until: number): readonly Minute[] {
  const [known, setKnown] = useState<readonly Minute[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    // Without the bars the scrubber works all the same.
    getMinutes(token, since, until, stop.signal).then(setKnown, () => undefined);
    return () => stop.abort();
  }, [token, since, until]);
  return known;
}
