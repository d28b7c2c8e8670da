import { useCallback, useEffect, useState } from "react";
import type { InboxStore, Problem, SyncOutcome } from "../model";
import { STORAGE, UNREACHABLE } from "../model";
import { CloseIcon, SyncIcon } from "./icons";
import { clockWithSeconds } from "./times";
import { useWords, type Words } from "./words";

const SHOWN_MS = 6000;

/** Runs a sync and says how it ended: for 6 s, or, where it failed, until dismissed. */
export function useSync(store: InboxStore) {
  const [outcome, setOutcome] = useState<SyncOutcome | null>(null);
  const run = useCallback(() => {
    setOutcome(null);
    void store.sync().then(setOutcome);
  }, [store]);
  const dismiss = useCallback(() => setOutcome(null), []);
  useEffect(() => {
    if (outcome === null || outcome.outcome === "failed" || !outcome.verified) return;
    const timer = setTimeout(() => setOutcome(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  return { outcome, run, dismiss };
}

export function SyncButton({
  syncing,
  sync,
}: {
  readonly syncing: boolean;
  readonly sync: ReturnType<typeof useSync>;
}) {
  const words = useWords();
  return (
    <div className="sync">
      <button
        type="button"
        className="icon-button"
        aria-label={syncing ? words.syncing : words.sync}
        title={words.sync}
        aria-busy={syncing}
        onClick={sync.run}
      >
        <span className={syncing ? "turning" : undefined}>
          <SyncIcon />
        </span>
      </button>
      <div role="status" className="sync-status">
        {sync.outcome === null || syncing ? null : (
          <SyncTold outcome={sync.outcome} dismiss={sync.dismiss} retry={sync.run} />
        )}
      </div>
    </div>
  );
}

function SyncTold({
  outcome,
  dismiss,
  retry,
}: {
  readonly outcome: SyncOutcome;
  readonly dismiss: () => void;
  readonly retry: () => void;
}) {
  const words = useWords();
  const failed = outcome.outcome === "failed";
  return (
    <div className={failed ? "toast toast-bad" : "toast"}>
      <div className="toast-text">
        {failed ? <Failure problem={outcome.problem} /> : <Success outcome={outcome} />}
      </div>
      {failed ? (
        <button type="button" className="button" onClick={retry}>
          {words.tryAgain}
        </button>
      ) : null}
      <button type="button" className="icon-button" aria-label={words.dismiss} onClick={dismiss}>
        <CloseIcon size={16} />
      </button>
    </div>
  );
}

function Success({ outcome }: { readonly outcome: Exclude<SyncOutcome, { outcome: "failed" }> }) {
  const words = useWords();
  const { messages, conversations, completeTo, verified } = outcome;
  const time = clockWithSeconds(words.locale, completeTo);
  return (
    <>
      <strong>
        {outcome.outcome === "received"
          ? words.syncReceived(messages, conversations)
          : words.syncUpToDate(time)}
      </strong>{" "}
      {verified ? (
        <span className="tone-good verified">✓ {words.verified}</span>
      ) : (
        <span className="tone-bad">{words.notVerified}</span>
      )}
    </>
  );
}

function Failure({ problem }: { readonly problem: Problem }) {
  const words = useWords();
  return (
    <>
      <strong>{words.syncFailed}.</strong> <ProblemText problem={problem} />
    </>
  );
}

/** What happened, what to do, and the request's id for whoever asks. */
export function ProblemText({ problem }: { readonly problem: Problem }) {
  const words = useWords();
  return (
    <>
      {explained(words, problem)}
      {problem.request_id === undefined ? null : (
        <span className="meta request-id">{words.requestId(problem.request_id)}</span>
      )}
    </>
  );
}

function explained(words: Words, problem: Problem): string {
  if (problem.type === UNREACHABLE) return words.unreachable;
  if (problem.type === STORAGE) return words.storageFailed;
  return problem.detail ?? problem.title;
}
