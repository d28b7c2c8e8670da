import { memo } from "react";
import type { Message, SeenMessage } from "../model";
import { previewOf } from "./contact";
import { ForwardIcon, TraceIcon } from "./icons";
import { MessageContent } from "./MessageContent";
import { StatusTick } from "./StatusTick";
import { clock, full } from "./times";
import { useWords } from "./words";

export const MessageBubble = memo(function MessageBubble({
  message,
  quoted,
  joined,
  hit,
  traced,
  onTrace,
}: {
  readonly message: SeenMessage;
  /** The message it answers, where it is loaded; null where it is not; undefined: answers none. */
  readonly quoted: Message | null | undefined;
  readonly joined: boolean;
  /** Whether a search found it. */
  readonly hit: boolean;
  readonly traced: boolean;
  /** Shows its trace; null for whoever may not see it. */
  readonly onTrace: ((position: number) => void) | null;
}) {
  const words = useWords();
  const outbound = message.direction === "outbound";
  const side = outbound ? "bubble-out" : "bubble-in";
  const time = clock(words.locale, message.time);
  return (
    <div className={joined ? "said said-joined" : "said"}>
      <article
        className={`bubble ${side}${hit ? " bubble-hit" : ""}${traced ? " bubble-traced" : ""}${message.lacking ? " bubble-lacking" : ""}`}
        aria-label={outbound ? words.you : undefined}
      >
        {message.forwarded ? (
          <p className="meta forwarded">
            <ForwardIcon size={16} /> {words.forwarded}
          </p>
        ) : null}
        {quoted === undefined ? null : <Quote message={quoted} />}
        <MessageContent message={message} />
        <footer className="bubble-foot figures">
          {onTrace === null ? null : (
            <button
              type="button"
              className="bubble-trace"
              aria-label={words.trace.ofMessage(time)}
              aria-pressed={traced}
              title={words.trace.title}
              onClick={() => onTrace(message.position)}
            >
              <TraceIcon size={16} />
            </button>
          )}
          {message.edited && !message.revoked && !message.redacted ? (
            <span>{words.edited}</span>
          ) : null}
          <time dateTime={message.time} title={full(words.locale, message.time)}>
            {time}
          </time>
          {outbound && !message.redacted ? <StatusTick status={message.status} /> : null}
        </footer>
        <Failure message={message} />
        {message.lacking === undefined ? null : (
          <p className="lacking">{words.screen.lacking[message.lacking]}</p>
        )}
      </article>
      <Reactions message={message} />
    </div>
  );
});

function Quote({ message }: { readonly message: Message | null }) {
  const words = useWords();
  return (
    <blockquote className="quote">
      <span className="visually-hidden">{words.replyTo} </span>
      {message === null ? (
        words.replyToEarlier
      ) : (
        <span className="ellipsis" dir="auto">
          {previewOf(words, {
            kind: message.kind,
            text: message.preview,
            direction: message.direction,
            revoked: message.revoked,
            redacted: message.redacted,
          })}
        </span>
      )}
    </blockquote>
  );
}

/** Why it was not delivered, in the provider's words. */
function Failure({ message }: { readonly message: Message }) {
  const reasons = message.errors
    .map((error) => error.detail ?? error.title ?? (error.code ? String(error.code) : null))
    .filter((reason) => reason !== null);
  if (message.status !== "failed" || reasons.length === 0) return null;
  return <p className="failure">{reasons.join(" · ")}</p>;
}

function Reactions({ message }: { readonly message: Message }) {
  const words = useWords();
  if (message.reactions.length === 0) return null;
  const counts = new Map<string, number>();
  for (const { emoji } of message.reactions) counts.set(emoji, (counts.get(emoji) ?? 0) + 1);
  return (
    <ul className={message.direction === "outbound" ? "reactions reactions-out" : "reactions"}>
      {[...counts].map(([emoji, count]) => (
        <li key={emoji}>
          <span className="visually-hidden">{words.reactedWith(emoji)}</span>
          <span aria-hidden="true">
            {emoji} {count > 1 ? count : null}
          </span>
        </li>
      ))}
    </ul>
  );
}
