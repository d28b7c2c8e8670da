// Who is connected: how well, how far behind, and what is on its way to them.

import { useNow } from "./hooks";
import { LiveMark, SlowMark } from "./icons";
import { OperationsTable } from "./OperationsTable";
import { BEATS_MS, type Figures, type OpenSession } from "./operations";
import { Sparkline } from "./Sparkline";
import { full, short } from "./times";
import { useWords } from "./words";

const SPAN_MIN_MS = 30_000;

export function Online({ figures }: { readonly figures: Figures }) {
  const words = useWords();
  return (
    <OperationsTable
      name="online"
      title={words.whoIsOnline}
      columns={words.onlineColumns}
      empty={figures.sessions.length === 0 ? words.nobodyOnline : null}
    >
      {figures.sessions.map((session) => (
        <OnlineRow key={session.session} session={session} figures={figures} />
      ))}
    </OperationsTable>
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
