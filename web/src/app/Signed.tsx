// How far the history is signed, how old that is, and by which key. The signature is checked here.

import { useEffect, useState } from "react";
import type { Problem } from "../model";
import { ProblemError } from "../model";
import { type Checkpoint, getCheckpoint, isSigned } from "./audit";
import { useNow } from "./hooks";
import { SealIcon } from "./icons";
import { clockWithSeconds } from "./times";
import { useWords } from "./words";

const AGAIN_MS = 15_000;

interface Seen {
  readonly checkpoint: Checkpoint | null;
  /** Null: this browser cannot check it. */
  readonly valid: boolean | null;
  readonly problem: Problem | null;
}

function useCheckpoint(token: string): Seen | null {
  const [seen, setSeen] = useState<Seen | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const look = () =>
      getCheckpoint(token, stop.signal).then(
        async (checkpoint) =>
          setSeen({ checkpoint, valid: await isSigned(checkpoint), problem: null }),
        (trouble: unknown) => {
          if (trouble instanceof ProblemError) {
            setSeen({ checkpoint: null, valid: null, problem: trouble.problem });
          } else if (!(trouble instanceof DOMException)) throw trouble;
        },
      );
    void look();
    const timer = setInterval(look, AGAIN_MS);
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, [token]);
  return seen;
}

export function Signed({ token }: { readonly token: string }) {
  const words = useWords();
  const now = useNow(1000);
  const seen = useCheckpoint(token);
  if (seen === null) return null;
  const { checkpoint, valid } = seen;
  if (checkpoint === null) {
    return <span className="meta">{seen.problem?.status === 404 ? words.notSigned : ""}</span>;
  }
  const age = Math.max(0, Math.round((now - Date.parse(checkpoint.time)) / 1000));
  const number = new Intl.NumberFormat(words.locale);
  const tone = valid === false ? "tone-bad" : valid ? "tone-good" : "";
  return (
    <>
      <button type="button" className={`button signed ${tone}`} popoverTarget="signed">
        <SealIcon size={16} />
        <span className="figures">
          {valid === false
            ? words.signatureBad
            : words.signedUpTo(number.format(checkpoint.position), words.ago(age))}
        </span>
      </button>
      <section className="popover signed-told" id="signed" popover="auto" aria-label={words.signed}>
        <h2>{words.signed}</h2>
        <p>
          {valid === null
            ? words.signatureUnchecked
            : valid
              ? words.signatureGood
              : words.signatureBad}
        </p>
        <dl className="facts">
          <Fact name={words.position} value={number.format(checkpoint.position)} />
          <Fact name={words.time} value={clockWithSeconds(words.locale, checkpoint.time)} />
          <Fact name={words.key} value={checkpoint.key_id} />
          <Fact name={words.hash} value={checkpoint.hash} />
        </dl>
        <p className="meta">{words.signedHelp}</p>
        <a
          className="button"
          download={`checkpoint-${checkpoint.position}.json`}
          href={`data:application/json,${encodeURIComponent(JSON.stringify(checkpoint))}`}
        >
          {words.saveCheckpoint}
        </a>
      </section>
    </>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="figures">{value}</dd>
    </div>
  );
}
