// The left column beside its rows: why there are none, and what is to be said above them.

import type { ReactNode } from "react";
import type { InboxState, InboxStore } from "../model";
import { BROUGHT_MAX } from "../model";
import { useLasting } from "./hooks";
import { NoticeIcon } from "./icons";
import { ProblemText } from "./SyncButton";
import type { SearchState } from "./useSearch";
import { useWords } from "./words";

const SKELETON_AFTER_MS = 150;
/** What is over sooner moves no row. */
const NOTICE_AFTER_MS = 1_000;

/** The list, or why there is none. */
export function Listed({
  state,
  empty,
  count,
  children,
}: {
  readonly state: Pick<InboxState, "phase" | "problem">;
  /** What an empty list says; null: nothing, something else says it. */
  readonly empty: string | null;
  readonly count: number;
  readonly children: ReactNode;
}) {
  const words = useWords();
  const waiting = useLasting(state.phase !== "ready" && state.problem === null, SKELETON_AFTER_MS);
  if (state.problem !== null && count === 0) {
    return (
      <div className="empty" role="alert">
        <p>
          <ProblemText problem={state.problem} />
        </p>
      </div>
    );
  }
  if (count > 0) return children;
  if (state.phase === "ready") {
    return empty === null ? null : <p className="empty meta">{empty}</p>;
  }
  return waiting ? <Skeleton label={words.loading} /> : null;
}

function Skeleton({ label }: { readonly label: string }) {
  return (
    <div className="skeleton" role="status" aria-label={label}>
      {Array.from({ length: 8 }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: eight equal rows
        <span key={index} />
      ))}
    </div>
  );
}

/** Quiet rows above the list: what fell out of the queue, and a history that was replaced. */
export function Notices({
  store,
  state,
  onLoad,
}: {
  readonly store: InboxStore;
  readonly state: InboxState;
  /** Brings what was skipped. */
  readonly onLoad: () => void;
}) {
  const words = useWords();
  const { skipped, reset, syncing, lastSync } = state;
  const near = skipped !== null && skipped.count <= BROUGHT_MAX;
  const coming = syncing || (near && lastSync?.outcome !== "failed");
  const slow = useLasting(coming && skipped !== null, NOTICE_AFTER_MS);
  return (
    <>
      {skipped === null || (coming && !slow) ? null : (
        <div className="notice-row" role="status">
          <NoticeIcon />{" "}
          <span>{coming ? words.bringing(skipped.count) : words.skipped(skipped.count)}</span>
          {coming ? null : (
            <button type="button" className="button" onClick={onLoad}>
              {words.load}
            </button>
          )}
        </div>
      )}
      {reset === null ? null : (
        <div className="notice-row" role="status">
          <NoticeIcon /> <span>{words.reset[reset.reason]}</span>
          <button type="button" className="button" onClick={() => store.dismissReset()}>
            {words.dismiss}
          </button>
        </div>
      )}
    </>
  );
}

export function SearchTold({
  search,
  typed,
}: {
  readonly search: SearchState;
  readonly typed: string;
}) {
  const words = useWords();
  const text = searchText();
  return (
    <div role="status" className={text === "" ? "visually-hidden" : "search-told meta"}>
      {search.problem === null ? text : <ProblemText problem={search.problem} />}
    </div>
  );

  function searchText(): string {
    if (search.problem !== null) return search.problem.title;
    if (search.ids === null) return search.running ? words.searching : "";
    const count = search.ids.length;
    const counted = search.mayBeMore ? words.searchResultsAtLeast : words.searchResults;
    const found = count === 0 ? words.searchNothing(typed.trim()) : counted(count);
    return search.local ? `${found} · ${words.searchLocal}` : found;
  }
}
