// The messages of one conversation. Whoever reads the newest stays with the newest; whoever has
// scrolled up is not moved, and is told how many came.

import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Virtualizer, type VirtualizerHandle } from "virtua";
import type { Conversation, InboxReader, Message } from "../model";
import { nameOf } from "./contact";
import { useLasting, useMessages } from "./hooks";
import { DownIcon } from "./icons";
import { Linked } from "./Linked";
import { MessageBubble } from "./MessageBubble";
import { useRoute } from "./route";
import { ProblemText } from "./SyncButton";
import { type Line, linesOf } from "./timeline";
import { day } from "./times";
import { useWords } from "./words";

export type OnRead = (id: string, position: number) => Promise<void>;

const NEAR_PX = 48;
const LOAD_OLDER_PX = 600;
const SKELETON_AFTER_MS = 150;
const READ_AFTER_MS = 400;

export function MessagePane({
  inbox,
  conversation,
  hit,
  onRead,
  onTrace,
  now,
}: {
  readonly inbox: InboxReader;
  readonly conversation: Conversation;
  /** The position of the message that a search found; null: begin at the end. */
  readonly hit: number | null;
  /** Told what was seen; null where seeing it changes nothing. */
  readonly onRead: OnRead | null;
  readonly onTrace: ((position: number) => void) | null;
  readonly now: number;
}) {
  const words = useWords();
  const { m: traced } = useRoute();
  const { messages, complete, loading, problem } = useMessages(inbox, conversation.id);
  // What was new when the conversation was opened stays marked while it is open.
  const [readAtOpening] = useState(conversation.unread > 0 ? conversation.read_position : null);
  const lines = useMemo(() => linesOf(messages, readAtOpening), [messages, readAtOpening]);
  const quotes = useMemo(() => quotesIn(messages), [messages]);
  const hitLine = hit === null ? -1 : lines.findIndex(({ key }) => key === String(hit));
  const place = usePlace(messages, lines.length, hit === null ? null : hitLine);
  const skeleton = useLasting(messages.length === 0 && loading, SKELETON_AFTER_MS);
  useReadMark(place.atEnd ? onRead : null, conversation, messages);

  useEffect(() => {
    void inbox.openConversation(conversation.id, hit ?? undefined);
  }, [inbox, conversation.id, hit]);

  const onScroll = (offset: number) => {
    place.look();
    if (offset < LOAD_OLDER_PX && !complete && !loading && problem === null) {
      void inbox.loadOlderMessages(conversation.id);
    }
  };

  if (problem !== null && messages.length === 0) {
    return (
      <div className="empty" role="alert">
        <p>
          <strong>{words.loadFailed}.</strong> <ProblemText problem={problem} />
        </p>
        <button
          type="button"
          className="button"
          onClick={() => void inbox.openConversation(conversation.id)}
        >
          {words.tryAgain}
        </button>
      </div>
    );
  }
  if (messages.length === 0) {
    return <div className="empty meta">{skeleton ? `${words.loading} …` : null}</div>;
  }
  return (
    <div className="pane-body">
      <section
        className="pane-scroll"
        aria-label={words.messageList(nameOf(words, conversation))}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
        tabIndex={0}
        onKeyDown={(event) => place.onKey(event.key)}
      >
        {/* A short conversation stands at the end of its pane. */}
        <div ref={place.box} className="messages" tabIndex={-1}>
          <div className="messages-above" />
          <Virtualizer ref={place.list} shift={place.prepending} onScroll={onScroll}>
            {lines.map((line, index) => (
              <LineShown
                key={line.key}
                line={line}
                first={index === 0}
                complete={complete}
                hit={index === hitLine}
                traced={line.key === traced}
                onTrace={onTrace}
                now={now}
                quoted={line.kind === "message" ? quotes(line.message) : undefined}
              />
            ))}
          </Virtualizer>
        </div>
      </section>
      {place.arrived > 0 || !place.atEnd ? (
        <button
          type="button"
          className="to-end"
          onClick={place.toEnd}
          aria-label={place.arrived > 0 ? undefined : words.lastMessage}
        >
          {place.arrived > 0 ? words.newMessages(place.arrived) : null}
          <DownIcon size={16} />
        </button>
      ) : null}
      <span className="visually-hidden" role="status">
        {place.arrived > 0 ? words.newMessages(place.arrived) : ""}
      </span>
    </div>
  );
}

