// What goes over the wire: events, frames, answers and problems, as docs/protocol.md has them.
// Names are the wire's own (snake_case); nothing here is translated.

/** `epoch.position.hash8`: which log, how far, and the chain hash there. Keep it, hand it back. */
export type Cursor = string;
/** RFC 3339 in UTC with microseconds. */
export type Time = string;
export type Direction = "inbound" | "outbound";
export type Status = "sent" | "delivered" | "read" | "played" | "failed";
export type Role = "member" | "auditor" | "admin";

// --- what a message says ---------------------------------------------------------------------
// Fields that have their default value are left out, so every optional one may be absent or null.

type Maybe<T> = T | null | undefined;

export interface Text {
  type: "text";
  body: string;
}
export interface Media {
  type: "media";
  kind: "image" | "audio" | "video" | "document" | "sticker";
  media_id?: Maybe<string>;
  mime_type?: Maybe<string>;
  sha256?: Maybe<string>;
  caption?: Maybe<string>;
  filename?: Maybe<string>;
  url?: Maybe<string>;
  voice?: boolean;
  animated?: boolean;
}
export interface Location {
  type: "location";
  latitude: number;
  longitude: number;
  name?: Maybe<string>;
  address?: Maybe<string>;
  url?: Maybe<string>;
}
export interface Contacts {
  type: "contacts";
  contacts: { name: string; phones?: string[] }[];
}
export interface Order {
  type: "order";
  catalog?: Maybe<string>;
  items: { product: string; quantity: number; price?: Maybe<number>; currency?: Maybe<string> }[];
  note?: Maybe<string>;
}
export interface Reaction {
  type: "reaction";
  message_id: string;
  /** Null or absent: the contact took it back. */
  emoji?: Maybe<string>;
}
export interface Reply {
  type: "reply";
  kind: "button" | "button_reply" | "list_reply" | "form";
  choice_id?: Maybe<string>;
  title?: Maybe<string>;
  description?: Maybe<string>;
  /** The answers of a form, as the JSON text the provider sent. */
  form?: Maybe<string>;
}
export interface Notice {
  type: "notice";
  kind: string;
  body?: Maybe<string>;
}
export interface Generic {
  type: "generic";
  event: string;
  text?: Maybe<string>;
  data?: unknown;
}
export interface Unsupported {
  type: "unsupported";
  kind: string;
  errors?: ProviderError[];
}
export interface ProviderError {
  code?: Maybe<number>;
  title?: Maybe<string>;
  detail?: Maybe<string>;
}
export type Content =
  | Text
  | Media
  | Location
  | Contacts
  | Order
  | Reaction
  | Reply
  | Notice
  | Generic
  | Unsupported;

// --- events ----------------------------------------------------------------------------------

interface Envelope<Type extends string, Data> {
  position: number;
  cursor: Cursor;
  type: Type;
  version: number;
  time: Time;
  inbox: string;
  conversation: string | null;
  /** Null once the event was redacted. */
  data: Data | null;
}

export interface MessageReceivedData {
  message_id: string;
  contact: { id: string; name?: Maybe<string>; phone?: Maybe<string>; username?: Maybe<string> };
  content: Content;
  /** Absent: inbound. */
  direction?: Direction;
  sent_at?: Maybe<Time>;
  reply_to?: Maybe<string>;
  forwarded?: boolean;
  referral?: Maybe<Record<string, unknown>>;
}

export type MessageReceived = Envelope<"message.received", MessageReceivedData>;
export type MessageStatusChanged = Envelope<
  "message.status_changed",
  { message_id: string; status: Status; at?: Maybe<Time>; errors?: ProviderError[] }
>;
export type MessageEdited = Envelope<
  "message.edited",
  { message_id: string; content: Content; at?: Maybe<Time> }
>;
export type MessageRevoked = Envelope<"message.revoked", { message_id: string; at?: Maybe<Time> }>;
export type MessageRedacted = Envelope<
  "message.redacted",
  { positions: number[]; reason: string; by: string }
>;
export type ContactAliased = Envelope<"contact.aliased", { alias: string; reason: string }>;
export type ConversationRead = Envelope<"conversation.read", { position: number; by: string }>;

/** The events that members see. A newer server may send others; they are kept and not understood. */
export type KnownEvent =
  | MessageReceived
  | MessageStatusChanged
  | MessageEdited
  | MessageRevoked
  | MessageRedacted
  | ContactAliased
  | ConversationRead;
export type WireEvent = KnownEvent | Envelope<string, unknown>;

// --- frames ----------------------------------------------------------------------------------

export const SUBPROTOCOL = "malote.v1";

