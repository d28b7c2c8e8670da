// The life of one message, for auditors: a line with stations, from the webhook to each device's ack.

import { type CSSProperties, type ReactNode, useEffect, useState } from "react";
import type { Problem, Time } from "../model";
import { ProblemError } from "../model";
import { CopyValue } from "./Copy";
import { CloseIcon, SyncIcon } from "./icons";
import { ProblemText } from "./SyncButton";
import { clockWithMs, full, took } from "./times";
import {
  apartPx,
  type DeviceTrace,
  getTrace,
  isPlain,
  type Outcome,
  type Step,
  type Trace,
  type TracedEvent,
  type TracedWebhook,
  tookUs,
} from "./trace";
import { useWords, type Words } from "./words";

const TONES: Record<Outcome, string> = {
  acknowledged: "tone-good",
  outstanding: "tone-busy",
  parked: "tone-bad",
  skipped: "",
  withdrawn: "",
};

export function TraceDetails({
  token,
  position,
  onClose,
}: {
  readonly token: string;
  readonly position: number;
  readonly onClose: () => void;
}) {
  const words = useWords();
  const { trace, problem, again, more } = useTrace(token, position);
  return (
    <aside className="details trace" aria-label={words.trace.title}>
      <header className="details-head">
        <h2>{words.trace.title}</h2>
        <button
          type="button"
          className="icon-button"
          aria-label={words.trace.again}
          title={words.trace.again}
          onClick={again}
        >
          <SyncIcon />
        </button>
        <button type="button" className="icon-button" aria-label={words.close} onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      {problem === null ? null : (
        <p className="tone-bad" role="alert">
          <ProblemText problem={problem} />
        </p>
      )}
      {trace === null ? null : <Traced trace={trace} onMore={more} />}
    </aside>
  );
}

/** Asked once, and again where that is wanted; more devices are joined to those that are here. */
function useTrace(token: string, position: number) {
  const [trace, setTrace] = useState<Trace | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asked, setAsked] = useState<{ after: string | null }>({ after: null });
  useEffect(() => {
    const stop = new AbortController();
    setProblem(null);
    getTrace(token, position, asked.after, stop.signal).then(
      (page) =>
        setTrace((known) => {
          if (asked.after === null || known === null) return page;
          return { ...page, devices: [...known.devices, ...page.devices] };
        }),
      (trouble: unknown) => {
        if (trouble instanceof ProblemError) setProblem(trouble.problem);
        else if (!(trouble instanceof DOMException)) throw trouble;
      },
    );
    return () => stop.abort();
  }, [token, position, asked]);
  const again = () => setAsked({ after: null });
  const more = () => setAsked({ after: trace?.next ?? null });
  return { trace: trace?.event.position === position ? trace : null, problem, again, more };
}

function Traced({ trace, onMore }: { readonly trace: Trace; readonly onMore: () => void }) {
  const words = useWords();
  const { event, webhook, beside, later, devices, next, truncated } = trace;
  return (
    <>
      <ol className="stations">
        {webhook === null ? null : <Webhook webhook={webhook} />}
        <Station
          title={words.trace.stored(event.position)}
          time={event.time}
          after={webhook?.time ?? null}
        >
          {beside.length === 0 ? null : (
            <p className="meta">
              {words.trace.beside(beside.length, truncated.includes("beside"))}
            </p>
          )}
          <CopyValue name={words.hash} value={event.hash} />
        </Station>
        {later.map((one, index) => (
          <Later key={one.position} event={one} after={later[index - 1]?.time ?? event.time} />
        ))}
      </ol>
      {truncated.includes("later") ? (
        <p className="meta">{words.trace.moreLater(later.length)}</p>
      ) : null}
      <h3>{words.trace.devices}</h3>
      {devices.length === 0 ? <p className="meta">{words.trace.nobody}</p> : null}
      {devices.map((one) => (
        <Device key={`${one.user}/${one.device}`} device={one} stored={event.time} />
      ))}
      {next === null ? null : (
        <button type="button" className="button" onClick={onMore}>
          {words.trace.more}
        </button>
      )}
    </>
  );
}

