// What events make of a conversation's row and of its messages, as the server folds them. Pure.
//
// A row or window holds everything up to a position (`touched`, `at`); an event at or below it is in
// it already. What is rare and hard (two contacts turn out to be one, an erasure) is not folded: the
// conversation is loaded again.

import type {
  Content,
  Conversation,
  KnownEvent,
  Message,
  MessageReceived,
  Status,
  WireEvent,
} from "../../model";

const RANK: Record<Status, number> = { sent: 1, delivered: 2, read: 3, played: 4, failed: 5 };
const PREVIEW_MAX = 160;

/** Newest messages of a conversation, oldest first, with everything up to position `at` in them. */
export interface Window {
  readonly id: string;
  readonly at: number;
  readonly complete: boolean;
  readonly messages: readonly Message[];
}

/** The row after the event; null where it has to be loaded again. */
export function foldRow(row: Conversation | undefined, wire: WireEvent): Conversation | null {
  const event = wire as KnownEvent;
  if (row !== undefined && event.position <= row.touched) return row;
  if (event.data === null) return null;
  switch (event.type) {
    case "message.received":
      return event.data.content.type === "reaction" || row === undefined
        ? null
        : received(row, event);
    case "conversation.read":
      return row === undefined ? null : readUpTo(row, event.data.position, event.position);
    default:
      return null;
  }
}

function received(row: Conversation, event: MessageReceived): Conversation {
  const { data, position } = event;
  if (data === null) return row;
  const inbound = (data.direction ?? "inbound") === "inbound";
  const { contact } = row;
  return {
    ...row,
    contact: {
      id: data.contact.id,
      name: data.contact.name ?? contact.name,
      phone: data.contact.phone ?? contact.phone,
      username: data.contact.username ?? contact.username,
    },
    last: {
      ...shown(data.content),
      direction: inbound ? "inbound" : "outbound",
      revoked: false,
      redacted: false,
    },
    last_position: position,
    last_at: event.time,
    messages: row.messages + 1,
    unread: row.unread + (inbound ? 1 : 0),
    outbound_status: inbound ? row.outbound_status : null,
    touched: position,
  };
}

function readUpTo(row: Conversation, position: number, at: number): Conversation | null {
  if (position < row.last_position && row.unread > 0) return null; // how many are left, the server knows
  return { ...row, unread: 0, read_position: Math.max(row.read_position, position), touched: at };
}

/** A row for a conversation that is new here, to be shown until the server's own comes. */
export function provisional(event: MessageReceived): Conversation | null {
  const { data } = event;
  if (data === null || event.conversation === null || data.content.type === "reaction") return null;
  const { id, name = null, phone = null, username = null } = data.contact;
  const empty: Conversation = {
    id: event.conversation,
    inbox: event.inbox,
    contact: { id, name, phone, username },
    last: { kind: null, text: null, direction: null, revoked: false, redacted: false },
    last_position: 0,
    last_at: event.time,
    messages: 0,
    unread: 0,
    read_position: 0,
    outbound_status: null,
    aliases: [],
    touched: 0,
  };
  return received(empty, event);
}

/** The window after the event; null where it has to be loaded again. */
export function foldWindow(window: Window, wire: WireEvent): Window | null {
  const event = wire as KnownEvent;
  if (event.position <= window.at) return window;
  if (event.data === null && event.type === "message.received") return null;
  const at = event.position;
  switch (event.type) {
    case "message.received": {
      const { data } = event;
      if (data === null) return null;
      if (data.content.type === "reaction") return { ...reacted(window, event), at };
      return { ...window, at, messages: [...window.messages, messageOf(event)] };
    }
    case "message.status_changed": {
      const { data } = event;
      if (data === null) return window;
      return changed(window, data.message_id, at, (message) =>
        message.status !== null && RANK[message.status] >= RANK[data.status]
          ? message
          : {
              ...message,
              status: data.status,
              status_at: data.at ?? event.time,
              errors: data.errors ?? [],
            },
      );
    }
    case "message.edited": {
      const { data } = event;
      if (data === null) return window;
      return changed(window, data.message_id, at, (message) => {
        if (message.revoked || message.redacted) return message;
        const { kind, text } = shown(data.content);
        return { ...message, content: data.content, kind, preview: text, edited: true };
      });
    }
    case "message.revoked": {
      const { data } = event;
      if (data === null) return window;
      return changed(window, data.message_id, at, (message) => ({
        ...message,
        content: null,
        preview: null,
        revoked: true,
      }));
    }
    case "conversation.read":
      return { ...window, at };
    default:
      return null;
  }
}

function changed(
  window: Window,
  id: string,
  at: number,
  change: (message: Message) => Message,
): Window {
  const messages = window.messages.map((message) =>
    message.id === id ? change(message) : message,
  );
  return { ...window, at, messages };
}

function messageOf(event: MessageReceived): Message {
  const data = event.data as NonNullable<MessageReceived["data"]>;
  const { kind, text } = shown(data.content);
  return {
    position: event.position,
    inbox: event.inbox,
    conversation: event.conversation ?? "",
    time: event.time,
    id: data.message_id,
    direction: data.direction ?? "inbound",
    kind,
    preview: text,
    content: data.content,
    contact: data.contact.id,
    contact_name: data.contact.name ?? null,
    sent_at: data.sent_at ?? null,
    reply_to: data.reply_to ?? null,
    forwarded: data.forwarded ?? false,
    status: null,
    status_at: null,
    errors: [],
    edited: false,
    revoked: false,
    redacted: false,
    reactions: [],
  };
}

/** Each contact has one reaction to a message; none once it was taken back. */
function reacted(window: Window, event: MessageReceived): Window {
  const { data } = event;
  if (data === null || data.content.type !== "reaction") return window;
  const { message_id, emoji } = data.content;
  const direction = data.direction ?? "inbound";
  const contact = data.contact.id;
  return changed(window, message_id, event.position, (message) => {
    const others = message.reactions.filter(
      (one) => one.direction !== direction || one.contact !== contact,
    );
    const mine = emoji ? [{ emoji, direction, contact, time: event.time }] : [];
    return { ...message, reactions: [...others, ...mine] };
  });
}

/** A content's kind, and what it says in a line. */
export function shown(content: Content): { kind: string; text: string | null } {
  switch (content.type) {
    case "text":
      return { kind: "text", text: line(content.body) };
    case "media":
      return {
        kind: content.voice ? "voice" : content.kind,
        text: line(content.caption || content.filename),
      };
    case "location":
      return { kind: "location", text: line(content.name || content.address) };
    case "contacts":
      return { kind: "contacts", text: line(content.contacts.map(({ name }) => name).join(", ")) };
    case "order":
      return { kind: "order", text: line(content.note) };
    case "reply":
      return { kind: "reply", text: line(content.title) };
    case "notice":
      return { kind: "notice", text: line(content.body) };
    case "generic":
      return { kind: "generic", text: line(content.text || content.event) };
    case "unsupported":
      return { kind: "unsupported", text: line(content.kind) };
    case "reaction":
      return { kind: "reaction", text: line(content.emoji) };
  }
}

function line(text: string | null | undefined): string | null {
  const start = (text ?? "").slice(0, 4 * PREVIEW_MAX);
  return start.split(/\s+/).filter(Boolean).join(" ").slice(0, PREVIEW_MAX) || null;
}
