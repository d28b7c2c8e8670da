import type { Ref } from "react";
import type { InboxState, InboxStore } from "../model";
import { Cable } from "./Cable";
import { ConnectionPill } from "./ConnectionPill";
import { CloseIcon, HistoryIcon, Mark, PersonIcon, SearchIcon } from "./icons";
import { go } from "./route";
import { SyncButton, type useSync } from "./SyncButton";
import type { Me } from "./server";
import { full } from "./times";
import { LANGUAGES, type Language, useWords } from "./words";

export interface TopBarProps {
  readonly store: InboxStore;
  readonly state: InboxState;
  readonly me: Me | null;
  readonly inbox: string | null;
  readonly onInbox: (inbox: string | null) => void;
  readonly typed: string;
  readonly onTyped: (typed: string) => void;
  readonly searchBox: Ref<HTMLInputElement>;
  readonly sync: ReturnType<typeof useSync>;
  readonly language: Language;
  readonly onLanguage: (language: Language) => void;
  /** Whether the timeline is shown, and how to show or hide it; null for who is no auditor. */
  readonly timeline: boolean;
  readonly onTimeline: (() => void) | null;
  readonly onShortcuts: () => void;
}

export function TopBar(props: TopBarProps) {
  const { store, state, me } = props;
  return (
    <header className="top">
      <h1 className="brand">
        <Mark /> <span className="brand-name">Malote</span>
      </h1>
      <InboxFilter {...props} />
      <SearchField {...props} />
      <span className="top-space" />
      {me?.may.includes("pull_cable") ? <Cable store={store} /> : null}
      <TimelineButton {...props} />
      <SyncButton syncing={state.syncing} sync={props.sync} />
      <ConnectionPill store={store} connection={state.connection} leader={state.leader} />
      <UserMenu {...props} />
      <CatchingUpLine state={state} />
    </header>
  );
}

function TimelineButton({ timeline, onTimeline }: TopBarProps) {
  const words = useWords();
  if (onTimeline === null) return null;
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={words.timeline}
      aria-pressed={timeline}
      title={words.timeline}
      onClick={onTimeline}
    >
      <HistoryIcon />
    </button>
  );
}

function InboxFilter({ me, inbox, onInbox }: TopBarProps) {
  const words = useWords();
  if (me === null || me.inboxes.length < 2) return null;
  return (
    <select
      className="inbox-filter"
      aria-label={words.inbox}
      value={inbox ?? ""}
      onChange={(event) => onInbox(event.target.value === "" ? null : event.target.value)}
    >
      <option value="">{words.allInboxes}</option>
      {me.inboxes.map(({ id }) => (
        <option key={id} value={id}>
          {id}
        </option>
      ))}
    </select>
  );
}

function SearchField({ typed, onTyped, searchBox }: TopBarProps) {
  const words = useWords();
  return (
    <search className="search">
      <SearchIcon />
      <input
        ref={searchBox}
        type="text"
        inputMode="search"
        enterKeyHint="search"
        autoComplete="off"
        spellCheck={false}
        maxLength={200}
        aria-label={words.searchHint}
        placeholder={words.search}
        value={typed}
        onChange={(event) => onTyped(event.target.value)}
      />
      {typed === "" ? (
        <kbd>/</kbd>
      ) : (
        <button
          type="button"
          className="icon-button"
          aria-label={words.clearSearch}
          onClick={() => onTyped("")}
        >
          <CloseIcon size={16} />
        </button>
      )}
    </search>
  );
}

function UserMenu({ store, state, me, language, onLanguage, onShortcuts }: TopBarProps) {
  const words = useWords();
  const close = () => document.getElementById("user")?.hidePopover();
  const shortcuts = () => {
    close();
    onShortcuts();
  };
  const operations = () => {
    close();
    go({ page: "operations", c: null, at: null });
  };
  return (
    <>
      <button
        type="button"
        className="icon-button"
        popoverTarget="user"
        aria-label={`${words.menu}: ${state.user ?? ""}`}
      >
        <PersonIcon />
      </button>
      <section className="popover user-menu" id="user" popover="auto" aria-label={words.menu}>
        <p className="user-name">
          {state.user} {me === null ? null : <span className="meta">{words.roles[me.role]}</span>}
        </p>
        {me?.expires_at == null ? null : (
          <p className="meta">{words.signedInUntil(full(words.locale, me.expires_at))}</p>
        )}
        <label>
          {words.language}
          <select value={language} onChange={(event) => onLanguage(event.target.value as Language)}>
            {Object.entries(LANGUAGES).map(([tag, { name }]) => (
              <option key={tag} value={tag} lang={tag}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {me?.role === "admin" ? (
          <button type="button" className="button" onClick={operations}>
            {words.operations}
          </button>
        ) : null}
        <button type="button" className="button" onClick={shortcuts}>
          {words.shortcuts}
        </button>
        <button type="button" className="button" onClick={() => void store.signOut()}>
          {words.signOut}
        </button>
        <p className="meta">{words.signOutHelp}</p>
      </section>
    </>
  );
}

/** A thin line under the bar while older events come. */
function CatchingUpLine({ state }: { readonly state: InboxState }) {
  const busy = state.connection.status === "catching_up" || state.phase === "loading";
  return busy ? <span className="busy-line" aria-hidden="true" /> : null;
}
