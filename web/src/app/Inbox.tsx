// The inbox: the list and the open conversation under the top bar, and what keys do.

import { useCallback, useMemo, useRef, useState } from "react";
import type { InboxReader, InboxState, InboxStore } from "../model";
import { ConversationList } from "./ConversationList";
import { FirstRun } from "./FirstRun";
import { useInbox, useLasting, useMedia, useNow } from "./hooks";
import { Listed, Notices, SearchTold } from "./List";
import { OpenConversation } from "./OpenConversation";
import { Operations } from "./Operations";
import { go, useRoute } from "./route";
import { Shortcuts } from "./Shortcuts";
import { useSync } from "./SyncButton";
import { Timeline } from "./Timeline";
import { TopBar } from "./TopBar";
import { useMe } from "./useMe";
import { usePast } from "./usePast";
import { type SearchState, useSearch } from "./useSearch";
import { useShortcuts } from "./useShortcuts";
import type { Language } from "./words";
import { useWords } from "./words";

const CLOCK_MS = 30_000;
const DIM_AFTER_MS = 10_000;

export function Inbox({
  store,
  state,
  language,
  onLanguage,
}: {
  readonly store: InboxStore;
  readonly state: InboxState;
  readonly language: Language;
  readonly onLanguage: (language: Language) => void;
}) {
  const words = useWords();
  const now = useNow(CLOCK_MS);
  const narrow = useMedia("(max-width: 599px)");
  const wide = useMedia("(min-width: 900px)");
  const { c: open, at, page } = useRoute();
  const [inbox, setInbox] = useState<string | null>(null);
  const [typed, setTyped] = useState("");
  const [details, setDetails] = useState(false);
  const [help, setHelp] = useState(false);
  const searchBox = useRef<HTMLInputElement>(null);
  const sync = useSync(store);
  const me = useMe(store, state.user, state.connection.status === "live");
  const past = usePast(store, at);
  const inPast = past.inbox !== null;
  const reader = past.inbox ?? store;
  const seen = useInbox(reader);
  const token = store.getToken();
  const asOf = past.inbox?.position ?? null;
  const search = useSearch(typed, { reader, token, inbox, asOf });
  const ids = useShownIds(reader, seen.conversations, inbox, search);
  const [wanted, setWanted] = useState(false);
  const timeline = wanted || at !== null;
  const isAuditor = me?.role === "auditor" || me?.role === "admin";
  const walk = useWalk(ids);

  const onRead = useCallback(
    (id: string, position: number) => store.markRead(id, position),
    [store],
  );
  const openRow = (id: string) => {
    walk.setActive(id);
    go({ c: id });
  };
  const leave = () => {
    if (help) return;
    if (operations) {
      go({ page: null });
      return;
    }
    if (details && !wide) setDetails(false);
    else {
      if (typed === "") go({ c: null });
      setTyped("");
      document.querySelector<HTMLElement>(".list")?.focus();
    }
  };
  const operations = page === "operations" && me?.role === "admin" && token !== null;
  const toggleTimeline = () => {
    setWanted(!timeline);
    go({ at: null });
  };
  const openActive = () => {
    if (walk.active !== null) openRow(walk.active);
  };
  const shortcuts = useShortcuts({
    j: () => walk.step(1),
    k: () => walk.step(-1),
    Enter: openActive,
    Escape: leave,
    "/": () => searchBox.current?.focus(),
    s: sync.run,
    d: () => setDetails((shown) => !shown),
    t: () => isAuditor && toggleTimeline(),
    "?": () => setHelp(true),
  });

  const dimmed = useLasting(state.connection.downSince !== null, DIM_AFTER_MS);
  const empty = state.phase === "ready" && state.complete && state.conversations.length === 0;
  const filtered = inbox !== null || search.ids !== null;
  const emptyText = filtered ? words.nothingInInbox : inPast ? words.nothingYet : null;
  const first = empty && !inPast && me !== null ? <FirstRun store={store} me={me} /> : null;
  const classes = ["columns", open === null ? "" : "columns-open", dimmed ? "dimmed" : ""];
  return (
    <div className={inPast ? "app past" : "app"}>
      <TopBar
        store={store}
        state={state}
        me={me}
        inbox={inbox}
        onInbox={setInbox}
        typed={typed}
        onTyped={setTyped}
        searchBox={searchBox}
        sync={sync}
        language={language}
        onLanguage={onLanguage}
        timeline={timeline}
        onTimeline={isAuditor ? toggleTimeline : null}
        onShortcuts={() => setHelp(true)}
      />
      {timeline && isAuditor && !operations && token !== null ? (
        <Timeline token={token} past={past} onClose={toggleTimeline} />
      ) : null}
      {operations ? (
        <Operations token={token} />
      ) : (
        <main className={classes.join(" ").trim()}>
          <nav className="side" aria-label={words.conversations}>
            {inPast ? null : <Notices store={store} state={state} onLoad={sync.run} />}
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
              key={`${open} ${asOf}`}
              inbox={reader}
              id={open}
              found={open === null ? undefined : search.found.get(open)}
              onRead={me?.may.includes("read") && !inPast ? onRead : null}
              now={now}
              details={details}
              onDetails={setDetails}
              empty={first}
            />
          )}
        </main>
      )}
      <Shortcuts
        open={help}
        on={shortcuts.on}
        onSwitch={shortcuts.setOn}
        onClose={() => setHelp(false)}
      />
    </div>
  );
}

/** The ids to list: what was found, else the list itself, narrowed to one inbox. */
function useShownIds(
  reader: InboxReader,
  conversations: readonly string[],
  inbox: string | null,
  search: SearchState,
): readonly string[] {
  return useMemo(() => {
    if (search.ids !== null) return search.ids;
    if (inbox === null) return conversations;
    return conversations.filter((id) => reader.getConversation(id)?.inbox === inbox);
  }, [reader, conversations, inbox, search.ids]);
}

/** The row that keys act on, and how it moves. */
function useWalk(ids: readonly string[]) {
  const [active, setActive] = useState<string | null>(null);
  const step = (by: number) => {
    const from = active === null ? -1 : ids.indexOf(active);
    const to = ids[Math.max(0, Math.min(ids.length - 1, from + by))];
    if (to !== undefined) setActive(to);
  };
  return { active, setActive, step };
}
