// The inbox: the list and the open conversation under the top bar, and what keys do.

import { useCallback, useMemo, useRef, useState } from "react";
import type { InboxState, InboxStore } from "../model";
import { ConversationList } from "./ConversationList";
import { FirstRun } from "./FirstRun";
import { useLasting, useMedia, useNow } from "./hooks";
import { Listed, Notices, SearchTold } from "./List";
import { OpenConversation } from "./OpenConversation";
import { go, useRoute } from "./route";
import { Shortcuts } from "./Shortcuts";
import { useSync } from "./SyncButton";
import { TopBar } from "./TopBar";
import { useMe } from "./useMe";
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
  const { c: open } = useRoute();
  const [inbox, setInbox] = useState<string | null>(null);
  const [typed, setTyped] = useState("");
  const [details, setDetails] = useState(false);
  const [help, setHelp] = useState(false);
  const searchBox = useRef<HTMLInputElement>(null);
  const sync = useSync(store);
  const me = useMe(store, state.user, state.connection.status === "live");
  const search = useSearch(store, typed, inbox);
  const ids = useShownIds(store, state, inbox, search);
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
    if (details && !wide) setDetails(false);
    else {
      if (typed === "") go({ c: null });
      setTyped("");
      document.querySelector<HTMLElement>(".list")?.focus();
    }
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
    "?": () => setHelp(true),
  });

  const dimmed = useLasting(state.connection.downSince !== null, DIM_AFTER_MS);
  const empty = state.phase === "ready" && state.complete && state.conversations.length === 0;
  const first = empty && me !== null ? <FirstRun store={store} me={me} /> : null;
  const classes = ["columns", open === null ? "" : "columns-open", dimmed ? "dimmed" : ""];
  return (
    <div className="app">
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
        onShortcuts={() => setHelp(true)}
      />
      <main className={classes.join(" ").trim()}>
        <nav className="side" aria-label={words.conversations}>
          <Notices store={store} state={state} onLoad={sync.run} />
          <SearchTold search={search} typed={typed} />
          <Listed state={state} filtered={inbox !== null || search.ids !== null} count={ids.length}>
            <ConversationList
              inbox={store}
              ids={ids}
              complete={state.complete || search.ids !== null}
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
            key={open}
            inbox={store}
            id={open}
            found={open === null ? undefined : search.found.get(open)}
            onRead={me?.may.includes("read") ? onRead : null}
            now={now}
            details={details}
            onDetails={setDetails}
            empty={first}
          />
        )}
      </main>
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
  store: InboxStore,
  state: InboxState,
  inbox: string | null,
  search: SearchState,
): readonly string[] {
  return useMemo(() => {
    if (search.ids !== null) return search.ids;
    if (inbox === null) return state.conversations;
    return state.conversations.filter((id) => store.getConversation(id)?.inbox === inbox);
  }, [store, state.conversations, inbox, search.ids]);
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
