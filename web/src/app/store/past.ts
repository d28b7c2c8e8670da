// The inbox as it was at a position: lists and messages that do not change any more.

import { positionOf } from "../../cursor";
import type { Conversation, InboxReader, MessageWindow } from "../../model";
import { ProblemError } from "../../model";
import { Contents } from "./contents";
import { CONVERSATIONS_PAGE, Http, MESSAGES_PAGE } from "./http";

type State = ReturnType<InboxReader["getSnapshot"]>;

export class PastInbox implements InboxReader {
  readonly position: number;
  readonly #http: Http;
  readonly #contents = new Contents();
  readonly #listeners = new Set<() => void>();
  readonly #opened = new Map<string, Promise<void>>();
  #state: State = { phase: "ready", conversations: [], complete: false, problem: null };
  #filling = false;

  private constructor(token: string, position: number) {
    this.position = position;
    this.#http = new Http(token, String(position));
  }

  /** As of a position or a time. Throws `ProblemError`. */
  static async load(token: string, asOf: string): Promise<PastInbox> {
    const { conversations, cursor } = await new Http(token, asOf).conversations();
    const past = new PastInbox(token, positionOf(cursor));
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
      this.#put((await this.#http.conversations(before)).conversations);
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
        this.#contents.putRows([(await this.#http.conversation(id)).conversation]);
      }
      const { messages } = await this.#http.messages(id, before);
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
