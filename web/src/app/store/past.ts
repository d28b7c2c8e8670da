// The inbox as it was at a position, for everybody or on one screen: lists and messages that do not
// change any more.

import { positionOf } from "../../cursor";
import type { Conversation, Cursor, InboxReader, MessageWindow, SeenMessage } from "../../model";
import { ProblemError } from "../../model";
import { Contents } from "./contents";
import { CONVERSATIONS_PAGE, MESSAGES_PAGE } from "./http";

type State = ReturnType<InboxReader["getSnapshot"]>;

/** Where it comes from. Lists and messages newest first; a shorter page is the last. */
export interface Pages {
  /** `position`: the moment that was asked for, where it is not that of the cursor. */
  conversations(
    before?: number,
  ): Promise<{ conversations: Conversation[]; cursor: Cursor; position?: number }>;
  /** The same as of a position, where the first page stood at one that nobody had named. */
  at(position: number): Pages;
  conversation(id: string): Promise<{ conversation: Conversation }>;
  messages(id: string, before?: number): Promise<{ messages: SeenMessage[] }>;
}

export class PastInbox implements InboxReader {
  readonly position: number;
  readonly #pages: Pages;
  readonly #contents = new Contents();
  readonly #listeners = new Set<() => void>();
  readonly #opened = new Map<string, Promise<void>>();
  #state: State = { phase: "ready", conversations: [], complete: false, problem: null };
  #filling = false;

  private constructor(pages: Pages, position: number) {
    this.position = position;
    this.#pages = pages;
  }

  /** With its first page. Throws `ProblemError`. */
  static async load(pages: Pages): Promise<PastInbox> {
    const { conversations, cursor, position = positionOf(cursor) } = await pages.conversations();
    const past = new PastInbox(pages.at(position), position);
    past.#put(conversations);
    return past;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  getSnapshot(): State {
    return this.#state;
  }
  subscribeConversation(id: string, listener: () => void): () => void {
    return this.#contents.subscribe(id, listener);
  }
  getConversation(id: string): Conversation | undefined {
    return this.#contents.rows.get(this.#contents.rootOf(id));
  }
  getMessages(id: string): MessageWindow {
    return this.#contents.shown(id);
  }

  async loadMoreConversations(): Promise<void> {
    if (this.#filling || this.#state.complete) return;
    this.#filling = true;
    try {
      const last = this.#contents.order.at(-1) ?? "";
      const before = this.#contents.rows.get(last)?.last_position;
      this.#put((await this.#pages.conversations(before)).conversations);
    } catch (trouble) {
      if (!(trouble instanceof ProblemError)) throw trouble;
      this.#set({ problem: trouble.problem });
    } finally {
      this.#filling = false;
    }
  }

  /** What was does not change: it is loaded once. */
  async openConversation(id: string, position?: number): Promise<void> {
    const opened = this.#opened.get(id) ?? this.#page(id);
    this.#opened.set(id, opened);
    await opened;
    if (position === undefined) return;
    while (!this.getMessages(id).complete && this.#oldest(id) > position) {
      await this.loadOlderMessages(id);
      if (this.getMessages(id).problem !== null) return;
    }
  }

  async loadOlderMessages(id: string): Promise<void> {
    const { complete, loading } = this.getMessages(id);
    if (!complete && !loading) await this.#page(id, this.#oldest(id));
  }

  #oldest(id: string): number {
    return this.getMessages(id).messages[0]?.position ?? 0;
  }

  async #page(id: string, before?: number): Promise<void> {
    this.#contents.mark(id, { loading: true, problem: null });
    try {
      if (!this.#contents.rows.has(id)) {
        this.#contents.putRows([(await this.#pages.conversation(id)).conversation]);
      }
      const { messages } = await this.#pages.messages(id, before);
      const later = before === undefined ? [] : this.getMessages(id).messages;
      const complete = messages.length < MESSAGES_PAGE;
      const joined = [...messages.toReversed(), ...later];
      this.#contents.putWindow({ id, at: this.position, complete, messages: joined });
    } catch (trouble) {
      if (!(trouble instanceof ProblemError)) throw trouble;
      this.#opened.delete(id);
      this.#contents.mark(id, { loading: false, problem: trouble.problem });
    }
  }

  #put(page: readonly Conversation[]): void {
    this.#contents.putRows(page);
    this.#set({ complete: page.length < CONVERSATIONS_PAGE });
  }

  #set(changes: Partial<State>): void {
    this.#state = { ...this.#state, ...changes, conversations: this.#contents.order };
    for (const listener of this.#listeners) listener();
  }
}
