// The conversation that is open, with its details beside it; or what stands in its place.

import { type ReactNode, useEffect, useState } from "react";
import type { Conversation, InboxReader } from "../model";
import { Avatar } from "./Avatar";
import { nameOf, phoneOf } from "./contact";
import { Details } from "./Details";
import { useConversation, useMessages } from "./hooks";
import { BackIcon, DetailsIcon } from "./icons";
import { MessagePane, type OnRead } from "./MessagePane";
import { go, useRoute } from "./route";
import { TraceDetails } from "./Trace";
import type { Hit } from "./useSearch";
import { useWords } from "./words";

export function OpenConversation({
  inbox,
  id,
  found,
  onRead,
  token,
  now,
  details,
  onDetails,
  empty,
}: {
  readonly inbox: InboxReader;
  readonly id: string | null;
  /** What a search found in it: a row that the store may not hold yet, and the message that matched. */
  readonly found: Hit | undefined;
  readonly onRead: OnRead | null;
  /** Of an auditor, with which traces are asked for; null for everybody else. */
  readonly token: string | null;
  readonly now: number;
  readonly details: boolean;
  readonly onDetails: (shown: boolean) => void;
  readonly empty: ReactNode;
}) {
  const words = useWords();
  const conversation = useConversation(inbox, id ?? "") ?? found?.row;
  const { problem } = useMessages(inbox, id ?? "");
  const hit = useLastHit(found);
  const traced = Number(useRoute().m ?? Number.NaN);
  useEffect(() => {
    if (id !== null && conversation === undefined) void inbox.openConversation(id);
  }, [inbox, id, conversation]);
  if (conversation === undefined) {
    return (
      <section className="pane" aria-label={words.chooseConversation}>
        {empty ?? (
          <div className="empty meta">
            {id === null ? <Choose /> : problem && <p>{words.notHere}</p>}
          </div>
        )}
      </section>
    );
  }
  return (
    <>
      <section className="pane" aria-label={nameOf(words, conversation)}>
        <Head conversation={conversation} details={details} onDetails={onDetails} />
        <MessagePane
          key={hit}
          inbox={inbox}
          conversation={conversation}
          hit={hit}
          onRead={onRead}
          onTrace={token === null ? null : showTrace}
          now={now}
        />
      </section>
      {token !== null && traced > 0 ? (
        <TraceDetails token={token} position={traced} onClose={() => go({ m: null })} />
      ) : details ? (
        <Details conversation={conversation} onClose={() => onDetails(false)} />
      ) : null}
    </>
  );
}

const showTrace = (position: number) => go({ m: String(position) });

/** The message that was found stays it when the search is cleared: nobody is led away from it. */
function useLastHit(found: Hit | undefined): number | null {
  const [hit, setHit] = useState(found?.position ?? null);
  const position = found?.position ?? null;
  if (position !== null && position !== hit) setHit(position);
  return hit;
}

function Choose() {
  const words = useWords();
  return (
    <p>
      {words.chooseConversation}
      <span className="hint"> {words.chooseHint}</span>
    </p>
  );
}

function Head({
  conversation,
  details,
  onDetails,
}: {
  readonly conversation: Conversation;
  readonly details: boolean;
  readonly onDetails: (shown: boolean) => void;
}) {
  const words = useWords();
  const name = nameOf(words, conversation);
  const phone = phoneOf(conversation);
  return (
    <header className="pane-head">
      <button
        type="button"
        className="icon-button pane-back"
        aria-label={words.back}
        onClick={() => go({ c: null })}
      >
        <BackIcon />
      </button>
      <Avatar id={conversation.contact.id ?? conversation.id} name={name} size={32} />
      <div className="pane-title">
        <h2 className="ellipsis" dir="auto">
          {name}
        </h2>
        <span className="meta ellipsis figures">
          {phone === null || phone === name ? null : `${phone} · `}
          {conversation.inbox}
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
  );
}
