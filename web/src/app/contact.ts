import type { Conversation } from "../model";
import { grouped } from "./phone";
import type { Words } from "./words";

/** What a contact is called: the name, else the user name, the number, the provider's id. */
export function nameOf(words: Words, conversation: Conversation): string {
  const { name, username, id } = conversation.contact;
  const handle = username === null ? null : `@${username}`;
  return name ?? handle ?? phoneOf(conversation) ?? id ?? words.unknownContact;
}

/** The number as people read it: providers leave the plus out. */
export function phoneOf({ contact }: Conversation): string | null {
  return contact.phone === null ? null : grouped(contact.phone);
}

/** The last message in a line. */
export function previewOf(words: Words, last: Conversation["last"]): string {
  if (last.redacted) return words.redacted;
  if (last.revoked) return words.revoked;
  const kind = last.kind ?? "unsupported";
  if (kind === "text" || kind === "generic") return last.text ?? labelOf(words, kind);
  if (kind === "notice") return last.text ?? words.kinds.notice ?? "";
  if (kind === "unsupported") return labelOf(words, kind);
  return last.text === null ? labelOf(words, kind) : `${labelOf(words, kind)} · ${last.text}`;
}

export function labelOf(words: Words, kind: string): string {
  return words.kinds[kind] ?? words.kinds.unsupported ?? kind;
}
