// The one place that says how things stand. Fixed width, never blinking; spoken once it has lasted.

import type { ReactNode } from "react";
import * as CLOSE from "../close";
import type { ConnectionState, InboxStore } from "../model";
import { useNow, useSettled } from "./hooks";
import { CatchingUpMark, CrossMark, LiveMark, OpenMark, SlowMark, StopMark } from "./icons";
import { Sparkline } from "./Sparkline";
import { clockWithSeconds } from "./times";
import { useWords, type Words } from "./words";

const SPOKEN_AFTER_MS = 1500;

export type Tone = "good" | "busy" | "bad" | "quiet";

interface Standing {
  readonly tone: Tone;
  readonly mark: ReactNode;
  readonly text: string;
  /** The same where there is little room. */
  readonly short: string;
  /** What a screen reader says: no countdown, no counts. */
  readonly spoken: string;
  readonly help: string | null;
}

/** The state in words. Pure: `now` decides the countdown. */
export function standing(words: Words, connection: ConnectionState, now: number): Standing {
  switch (connection.status) {
    case "live":
      return connection.quality === "poor"
        ? { ...told("busy", <SlowMark />, words.slow, words.slowHelp), short: words.slowShort }
        : told("good", <LiveMark />, words.live, null);
    case "connecting":
      return told("quiet", <OpenMark />, words.connecting, null);
    case "catching_up":
      return {
        ...told("busy", <CatchingUpMark />, words.catchingUp(connection.pending), null),
        short: words.catchingUp(0),
        spoken: words.catchingUp(0),
      };
    case "reconnecting": {
      if (connection.lastClose?.code === CLOSE.ACCESS_CHANGED && connection.attempt < 3)
        return told("quiet", <OpenMark />, words.accessChanged, null);
      const left = connection.retryAt === null ? null : secondsUntil(connection.retryAt, now);
      const text = words.reconnecting(Math.max(1, connection.attempt), left);
      return {
        ...told("bad", <OpenMark />, text, words.reconnectingHelp),
        short: words.reconnectingShort(left),
        spoken: words.reconnectingSpoken,
      };
    }
    case "offline":
      return {
        ...told("bad", <CrossMark />, words.offline, words.offlineHelp),
        short: words.offlineShort,
      };
    case "stopped": {
      const reason = connection.stopReason ?? "idle";
      return {
        ...told("bad", <StopMark />, words.stoppedTitle[reason], words.stoppedHelp[reason]),
        short: words.stoppedShort,
      };
    }
  }
}

function told(tone: Tone, mark: ReactNode, text: string, help: string | null): Standing {
  return { tone, mark, text, short: text, spoken: text, help };
}

const secondsUntil = (at: number, now: number) => Math.max(0, Math.ceil((at - now) / 1000));

export function ConnectionPill({
  store,
  connection,
  leader,
}: {
  readonly store: InboxStore;
  readonly connection: ConnectionState;
  readonly leader: boolean;
}) {
  const words = useWords();
  const now = useNow(250, connection.retryAt !== null);
  const { tone, mark, text, short, spoken } = standing(words, connection, now);
  const settled = useSettled(spoken, SPOKEN_AFTER_MS);
  return (
    <>
      <button type="button" className={`pill pill-${tone}`} popoverTarget="connection">
        {mark}
        <span className="visually-hidden">{words.connection}: </span>
        <span className="pill-text pill-long figures">{text}</span>
        <span className="pill-text pill-short figures" aria-hidden="true">
          {short}
        </span>
      </button>
      <span className="visually-hidden" role="status">
        {settled}
      </span>
      <ConnectionPopover store={store} connection={connection} leader={leader} />
    </>
  );
}

function ConnectionPopover({
  store,
  connection,
  leader,
}: {
  readonly store: InboxStore;
  readonly connection: ConnectionState;
  readonly leader: boolean;
}) {
  const words = useWords();
  const now = useNow(1000);
  const { tone, mark, text, help } = standing(words, connection, now);
  return (
    <section
      className="popover connection"
      id="connection"
      popover="auto"
      aria-label={words.connection}
    >
      <h2 className={`connection-title tone-${tone}`}>
        {mark} <span className="figures">{text}</span>
      </h2>
      {help === null ? null : <p>{help}</p>}
      <ConnectionAction store={store} connection={connection} />
      <RoundTrips connection={connection} now={now} />
      <dl className="facts">
        {connection.completeTo === null ? null : (
          <Fact name={words.complete}>{clockWithSeconds(words.locale, connection.completeTo)}</Fact>
        )}
        <Fact name={words.device}>{connection.device}</Fact>
        {connection.session === null ? null : (
          <Fact name={words.session}>{connection.session.slice(0, 8)}</Fact>
        )}
        {connection.lastClose === null || connection.status === "live" ? null : (
          <Fact name={words.lastClose}>
            {connection.lastClose.code} {connection.lastClose.reason}
          </Fact>
        )}
      </dl>
      {leader ? null : <p className="meta">{words.otherTab}</p>}
    </section>
  );
}

/** How fast the link is; nothing while there is none. */
function RoundTrips({
  connection,
  now,
}: {
  readonly connection: ConnectionState;
  readonly now: number;
}) {
  const words = useWords();
  if (connection.session === null) return null;
  return (
    <>
      <dl className="facts">
        <Fact name={words.roundTrip}>
          {connection.rttMs === null ? "–" : words.ms(connection.rttMs)}
          {connection.missed > 0 ? ` · ${words.missedBeats(connection.missed)}` : null}
        </Fact>
      </dl>
      <Sparkline history={connection.rttHistory} now={now} />
    </>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="figures">{children}</dd>
    </div>
  );
}

/** What to do about it, one button; none where there is nothing to do. */
function ConnectionAction({
  store,
  connection,
}: {
  readonly store: InboxStore;
  readonly connection: ConnectionState;
}) {
  const words = useWords();
  const { status, stopReason } = connection;
  if (status === "reconnecting" || stopReason === "attempts_used_up" || stopReason === "refused") {
    return (
      <button type="button" className="button" onClick={() => store.tryNow()}>
        {words.tryNow}
      </button>
    );
  }
  if (stopReason === "signed_out" || stopReason === "revoked") {
    return (
      <button type="button" className="button" onClick={() => void store.signOut()}>
        {words.signInAgain}
      </button>
    );
  }
  if (stopReason === "not_supported") {
    return (
      <button type="button" className="button" onClick={() => window.location.reload()}>
        {words.reload}
      </button>
    );
  }
  return null;
}
