// The inbox: the list and the open conversation under the top bar, and what keys do.

import { useMemo, useRef, useState } from "react";
import type { InboxReader, InboxState, InboxStore } from "../model";
import { Columns } from "./Columns";
import { useInbox, useMedia } from "./hooks";
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

const NO_INBOXES: readonly string[] = [];

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
  const wide = useMedia("(min-width: 900px)");
  const { at, on, m: traced, page } = useRoute();
  const [inbox, setInbox] = useState<string | null>(null);
  const [typed, setTyped] = useState("");
  const [details, setDetails] = useState(false);
  const [help, setHelp] = useState(false);
  const searchBox = useRef<HTMLInputElement>(null);
  const sync = useSync(store);
  const me = useMe(store, state.user, state.connection.status === "live");
  const isAuditor = me?.role === "auditor" || me?.role === "admin";
  const past = usePast(store, isAuditor ? at : null, isAuditor ? on : null);
  const inPast = past.inbox !== null;
  const reader = past.inbox ?? store;
  const { conversations } = useInbox(reader);
  const token = store.getToken();
  const asOf = past.screen?.ack_floor ?? past.inbox?.position ?? null;
  const inboxes = past.whose === null ? null : (past.screen?.inboxes ?? NO_INBOXES);
  const search = useSearch(typed, { reader, token, inbox, asOf, inboxes });
  const ids = useShownIds(reader, conversations, inbox, search);
  const [timeline, setTimeline] = useState(false);
  if ((at ?? on) !== null && !timeline) setTimeline(true); // and it stays when one is back to now
  const operations = page === "operations" && me?.role === "admin" && token !== null;
  const walk = useWalk(ids);

  const leave = () => {
    if (help) return;
    if (operations) {
      go({ page: null });
      return;
    }
    if (traced !== null) go({ m: null });
    else if (details && !wide) setDetails(false);
    else {
      if (typed === "") go({ c: null });
      setTyped("");
      document.querySelector<HTMLElement>(".list")?.focus();
    }
  };
  const toggleTimeline = () => {
    go({ at: null, on: null });
    setTimeline(!timeline);
  };
  const openActive = () => {
    if (walk.active !== null) go({ c: walk.active });
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
        <Columns
          store={store}
          state={state}
          me={me}
          auditing={isAuditor ? token : null}
          past={past}
          inbox={inbox}
          search={search}
          typed={typed}
          ids={ids}
          walk={walk}
          details={details}
          onDetails={setDetails}
          onLoad={sync.run}
        />
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
