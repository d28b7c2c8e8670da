// What a user interface stands on. The wire's own types are in wire.ts and come with this file.

import type {
  Conversation,
  Cursor,
  Message,
  Problem,
  Quality,
  ResetReason,
  SkipReason,
} from "./wire";

export type * from "./wire";

// --- the connection --------------------------------------------------------------------------

/**
 * connecting    the first attempt since start, or since signing in
 * catching_up   the session is open and older events are coming
 * live          everything there is has been received
 * reconnecting  the link was lost; the next attempt is under way or at `retryAt`
 * offline       the browser says that there is no network; `online` connects at once
 * stopped       it will not come back by itself: see `stopReason`
 */
export type ConnectionStatus =
  | "connecting"
  | "catching_up"
  | "live"
  | "reconnecting"
  | "offline"
  | "stopped";

/**
 * idle                  not started, or stopped by the application
 * signed_out            4501: the token is not, or no longer, accepted
 * revoked               4503: access was withdrawn
 * not_supported         4505: the server speaks another version; reload the page
 * attempts_used_up      `maxAttempts` failed in a row; `tryNow` begins anew
 * refused               another code of 4500-4999, or `shouldReconnect` said no
 */
export type StopReason =
  | "idle"
  | "signed_out"
  | "revoked"
  | "not_supported"
  | "attempts_used_up"
  | "refused";

/** Times are ms since the Unix epoch by this machine's clock, unless said otherwise. Immutable. */
export interface ConnectionState {
  readonly status: ConnectionStatus;
  /** The server's verdict; null until its first ping. */
  readonly quality: Quality | null;
  readonly rttMs: number | null;
  /** Round trips of the last 5 minutes, oldest first. */
  readonly rttHistory: readonly { readonly at: number; readonly rttMs: number }[];
  /** The number of the attempt that is under way or comes next; 0 while live. */
  readonly attempt: number;
  readonly maxAttempts: number | null;
  /** When the next attempt begins; null while one is under way, live, offline or stopped. */
  readonly retryAt: number | null;
  /** Heartbeats in a row that did not come in their time. */
  readonly missed: number;
  /** Events still to come, as the server counted at `welcome`, less what came; 0 once live. */
  readonly pending: number;
  readonly session: string | null;
  readonly user: string | null;
  readonly device: string;
  /** The last event handled. */
  readonly cursor: Cursor | null;
  /** Everything recorded up to this time (the server's clock) is here; null before the first `live`. */
  readonly completeTo: string | null;
  /** Since when the link has been down; null while it is up. */
  readonly downSince: number | null;
  /** Why the last link ended. */
  readonly lastClose: { readonly code: number; readonly reason: string } | null;
  readonly stopReason: StopReason | null;
}

// --- the inbox -------------------------------------------------------------------------------

/** A failed request or a broken local store, ready to be shown. Thrown by the store's promises. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.name = "ProblemError";
    this.problem = problem;
  }
}

/**
 * Problems that are not the server's, in its form:
 * `urn:malote:problem:unreachable` (status 0)  no answer came
 * `urn:malote:problem:storage`     (status 0)  this browser refused to store
 */
export const UNREACHABLE = "urn:malote:problem:unreachable";
export const STORAGE = "urn:malote:problem:storage";

/** What the sync button ends with. `completeTo` is RFC 3339, the server's clock. */
export type SyncOutcome =
  | {
      readonly outcome: "up_to_date" | "received";
      /** Messages that came with this sync, and the conversations they are in. */
      readonly messages: number;
      readonly conversations: number;
      readonly completeTo: string;
      /**
       * Whether the server's digest over the events since the last check equals ours over what this
       * browser really received. False: something was missing; the lists were loaded anew.
       */
      readonly verified: boolean;
      /** Events the digest was over. */
      readonly checked: number;
    }
  | { readonly outcome: "failed"; readonly problem: Problem };

/** What was skipped is fetched and checked without being asked for, up to so many events. */
export const BROUGHT_MAX = 10_000;

