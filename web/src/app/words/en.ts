// English, and the shape that every other language has.

import type { ConversationStatus } from "./shape";

const count = new Intl.NumberFormat("en");
const n = (value: number) => count.format(value);
const messages = (value: number) => `${n(value)} ${value === 1 ? "message" : "messages"}`;
const conversations = (value: number) =>
  `${n(value)} ${value === 1 ? "conversation" : "conversations"}`;

export const en = {
  locale: "en",
  language: "Language",
  skipToList: "Go to the conversations",

  allInboxes: "All inboxes",
  inbox: "Inbox",
  search: "Search",
  searchHint: "Search names and messages",
  clearSearch: "Clear the search",
  searching: "Searching …",
  searchNothing: (q: string) => `Nothing found for “${q}”`,
  searchLocal: "Offline: only what this browser holds is searched",
  searchResults: (value: number) => `${conversations(value)} found`,
  conversations: "Conversations",
  unread: (value: number) => `${n(value)} unread`,
  close: "Close",
  back: "Back",
  copy: "Copy",
  copied: "Copied",
  dismiss: "Dismiss",
  tryAgain: "Try again",
  requestId: (id: string) => `Request ${id}`,

  // the connection
  connection: "Connection",
  live: "Live",
  slow: "Slow connection",
  slowShort: "Slow",
  reconnectingShort: (seconds: number | null) =>
    seconds === null ? "Trying …" : `Retry ${n(seconds)} s`,
  connecting: "Connecting",
  catchingUp: (pending: number) => (pending > 0 ? `Catching up · ${n(pending)}` : "Catching up"),
  reconnecting: (attempt: number, seconds: number | null) =>
    `Reconnecting · attempt ${n(attempt)}${seconds === null ? "" : ` · ${n(seconds)} s`}`,
  reconnectingSpoken: "Connection lost. Reconnecting.",
  accessChanged: "Your inboxes changed",
  offline: "Offline",
  stoppedTitle: {
    idle: "Not connected",
    signed_out: "Signed out",
    revoked: "Access withdrawn",
    not_supported: "Not supported",
    attempts_used_up: "Attempts used up",
    refused: "Refused",
  },
  stoppedHelp: {
    idle: "The connection was not started.",
    signed_out: "Your sign-in has ended, and this page cannot renew it. Ask for a new link.",
    revoked: "Your access was withdrawn. Ask your administrator, then sign in again.",
    not_supported: "The server has another version than this page. Load the page again.",
    attempts_used_up: "The server could not be reached. What is shown here may be old.",
    refused: "The server refused the connection.",
  },
  signInAgain: "Sign in again",
  reload: "Load the page again",
  tryNow: "Try now",
  offlineHelp: "You will get everything when you are back.",
  reconnectingHelp: "Nothing is lost: what comes meanwhile is delivered when you are back.",
  slowHelp: "Answers take long. Everything still arrives, only later.",
  roundTrip: "Round trip",
  ms: (value: number) => `${n(Math.round(value))} ms`,
  missedBeats: (value: number) => (value === 1 ? "1 missed beat" : `${n(value)} missed beats`),
  rttChart: (low: string, high: string) => `Round trips of the last 5 minutes, ${low} to ${high}`,
  noRoundTrips: "The first round trip is measured within half a minute.",
  completeTo: (time: string) => `complete to ${time}`,
  complete: "Complete to",
  device: "Device",
  session: "Session",
  otherTab: "Another tab of this browser holds the connection",
  lastClose: "Last interruption",

  // the sync button
  sync: "Sync",
  syncing: "Syncing",
  syncReceived: (m: number, c: number) => `${messages(m)} in ${conversations(c)}`,
  syncUpToDate: (time: string) => `Everything is up to date · complete to ${time}`,
  verified: "verified",
  notVerified: "Something was missing here; the lists were loaded anew",
  syncFailed: "Syncing did not work",
  unreachable: "The server did not answer. Check your network, then try again.",
  storageFailed: "This browser could not store it. Free some space, then try again.",

  // notices in the list
  skipped: (value: number) =>
    value === 1
      ? "1 older message is in the history"
      : `${n(value)} older messages are in the history`,
  load: "Load",
  reset: {
    epoch_changed: "The server was restored from a backup. Everything was loaded anew.",
    ahead_of_log: "The server was restored from an older backup. Everything was loaded anew.",
    history_differs: "The server's history is another one now. Everything was loaded anew.",
  },

  // signing in
  signIn: "Sign in",
  signInHelp: "Open the link you were given, or paste your access token.",
  token: "Access token",
  signOut: "Sign out",
  signedInUntil: (time: string) => `Signed in until ${time}. Then you need a new link.`,
  signOutHelp: "Signing out clears what this browser holds.",
  shared: "Your messages are kept in this browser until you sign out.",

  // empty, loading, error
  loading: "Loading",
  firstRun: "Waiting for the first message",
  firstRunHelp: "Point your provider's webhook here. Messages appear as they arrive.",
  noInboxes: "You do not belong to an inbox yet. Ask your administrator to add you.",
  webhookUrl: (provider: string) => `Webhook URL · ${provider}`,
  sendTest: "Send a test message",
  sendingTest: "Sending …",
  nothingInInbox: "No conversations in this inbox",
  chooseConversation: "Choose a conversation",
  chooseHint: "with j and k, then Enter",
  loadFailed: "The messages could not be loaded",
  noMessages: "No messages",

  // a conversation
  details: "Details",
  contact: "Contact",
  phone: "Phone",
  username: "User name",
  contactId: "Contact id",
  messagesCount: "Messages",
  lastMessage: "Last message",
  joined: "Also known as",
  newMessages: (value: number) => (value === 1 ? "1 new message" : `${n(value)} new messages`),
  newDivider: "New",
  today: "Today",
  yesterday: "Yesterday",
  olderLoading: "Loading older messages",
  beginning: "The beginning of the conversation",
  messageList: (name: string) => `Messages with ${name}`,
  you: "You",
  justNow: "now",
  unknownContact: "Unknown contact",

  // messages
  kinds: {
    text: "Message",
    image: "Photo",
    video: "Video",
    audio: "Audio",
    voice: "Voice message",
    document: "Document",
    sticker: "Sticker",
    location: "Location",
    contacts: "Contact card",
    order: "Order",
    reply: "Choice",
    notice: "Notice",
    generic: "Event",
    unsupported: "Unsupported message",
  } as Record<string, string>,
  mediaElsewhere: "The file is with the provider",
  openMap: "Open the map",
  orderItems: (value: number) => (value === 1 ? "1 item" : `${n(value)} items`),
  form: "Answers of a form",
  choice: {
    button: "Button",
    button_reply: "Button",
    list_reply: "Chosen from a list",
    form: "Form",
  },
  notices: {
    user_changed_number: "The contact has a new number",
    customer_identity_changed: "The contact's security code changed",
  } as Record<string, string>,
  unsupported: (kind: string) => `This kind of message cannot be shown here: ${kind}`,
  unsupportedHelp: "It is kept in the history as it came.",
  revoked: "This message was deleted",
  redacted: "This message was erased",
  edited: "edited",
  forwarded: "Forwarded",
  replyTo: "Reply to",
  replyToEarlier: "an earlier message",
  reactedWith: (emoji: string) => `Reaction ${emoji}`,
  status: {
    sent: "Sent",
    delivered: "Delivered",
    read: "Read",
    played: "Played",
    failed: "Not delivered",
  } satisfies Record<ConversationStatus, string>,
  waiting: "On its way",
  animated: "animated",
  data: "Data",

  // the demo
  pullCable: "Pull the cable",
  cablePulled: (seconds: number) => `Cable pulled · ${n(seconds)} s`,
  pullCableHelp: "Cuts your connection for some seconds, to watch it recover",

  // keyboard
  shortcuts: "Keyboard shortcuts",
  shortcutsOn: "Shortcuts of a single key",
  keys: {
    next: "Next conversation",
    previous: "Previous conversation",
    open: "Open",
    leave: "Back to the list",
    search: "Search",
    sync: "Sync",
    details: "Details",
    help: "This list",
  },
  menu: "Menu",
  roles: { member: "Member", auditor: "Auditor", admin: "Administrator" },
};
