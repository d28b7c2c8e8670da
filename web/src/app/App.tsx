// The whole inbox: one state from the store, and what this person looks at.

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Conversation, InboxState, InboxStore } from "../model";
import { Avatar } from "./Avatar";
import { ConversationList } from "./ConversationList";
import { nameOf, phoneOf } from "./contact";
import { Details } from "./Details";
import { FirstRun } from "./FirstRun";
import { useConversation, useInbox, useLasting, useMedia, useNow } from "./hooks";
import { BackIcon, DetailsIcon, NoticeIcon } from "./icons";
import { MessagePane } from "./MessagePane";
import { useOpenConversation } from "./route";
import { Shortcuts } from "./Shortcuts";
import { SignIn } from "./SignIn";
import { ProblemText, useSync } from "./SyncButton";
import { TopBar } from "./TopBar";
import { useMe } from "./useMe";
import { type SearchState, useSearch } from "./useSearch";
import { useShortcuts } from "./useShortcuts";
import {
  type Language,
  preferredLanguage,
  rememberLanguage,
  useWords,
  WordsProvider,
  wordsOf,
} from "./words";

const CLOCK_MS = 30_000;
const SKELETON_AFTER_MS = 150;
const DIM_AFTER_MS = 10_000;

export function App({ store }: { readonly store: InboxStore }) {
  const [language, setLanguage] = useState(preferredLanguage);
  const choose = useCallback((chosen: Language) => {
    rememberLanguage(chosen);
    setLanguage(chosen);
  }, []);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const state = useInbox(store);
  useEffect(() => {
    document.title = state.unread > 0 ? `(${state.unread}) Malote` : "Malote";
  }, [state.unread]);
  const words = useMemo(() => wordsOf(language), [language]);
  return (
    <WordsProvider value={words}>
      {state.phase === "signed_out" ? (
        <SignIn store={store} connection={state.connection} />
      ) : (
        <Inbox store={store} state={state} language={language} onLanguage={choose} />
      )}
    </WordsProvider>
  );
}