function Webhook({ webhook }: { readonly webhook: TracedWebhook }) {
  const words = useWords();
  const { provider, time, redacted, body_bytes, body_sha256, correlation_id } = webhook;
  return (
    <Station title={words.trace.webhook(provider)} time={time} after={null}>
      <p className="meta">
        {redacted ? words.trace.bodyErased : words.trace.verified(body_bytes ?? 0)}
      </p>
      <CopyValue name={words.trace.request} value={correlation_id} />
      <CopyValue name={words.trace.delivery} value={webhook.delivery_id} />
      <CopyValue name={words.trace.sha256} value={body_sha256} />
      <CopyValue name={words.hash} value={webhook.hash} />
    </Station>
  );
}

/** What was said of it afterwards: a status, an edit, an erasure. */
function Later({ event, after }: { readonly event: TracedEvent; readonly after: Time }) {
  const words = useWords();
  const why = [event.data?.reason, event.data?.by].filter(Boolean).join(" · ");
  return (
    <Station title={laterTitle(words, event)} time={event.time} after={after}>
      {why === "" ? null : <p className="meta">{why}</p>}
    </Station>
  );
}

function laterTitle(words: Words, { type, data }: TracedEvent): string {
  const status = words.status[(data?.status ?? "") as keyof Words["status"]];
  if (type === "message.status_changed" && status !== undefined)
    return words.trace.reported(status);
  if (type === "message.received") {
    return data?.content?.type === "reaction"
      ? words.reactedWith(data.content.emoji ?? "")
      : words.trace.reaction;
  }
  return words.trace.later[type] ?? type;
}

function Device({ device, stored }: { readonly device: DeviceTrace; readonly stored: Time }) {
  const words = useWords();
  const { user, device: name, outcome, took_us, steps, left_out } = device;
  return (
    <details className="device-trace" open={!isPlain(device)}>
      <summary>
        <span className="device-name">
          <span className="ellipsis">{user}</span>
          <span className="meta ellipsis">{name}</span>
        </span>
        <span className={`outcome figures ${TONES[outcome]}`}>
          {words.trace.outcomes[outcome]}
          {took_us === null ? null : (
            <span className="meta">{words.trace.after(took(words.locale, took_us))}</span>
          )}
        </span>
      </summary>
      <ol className="stations">
        {steps.map((step, index) => (
          <DeviceStep
            // biome-ignore lint/suspicious/noArrayIndexKey: one event of the log may say two things
            key={index}
            step={step}
            after={steps[index - 1]?.time ?? stored}
          />
        ))}
      </ol>
      {left_out === 0 ? null : <p className="meta">{words.trace.leftOut(left_out)}</p>}
    </details>
  );
}

function DeviceStep({ step, after }: { readonly step: Step; readonly after: Time }) {
  const words = useWords();
  const { reason, by, attempt, until } = step;
  const number = new Intl.NumberFormat(words.locale);
  const told = [
    attempt === null ? null : words.trace.attempt(attempt),
    reason,
    by === null ? null : words.trace.by(by),
    until === null || step.after === null
      ? null
      : words.trace.range(number.format(step.after + 1), number.format(until)),
  ];
  return (
    <Station title={words.trace.steps[step.step]} time={step.time} after={after}>
      <p className="meta figures">{told.filter(Boolean).join(" · ")}</p>
      <CopyValue name={words.session} value={step.session} />
      <CopyValue name={words.position} value={String(step.position)} />
    </Station>
  );
}

/** `after`: the time of what came before it; the line between the two is as long as that took. */
function Station({
  title,
  time,
  after,
  children,
}: {
  readonly title: string;
  readonly time: Time;
  readonly after: Time | null;
  readonly children?: ReactNode;
}) {
  const words = useWords();
  const us = after === null ? 0 : tookUs(after, time);
  return (
    <li
      className="station"
      style={{ "--apart": `${after === null ? 0 : apartPx(us)}px` } as CSSProperties}
    >
      <p className="station-head">
        <strong>{title}</strong>
        {us > 0 ? <span className="meta figures">+{took(words.locale, us)}</span> : null}
      </p>
      <time className="meta figures" dateTime={time} title={full(words.locale, time)}>
        {clockWithMs(words.locale, time)}
      </time>
      {children}
    </li>
  );
}
