// An InboxStore that holds what a test puts in, and tells what was asked of it.

import type {
  ConnectionState,
  Conversation,
  InboxState,
  InboxStore,
  Message,
  MessageWindow,
  SyncOutcome,
} from "../../src/model";

export const CONNECTION: ConnectionState = {
  status: "live",
  quality: "good",
  rttMs: 42,
  rttHistory: [],
  attempt: 0,
  maxAttempts: null,
  retryAt: null,
  missed: 0,
  pending: 0,
  session: "s-1234567890",
  user: "ana",
  device: "browser-1",
  cursor: null,
  completeTo: "2026-11-28T14:32:07.000000Z",
  downSince: null,
  lastClose: null,
  stopReason: null,
};

const STATE: InboxState = {
  phase: "ready",
  user: "ana",
  connection: CONNECTION,
  conversations: [],
  complete: true,
  unread: 0,
  syncing: false,
  lastSync: null,
  skipped: null,
  reset: null,
  problem: null,
  leader: true,
};

const EMPTY: MessageWindow = { messages: [], complete: true, loading: false, problem: null };

export class HeldStore implements InboxStore {
  readonly asked: string[] = [];
  outcome: SyncOutcome = {
    outcome: "up_to_date",
    messages: 0,
    conversations: 0,
    completeTo: "2026-11-28T14:32:07.000000Z",
    verified: true,
    checked: 0,
  };
  #state: InboxState = STATE;
  #rows = new Map<string, Conversation>();
  #messages = new Map<string, MessageWindow>();
  #listeners = new Set<() => void>();

  put(changes: Partial<InboxState>): void {
    this.#state = { ...this.#state, ...changes };
    this.#tell();
  }
  connect(changes: Partial<ConnectionState>): void {
    this.put({ connection: { ...this.#state.connection, ...changes } });
  }
  hold(rows: readonly Conversation[]): void {
    for (const row of rows) this.#rows.set(row.id, row);
    const all = [...this.#rows.values()].sort((a, b) => b.last_position - a.last_position);
    this.put({ conversations: all.map(({ id }) => id) });
  }
  holdMessages(id: string, messages: readonly Message[], complete = true): void {
    this.#messages.set(id, { ...EMPTY, messages, complete });
    this.#tell();
  }
  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  getSnapshot(): InboxState {
    return this.#state;
  }
  subscribeConversation(_: string, listener: () => void): () => void {
    return this.subscribe(listener);
  }
  getConversation(id: string): Conversation | undefined {
    return this.#rows.get(id);
  }
  getMessages(id: string): MessageWindow {
    return this.#messages.get(id) ?? EMPTY;
  }
  async openConversation(id: string, position?: number): Promise<void> {
    this.asked.push(position === undefined ? `open ${id}` : `open ${id} at ${position}`);
  }
  async loadOlderMessages(id: string): Promise<void> {
    this.asked.push(`older ${id}`);
  }
  async loadMoreConversations(): Promise<void> {
    this.asked.push("more");
  }
  async markRead(id: string, position: number): Promise<void> {
    this.asked.push(`read ${id} ${position}`);
  }
  async sync(): Promise<SyncOutcome> {
    this.asked.push("sync");
    return this.outcome;
  }
  dismissReset(): void {
    this.put({ reset: null });
  }
  tryNow(): void {
    this.asked.push("try now");
  }
  async signIn(token: string): Promise<void> {
    this.asked.push(`sign in ${token}`);
    this.put({ phase: "ready" });
  }
  async signOut(): Promise<void> {
    this.asked.push("sign out");
    this.put({ phase: "signed_out" });
  }
  getToken(): string | null {
    return "mlt_token";
  }
  start(): void {}
  stop(): void {}
}

/** A conversation; `position` is its last message's, and orders the list. */
export function conversation(
  id: string,
  position: number,
  more: Partial<Conversation> = {},
): Conversation {
  return {
    id,
    inbox: "support",
    contact: { id: `contact ${id}`, name: `Name ${id}`, phone: null, username: null },
    last: {
      kind: "text",
      text: `last of ${id}`,
      direction: "inbound",
      revoked: false,
      redacted: false,
    },
    last_position: position,
    last_at: "2026-11-28T14:00:00.000000Z",
    messages: 1,
    unread: 0,
    read_position: 0,
    outbound_status: null,
    aliases: [],
    touched: position,
    ...more,
  };
}

export function message(position: number, more: Partial<Message> = {}): Message {
  return {
    position,
    inbox: "support",
    conversation: "c1",
    time: new Date(Date.UTC(2026, 10, 28, 14, 0, position)).toISOString(),
    id: `m${position}`,
    direction: "inbound",
    kind: "text",
    preview: `text ${position}`,
    content: { type: "text", body: `text ${position}` },
    contact: "contact",
    contact_name: null,
    sent_at: null,
    reply_to: null,
    forwarded: false,
    status: null,
    status_at: null,
    errors: [],
    edited: false,
    revoked: false,
    redacted: false,
    reactions: [],
    ...more,
  };
}