function LineShown({
  line,
  first,
  complete,
  hit,
  traced,
  onTrace,
  now,
  quoted,
}: {
  readonly line: Line;
  readonly first: boolean;
  readonly complete: boolean;
  readonly hit: boolean;
  readonly traced: boolean;
  readonly onTrace: ((position: number) => void) | null;
  readonly now: number;
  readonly quoted: Message | null | undefined;
}) {
  const words = useWords();
  switch (line.kind) {
    case "day":
      return (
        <div className="day">
          {first && complete ? <p className="meta">{words.beginning}</p> : null}
          <h3>{day(words, line.time, now)}</h3>
        </div>
      );
    case "new":
      return (
        <div className="new-line">
          <span>{words.newDivider}</span>
        </div>
      );
    case "notice": {
      const content = line.message.content;
      const text =
        content?.type === "notice"
          ? (content.body ?? words.notices[content.kind] ?? content.kind)
          : "";
      return (
        <p className="notice">
          <Linked text={text} />
        </p>
      );
    }
    case "message":
      return (
        <MessageBubble
          message={line.message}
          quoted={quoted}
          joined={line.joined}
          hit={hit}
          traced={traced}
          onTrace={onTrace}
        />
      );
  }
}

/** Finds what a message answers; the same answer for the same message while nothing changes. */
function quotesIn(messages: readonly Message[]) {
  const byId = new Map(messages.map((message) => [message.id, message]));
  return (message: Message): Message | null | undefined =>
    message.reply_to === null ? undefined : (byId.get(message.reply_to) ?? null);
}

/**
 * Where the reader is: at the end and kept there, or further up and left alone. `hit` is the line that
 * a search found, −1 until it is loaded: once it is there, the reader is led to it.
 */
function usePlace(messages: readonly Message[], lines: number, hit: number | null) {
  const list = useRef<VirtualizerHandle>(null);
  const box = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(hit === null);
  const [arrived, setArrived] = useState(0);
  const stays = useRef(true);
  const seen = useRef<{ first: number; last: number } | null>(null);

  const first = messages[0]?.position ?? 0;
  const last = messages.at(-1)?.position ?? 0;
  const prepending = seen.current !== null && first < seen.current.first;

  const toEnd = useCallback(() => {
    list.current?.scrollToIndex(Number.MAX_SAFE_INTEGER, { align: "end" });
    stays.current = true;
    setArrived(0);
    setAtEnd(true);
  }, []);

  const hitFound = hit !== null && hit >= 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: led there once, wherever it moves then
  useLayoutEffect(() => {
    if (!hitFound) return;
    stays.current = false;
    setAtEnd(false);
    list.current?.scrollToIndex(hit ?? 0, { align: "center" });
  }, [hitFound]);

  // Before the browser paints: the end stays the end, and nothing flickers.
  useLayoutEffect(() => {
    const before = seen.current;
    seen.current = lines === 0 ? null : { first, last };
    if (lines === 0) return;
    if (stays.current) {
      list.current?.scrollToIndex(lines - 1, { align: "end" });
    } else if (before !== null && last > before.last) {
      const count = messages.filter(
        ({ position, direction }) => position > before.last && direction !== "outbound",
      ).length;
      setArrived((known) => known + count);
    }
  }, [messages, lines, first, last]);

  const look = useCallback(() => {
    const at = list.current;
    if (at === null) return;
    const near = at.scrollSize - at.viewportSize - at.scrollOffset < NEAR_PX;
    stays.current = near;
    setAtEnd(near);
    if (near) setArrived(0);
  }, []);
  // Less room, as when the details open, moves the end away from who reads it; and what was led to
  // may be at the end already, with nothing to scroll that would tell.
  const shown = lines > 0;
  useEffect(() => {
    const content = box.current?.lastElementChild;
    if (!shown || box.current === null || content == null) return;
    const observer = new ResizeObserver(() => (stays.current ? toEnd() : look()));
    observer.observe(box.current);
    observer.observe(content);
    return () => observer.disconnect();
  }, [shown, toEnd, look]);
  const onKey = (key: string) => {
    const at = list.current;
    if (at === null) return;
    const page = at.viewportSize * 0.85;
    const by = { ArrowUp: -48, ArrowDown: 48, PageUp: -page, PageDown: page }[key];
    if (by !== undefined) at.scrollBy(by);
    else if (key === "Home") at.scrollTo(0);
    else if (key === "End") toEnd();
  };
  return { list, box, atEnd, arrived, prepending, look, toEnd, onKey };
}

/** Tells the server what was seen: with the end in view, the page in front, after a moment. */
function useReadMark(
  onRead: OnRead | null,
  conversation: Conversation,
  messages: readonly Message[],
) {
  const last = messages.at(-1)?.position ?? 0;
  const { id, unread, read_position } = conversation;
  useEffect(() => {
    if (onRead === null || unread === 0 || last <= read_position) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const mark = () => {
      clearTimeout(timer);
      if (document.visibilityState !== "visible") return;
      // A mark that fails is made again with the next message, or the next time it is opened.
      timer = setTimeout(() => void onRead(id, last).catch(() => undefined), READ_AFTER_MS);
    };
    mark();
    document.addEventListener("visibilitychange", mark);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", mark);
    };
  }, [onRead, id, unread, read_position, last]);
}