export type Quality = "good" | "poor";
export type SkipReason = "queue_limit" | "expired";
export type ResetReason = "epoch_changed" | "ahead_of_log" | "history_differs";

export interface Window {
  frames: number;
  bytes: number;
}
export type ClientFrame =
  | { type: "hello"; token: string; device: string; cursor: Cursor | null; window?: Window }
  | { type: "ack"; cursor: Cursor }
  | { type: "nack"; position: number; reason: string }
  | { type: "replay_ack"; request: number; positions: number[] }
  | { type: "pong"; id: number }
  | { type: "refresh"; token: string };

export interface WelcomeFrame {
  type: "welcome";
  session: string;
  user: string;
  device: string;
  epoch: string;
  server_time: Time;
  heartbeat: { interval_ms: number; timeout_ms: number };
  window: Window;
  resume: {
    outcome: "resumed" | "fresh" | "reset";
    reason: ResetReason | null;
    cursor: Cursor;
    pending: number;
  };
  /** How long the token is good; null or absent: no end is known. */
  expires_in_ms?: number | null;
}
/** The token of `refresh` was taken. */
export interface RefreshedFrame {
  type: "refreshed";
  expires_in_ms: number | null;
}
export interface EventsFrame {
  type: "events";
  after: Cursor;
  cursor: Cursor;
  attempt: number;
  events: WireEvent[];
}
export interface LiveFrame {
  type: "live";
  cursor: Cursor;
  time: Time;
}
export interface SkippedFrame {
  type: "skipped";
  after: Cursor;
  cursor: Cursor;
  count: number;
  reason: SkipReason;
}
export interface ResetFrame {
  type: "reset";
  cursor: Cursor;
  reason: ResetReason;
}
/** Events that were put aside for this device, again; they lie below the cursor. */
export interface ReplayedFrame {
  type: "replayed";
  /** Where in the log it was asked for: of one request an event is handled once. */
  request: number;
  events: WireEvent[];
}
export interface PingFrame {
  type: "ping";
  id: number;
  cursor: Cursor;
  quality: Quality;
  rtt_ms: number | null;
}
export interface ErrorFrame {
  type: "error";
  problem: Problem;
}
export interface ByeFrame {
  type: "bye";
  code: number;
  reason: string;
  retry_after_ms: number | null;
}
export type ServerFrame =
  | WelcomeFrame
  | EventsFrame
  | LiveFrame
  | SkippedFrame
  | ResetFrame
  | ReplayedFrame
  | PingFrame
  | RefreshedFrame
  | ErrorFrame
  | ByeFrame;

/** An RFC 9457 object; `type` is `urn:malote:problem:<name>`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
  request_id?: string;
  [extension: string]: unknown;
}

// --- HTTP answers ----------------------------------------------------------------------------

/** One contact in one inbox, as `/v1/conversations` answers. */
export interface Conversation {
  id: string;
  inbox: string;
  contact: {
    id: string | null;
    name: string | null;
    phone: string | null;
    username: string | null;
  };
  /** The last message in a line: put `kind` into words; `text` is the message's own. */
  last: {
    kind: string | null;
    text: string | null;
    direction: Direction | null;
    revoked: boolean;
    redacted: boolean;
  };
  last_position: number;
  last_at: Time;
  messages: number;
  unread: number;
  read_position: number;
  outbound_status: Status | null;
  aliases: string[];
  /** The last position that changed anything here. */
  touched: number;
}

/** One message as it stands, as `/v1/conversations/{id}/messages` answers. */
export interface Message {
  position: number;
  inbox: string;
  conversation: string;
  time: Time;
  /** The provider's id, as in `reply_to`. */
  id: string | null;
  direction: Direction | null;
  /** `text`, `voice`, `image`, `audio`, `video`, `document`, `sticker`, `location`, … */
  kind: string | null;
  preview: string | null;
  /** Null once it was revoked or redacted. */
  content: Content | null;
  contact: string | null;
  contact_name: string | null;
  sent_at: Time | null;
  reply_to: string | null;
  forwarded: boolean;
  status: Status | null;
  status_at: Time | null;
  errors: ProviderError[];
  edited: boolean;
  revoked: boolean;
  redacted: boolean;
  reactions: MessageReaction[];
}
export interface MessageReaction {
  emoji: string;
  direction: Direction;
  contact: string;
  time: Time;
}

export interface SyncAnswer {
  events: WireEvent[];
  conversations: Conversation[];
  after: Cursor;
  cursor: Cursor;
  has_more: boolean;
  up_to_date: boolean;
  skipped: null;
  receipt: { from: Cursor; to: Cursor; count: number; digest: string };
}
