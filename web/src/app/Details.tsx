import type { Conversation } from "../model";
import { Avatar } from "./Avatar";
import { nameOf, phoneOf } from "./contact";
import { CloseIcon } from "./icons";
import { full } from "./times";
import { useWords } from "./words";

export function Details({
  conversation,
  onClose,
}: {
  readonly conversation: Conversation;
  readonly onClose: () => void;
}) {
  const words = useWords();
  const { contact } = conversation;
  const name = nameOf(words, conversation);
  const facts: readonly (readonly [string, string | null])[] = [
    [words.phone, phoneOf(conversation)],
    [words.username, contact.username === null ? null : `@${contact.username}`],
    [words.inbox, conversation.inbox],
    [words.messagesCount, new Intl.NumberFormat(words.locale).format(conversation.messages)],
    [words.lastMessage, full(words.locale, conversation.last_at)],
    [words.contactId, contact.id],
    [words.joined, conversation.aliases.join(", ") || null],
  ];
  return (
    <aside className="details" aria-label={words.details}>
      <header className="details-head">
        <h2>{words.details}</h2>
        <button type="button" className="icon-button" aria-label={words.close} onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <div className="details-person">
        <Avatar id={contact.id ?? conversation.id} name={name} size={72} />
        <p className="details-name" dir="auto">
          {name}
        </p>
      </div>
      <dl className="facts">
        {facts.map(([label, value]) =>
          value === null ? null : (
            <div key={label}>
              <dt>{label}</dt>
              <dd className="figures">{value}</dd>
            </div>
          ),
        )}
      </dl>
    </aside>
  );
}
