// What devices could not handle: why, since when, and how to have it delivered again.

import { useState } from "react";
import type { Problem } from "../model";
import { ProblemError } from "../model";
import { useNow } from "./hooks";
import { OperationsTable } from "./OperationsTable";
import { type ParkedEvent, replay } from "./operations";
import { ProblemText } from "./SyncButton";
import { full, short } from "./times";
import { useWords } from "./words";

export function Parked({
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
    <OperationsTable
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
    </OperationsTable>
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