/** Events that fell out of this device's offline queue. The lists were loaded anew and are true. */
export interface SkippedNotice {
  readonly count: number;
  readonly reason: SkipReason;
  readonly after: Cursor;
  readonly cursor: Cursor;
}

/** The server's history is another one than this browser knew; everything was loaded anew. */
export interface ResetNotice {
  readonly reason: ResetReason;
  /** ms since the Unix epoch. */
  readonly at: number;
}

/**
 * opening      the local database is being read
 * signed_out   no token: call `signIn`
 * loading      signed in, nothing stored yet: the first page is on its way
 * ready        there is something to show (perhaps an empty list)
 */
export type InboxPhase = "opening" | "signed_out" | "loading" | "ready";

/** Immutable; a new object whenever anything changed, once per applied batch. */
export interface InboxState {
  readonly phase: InboxPhase;
  readonly user: string | null;
  readonly connection: ConnectionState;
  /** Ids, newest message first; the same array until the order changes. Rows: `getConversation`. */
  readonly conversations: readonly string[];
  /** Whether `conversations` has all there are; else `loadMoreConversations` brings more. */
  readonly complete: boolean;
  /** Over the conversations that are loaded. */
  readonly unread: number;
  readonly syncing: boolean;
  readonly lastSync: SyncOutcome | null;
  readonly skipped: SkippedNotice | null;
  readonly reset: ResetNotice | null;
  /** Why the first page or the local database failed; null when all is well. */
  readonly problem: Problem | null;
  /** This tab holds the browser's one connection. */
  readonly leader: boolean;
}

/** Some of a conversation's messages, oldest first, without holes. Immutable. */
export interface MessageWindow {
  readonly messages: readonly SeenMessage[];
  /** Whether the first one is the conversation's first; else `loadOlderMessages` brings more. */
  readonly complete: boolean;
  readonly loading: boolean;
  /** Why loading failed; null when all is well. */
  readonly problem: Problem | null;
}

/** Why a message that a device was to have was not on its screen. */
export type Lacking = "outstanding" | "parked" | "skipped" | "withdrawn";
/** A message as it is, or as somebody's screen had it, or had it not. */
export interface SeenMessage extends Message {
  readonly lacking?: Lacking;
}

/** What is to be read of an inbox: as it is, or as it was. */
export interface InboxReader {
  /** Called after each new state. Returns how to stop. */
  subscribe(listener: () => void): () => void;
  getSnapshot(): Pick<InboxState, "phase" | "conversations" | "complete" | "problem">;

  /** Called when this conversation's row or messages changed, and for nothing else. */
  subscribeConversation(id: string, listener: () => void): () => void;
  /** The row; an id that joined another conversation finds that one. Same object until it changes. */
  getConversation(id: string): Conversation | undefined;
  /** The messages that are loaded. Same object until they change. */
  getMessages(id: string): MessageWindow;

  /**
   * Loads the newest messages: at once from this browser, then from the server where needed. With a
   * `position` older ones too, until that message is among them.
   */
  openConversation(id: string, position?: number): Promise<void>;
  loadOlderMessages(id: string): Promise<void>;
  /** The next page of the list. While connected the whole list is filled in the background anyway. */
  loadMoreConversations(): Promise<void>;
}

export interface InboxStore extends InboxReader {
  getSnapshot(): InboxState;
  /** Records that the user has seen it up to `position`; rejects with `ProblemError`. */
  markRead(id: string, position: number): Promise<void>;

  /** Never rejects; one at a time, a second call joins the first. Brings what was skipped, too. */
  sync(): Promise<SyncOutcome>;
  dismissReset(): void;

  /** Connects at once instead of at `retryAt`; also after `attempts_used_up`. */
  tryNow(): void;
  /** Stores the token and connects. Another user's token clears this browser's data first. */
  signIn(token: string): Promise<void>;
  /** Stops, in every tab, and clears this browser's data. */
  signOut(): Promise<void>;
  /** The token that requests of the interface's own may carry; null while signed out. */
  getToken(): string | null;

  /** Opens the local database and connects; safe to call twice. */
  start(): void;
  /** Gives connection, lock and database free; `start` may be called again. */
  stop(): void;
}
