// The list and the conversation that is open, as the inbox is or as it was.

import { useCallback } from "react";
import type { InboxState, InboxStore } from "../model";
import { ConversationList } from "./ConversationList";
import { FirstRun } from "./FirstRun";
import { useInbox, useLasting, useMedia, useNow } from "./hooks";
import { Listed, Notices, SearchTold } from "./List";
import { OpenConversation } from "./OpenConversation";
import { go, useRoute } from "./route";
import type { Me } from "./server";
import type { Past } from "./usePast";
import type { SearchState } from "./useSearch";
import { useWords } from "./words";

const CLOCK_MS = 30_000;
const DIM_AFTER_MS = 10_000;

/** The row that keys act on. */
export interface Walk {
  readonly active: string | null;
  readonly setActive: (id: string) => void;
}

export function Columns({
  store,
  state,
  me,
  auditing,
  past,
  inbox,
  search,
  typed,
  ids,
  walk,
  details,
  onDetails,
  onLoad,
}: {
  readonly store: InboxStore;
  readonly state: InboxState;
  readonly me: Me | null;
  /** The token of an auditor; null for everybody else. */
  readonly auditing: string | null;
  readonly past: Past;
  /** The one that the list is narrowed to; null: all. */
  readonly inbox: string | null;
  readonly search: SearchState;
  readonly typed: string;
  /** The rows to list. */
  readonly ids: readonly string[];
  readonly walk: Walk;
  readonly details: boolean;
  readonly onDetails: (shown: boolean) => void;
  readonly onLoad: () => void;
}) {
  const words = useWords();
  const now = useNow(CLOCK_MS);
  const narrow = useMedia("(max-width: 599px)");
  const { c: open } = useRoute();
  const reader = past.inbox ?? store;
  const seen = useInbox(reader);
  const inPast = past.inbox !== null;
  const onRead = useCallback(
    (id: string, position: number) => store.markRead(id, position),
    [store],
  );
  const openRow = (id: string) => {
    walk.setActive(id);
    go({ c: id });
  };
  const dimmed = useLasting(state.connection.downSince !== null, DIM_AFTER_MS);
  const empty = seen.phase === "ready" && seen.complete && seen.conversations.length === 0;
  // A search says itself that it found nothing, and the banner that the device was not here yet.
  const toldElsewhere = search.ids !== null || (past.whose !== null && past.screen === null);
  const nothing = inbox !== null ? words.nothingInInbox : inPast ? words.nothingYet : null;
  const emptyText = toldElsewhere ? null : nothing;
  const first = empty && !inPast && me !== null ? <FirstRun store={store} me={me} /> : null;
  const classes = ["columns", open === null ? "" : "columns-open", dimmed ? "dimmed" : ""];
  return (
    <main className={classes.join(" ").trim()}>
      <nav className="side" aria-label={words.conversations}>
        {inPast ? null : <Notices store={store} state={state} onLoad={onLoad} />}
        <SearchTold search={search} typed={typed} />
        <Listed state={seen} empty={emptyText} count={ids.length}>
          <ConversationList
            inbox={reader}
            ids={ids}
            complete={seen.complete || search.ids !== null}
            open={open}
            active={walk.active}
            now={now}
            found={search.found}
            onOpen={openRow}
            onActive={walk.setActive}
          />
        </Listed>
      </nav>
      {narrow && open === null ? (
        first
      ) : (
        <OpenConversation
          key={`${open} ${past.inbox?.position}`}
          inbox={reader}
          id={open}
          found={open === null ? undefined : search.found.get(open)}
          token={auditing}
          onRead={me?.may.includes("read") && !inPast ? onRead : null}
          now={now}
          details={details}
          onDetails={onDetails}
          empty={first}
        />
      )}
    </main>
  );
}
