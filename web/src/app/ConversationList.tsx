// The list: only the rows in view exist, each at its place by a transform, so that a conversation
// that rises to the top is seen to move. Whoever has scrolled down keeps the place they read at.

import {
  type KeyboardEvent,
  memo,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import type { Conversation, InboxReader } from "../model";
import { Avatar } from "./Avatar";
import { nameOf, previewOf } from "./contact";
import { useConversation } from "./hooks";
import { StatusTick } from "./StatusTick";
import { full, short } from "./times";
import type { Hit } from "./useSearch";
import { ROW_PX, scrollFor, visibleRange } from "./windowing";
import { useWords } from "./words";

const LOAD_MORE_ROWS = 20;

export interface ListProps {
  readonly inbox: InboxReader;
  readonly ids: readonly string[];
  readonly complete: boolean;
  readonly open: string | null;
  /** The row that keys act on. */
  readonly active: string | null;
  readonly now: number;
  /** What a search found: rows that the store may not hold yet, and the text that matched. */
  readonly found?: ReadonlyMap<string, Hit>;
  readonly onOpen: (id: string) => void;
  readonly onActive: (id: string) => void;
}

export function ConversationList(props: ListProps) {
  const { inbox, ids, complete, active, onOpen, onActive } = props;
  const words = useWords();
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  const moving = view.top < ROW_PX;
  useKeptPlace(box, ids);

  const look = useCallback(() => {
    if (box.current !== null) {
      setView({ top: box.current.scrollTop, height: box.current.clientHeight });
    }
  }, []);
  useLayoutEffect(() => {
    if (box.current === null) return;
    const observer = new ResizeObserver(look);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [look]);

  const { first, end } = visibleRange(view.top, view.height, ids.length);
  useEffect(() => {
    if (!complete && end + LOAD_MORE_ROWS >= ids.length) void inbox.loadMoreConversations();
  }, [inbox, complete, end, ids.length]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a row that moves by itself is not followed
  useEffect(() => {
    const index = active === null ? -1 : ids.indexOf(active);
    if (box.current === null || index < 0) return;
    const to = scrollFor(index, box.current.scrollTop, box.current.clientHeight);
    if (to !== null) box.current.scrollTop = to;
  }, [active]);

  const onKeyDown = (event: KeyboardEvent) => {
    const target = keyTarget(event.key, ids, active, Math.floor(view.height / ROW_PX));
    if (target === null) return;
    event.preventDefault();
    if (event.key === "Enter" || event.key === " ") onOpen(target);
    else onActive(target);
  };

  const activeShown = active !== null && ids.slice(first, end).includes(active);
  return (
    <div
      ref={box}
      className="list"
      role="listbox"
      tabIndex={0}
      aria-label={words.conversations}
      aria-activedescendant={activeShown ? rowId(active) : undefined}
      onScroll={look}
      onKeyDown={onKeyDown}
    >
      <div
        className={moving ? "list-rows list-rows-moving" : "list-rows"}
        role="presentation"
        style={{ height: ids.length * ROW_PX }}
      >
        {ids.slice(first, end).map((id, offset) => (
          <Row
            key={id}
            inbox={inbox}
            id={id}
            index={first + offset}
            count={complete ? ids.length : -1}
            open={id === props.open}
            active={id === active}
            now={props.now}
            given={props.found?.get(id)?.row}
            instead={props.found?.get(id)?.text ?? null}
            onOpen={onOpen}
          />
        ))}
      </div>
    </div>
  );
}

const rowId = (id: string) => `row-${id}`;

/** Where a key leads from the active row; null for a key that is not the list's. */
export function keyTarget(
  key: string,
  ids: readonly string[],
  active: string | null,
  page: number,
): string | null {
  const from = active === null ? -1 : ids.indexOf(active);
  const to = (index: number) => ids[Math.max(0, Math.min(ids.length - 1, index))] ?? null;
  switch (key) {
    case "ArrowDown":
      return to(from + 1);
    case "ArrowUp":
      return to(from - 1);
    case "PageDown":
      return to(from + page);
    case "PageUp":
      return to(from - page);
    case "Home":
      return to(0);
    case "End":
      return to(ids.length - 1);
    case "Enter":
    case " ":
      return from < 0 ? null : to(from);
    default:
      return null;
  }
}

/** When rows move above, scroll along: the first row in view stays where it is. */
function useKeptPlace(box: { readonly current: HTMLDivElement | null }, ids: readonly string[]) {
  const before = useRef(ids);
  useLayoutEffect(() => {
    const old = before.current;
    before.current = ids;
    const element = box.current;
    if (element === null || old === ids || element.scrollTop < ROW_PX) return;
    const index = Math.floor(element.scrollTop / ROW_PX);
    const anchor = old[index];
    const moved = anchor === undefined ? -1 : ids.indexOf(anchor);
    if (moved >= 0 && moved > index) element.scrollTop += (moved - index) * ROW_PX;
  }, [box, ids]);
}

interface RowProps {
  readonly inbox: InboxReader;
  readonly id: string;
  readonly index: number;
  readonly count: number;
  readonly open: boolean;
  readonly active: boolean;
  readonly now: number;
  readonly given: Conversation | undefined;
  readonly instead: string | null;
  readonly onOpen: (id: string) => void;
}

const Row = memo(function Row(props: RowProps) {
  const { inbox, id, index, count, open, active, now, given, instead, onOpen } = props;
  const words = useWords();
  const row = useConversation(inbox, id) ?? given;
  if (row === undefined) return null;
  const name = nameOf(words, row);
  const classes = ["row", open ? "row-open" : "", active ? "row-active" : ""].join(" ").trim();
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: keys belong to the listbox around it
    // biome-ignore lint/a11y/useFocusableInteractive: the listbox has the focus (activedescendant)
    <div
      id={rowId(id)}
      className={row.unread > 0 ? `${classes} row-unread` : classes}
      role="option"
      aria-selected={open}
      aria-setsize={count}
      aria-posinset={index + 1}
      style={{ transform: `translateY(${index * ROW_PX}px)` }}
      onClick={() => onOpen(id)}
    >
      <Avatar id={row.contact.id ?? row.id} name={name} />
      <span className="row-text">
        <span className="row-line">
          <span className="row-name" dir="auto">
            {name}
          </span>
          <time
            className="row-time figures"
            dateTime={row.last_at}
            title={full(words.locale, row.last_at)}
          >
            {short(words, row.last_at, now)}
          </time>
        </span>
        <span className="row-line">
          <span className="row-preview">
            {row.last.direction === "outbound" && instead === null ? (
              <StatusTick status={row.outbound_status} />
            ) : null}
            <span className="ellipsis" dir="auto">
              {instead ?? previewOf(words, row.last)}
            </span>
          </span>
          {row.unread > 0 ? (
            <span className="unread figures">
              <span aria-hidden="true">{row.unread > 999 ? "999+" : row.unread}</span>
              <span className="visually-hidden">{words.unread(row.unread)}</span>
            </span>
          ) : null}
        </span>
      </span>
    </div>
  );
});