function Inbox({
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
  const [inbox, setInbox] = useState<string | null>(null);
  const [typed, setTyped] = useState("");
  const [active, setActive] = useState<string | null>(null);
  const [open, setOpen] = useOpenConversation();
  const [details, setDetails] = useState(false);
  const [help, setHelp] = useState(false);
  const searchBox = useRef<HTMLInputElement>(null);
  const sync = useSync(store);
  const me = useMe(store, state.user, state.connection.status === "live");
  const search = useSearch(store, typed, inbox);
  const ids = useShownIds(store, state, inbox, search);

  const openRow = useCallback(
    (id: string) => {
      setActive(id);
      setOpen(id);
    },
    [setOpen],
  );
  const step = (by: number) => {
    const from = active === null ? -1 : ids.indexOf(active);
    const to = ids[Math.max(0, Math.min(ids.length - 1, from + by))];
    if (to !== undefined) setActive(to);
  };
  const leave = () => {
    if (help) return;
    if (details && !wide) setDetails(false);
    else if (typed !== "") {
      setTyped("");
      focusList();
    } else {
      setOpen(null);
      focusList();
    }
  };
  const openActive = () => {
    if (active !== null) openRow(active);
  };
  const shortcuts = useShortcuts({
    j: () => step(1),
    k: () => step(-1),
    Enter: openActive,
    Escape: leave,
    "/": () => searchBox.current?.focus(),
    s: sync.run,
    d: () => setDetails((shown) => !shown),
    "?": () => setHelp(true),
  });

  const dimmed = useLasting(state.connection.downSince !== null, DIM_AFTER_MS);
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
          <Notices store={store} state={state} />
          <SearchTold search={search} typed={typed} />
          <Listed state={state} filtered={inbox !== null || search.ids !== null} count={ids.length}>
            <ConversationList
              store={store}
              ids={ids}
              complete={state.complete || search.ids !== null}
              open={open}
              active={active}
              now={now}
              found={search.found}
              onOpen={openRow}
              onActive={setActive}
            />
          </Listed>
        </nav>
        {narrow && open === null ? null : (
          <Opened
            key={open}
            store={store}
            id={open}
            given={open === null ? undefined : search.found.get(open)?.row}
            mayRead={me?.may.includes("read") ?? false}
            now={now}
            details={details}
            onDetails={setDetails}
            onBack={() => setOpen(null)}
            empty={
              state.phase === "ready" &&
              state.complete &&
              state.conversations.length === 0 &&
              me ? (
                <FirstRun store={store} me={me} />
              ) : null
            }
          />
        )}
        {narrow &&
        open === null &&
        state.phase === "ready" &&
        state.complete &&
        state.conversations.length === 0 &&
        me ? (
          <FirstRun store={store} me={me} />
        ) : null}
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

function focusList() {
  document.querySelector<HTMLElement>(".list")?.focus();
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

/** The list, or why there is none. */
function Listed({
  state,
  filtered,
  count,
  children,
}: {
  readonly state: InboxState;
  readonly filtered: boolean;
  readonly count: number;
  readonly children: React.ReactNode;
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
    return filtered ? <p className="empty meta">{words.nothingInInbox}</p> : null;
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
function Notices({ store, state }: { readonly store: InboxStore; readonly state: InboxState }) {
  const words = useWords();
  const { skipped, reset } = state;
  const load = () => {
    store.dismissSkipped();
    void store.sync();
  };
  return (
    <>
      {skipped === null ? null : (
        <div className="notice-row" role="status">
          <NoticeIcon /> <span>{words.skipped(skipped.count)}</span>
          <button type="button" className="button" onClick={load}>
            {words.load}
          </button>
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

function SearchTold({ search, typed }: { readonly search: SearchState; readonly typed: string }) {
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
    const found =
      search.ids.length === 0
        ? words.searchNothing(typed.trim())
        : words.searchResults(search.ids.length);
    return search.local ? `${found} · ${words.searchLocal}` : found;
  }
}

function Opened({
  store,
  id,
  given,
  mayRead,
  now,
  details,
  onDetails,
  onBack,
  empty,
}: {
  readonly store: InboxStore;
  readonly id: string | null;
  readonly given: Conversation | undefined;
  readonly mayRead: boolean;
  readonly now: number;
  readonly details: boolean;
  readonly onDetails: (shown: boolean) => void;
  readonly onBack: () => void;
  readonly empty: React.ReactNode;
}) {
  const words = useWords();
  const conversation = useConversation(store, id ?? "") ?? given;
  useEffect(() => {
    if (id !== null && conversation === undefined) void store.openConversation(id);
  }, [store, id, conversation]);
  if (conversation === undefined) {
    return (
      <section className="pane" aria-label={words.chooseConversation}>
        {empty ?? (
          <div className="empty meta">
            {id === null ? (
              <p>
                {words.chooseConversation}
                <span className="hint"> {words.chooseHint}</span>
              </p>
            ) : null}
          </div>
        )}
      </section>
    );
  }
  const name = nameOf(words, conversation);
  return (
    <>
      <section className="pane" aria-label={name}>
        <header className="pane-head">
          <button
            type="button"
            className="icon-button pane-back"
            aria-label={words.back}
            onClick={onBack}
          >
            <BackIcon />
          </button>
          <Avatar id={conversation.contact.id ?? conversation.id} name={name} size={32} />
          <div className="pane-title">
            <h2 className="ellipsis">{name}</h2>
            <span className="meta ellipsis figures">
              {[phoneOf(conversation), conversation.inbox].filter(Boolean).join(" · ")}
            </span>
          </div>
          <button
            type="button"
            className="icon-button"
            aria-label={words.details}
            aria-expanded={details}
            title={words.details}
            onClick={() => onDetails(!details)}
          >
            <DetailsIcon />
          </button>
        </header>
        <MessagePane store={store} conversation={conversation} mayRead={mayRead} now={now} />
      </section>
      {details ? <Details conversation={conversation} onClose={() => onDetails(false)} /> : null}
    </>
  );
}
