// What is asked of the server: the list, page after page; the messages of what is open; and again
// whatever events could not be folded into.

import { positionOf } from "../../cursor";
import type { Conversation, Message, Problem } from "../../model";
import { ProblemError } from "../../model";
import type { Meta } from "./database";
import type { Window } from "./folding";
import { CONVERSATIONS_PAGE, type Http, MESSAGES_PAGE, OLDER_PAGE } from "./http";
import type { Tab } from "./tab";

const BEHIND_MS = 150;
/** Some 17 s: a burst may leave the lists behind by thousands of events. */
const BEHIND_TRIES = 20;
const BEHIND_MAX_MS = 1_000;
const RELOADS_AT_ONCE = 4;
const BEHIND: Problem = { type: "about:blank", title: "The lists are behind the log", status: 503 };

type Page = Awaited<ReturnType<Http["messages"]>>;

export class Loading {
  readonly #tab: Tab;
  readonly #opened = new Set<string>();
  readonly #stale = new Map<string, number>();
  #reloading = 0;
  #filling = false;

  constructor(tab: Tab) {
    this.#tab = tab;
  }

  // --- the list ---

  /** The first page of the list as it stands at `least` or later, in place of all that is known. */
  async anew(least: string | null = null): Promise<void> {
    const tab = this.#tab;
    const position = positionOf(least);
    const answer = await this.#upTo(position, () => tab.http.conversations());
    const { conversations, cursor } = answer;
    // An older one would bring back what was erased, or belong to the history that is over.
    if (positionOf(cursor) < position) throw new ProblemError(BEHIND);
    const complete = conversations.length < CONVERSATIONS_PAGE;
    const listedTo = conversations.at(-1)?.last_position ?? null;
    const fresh = { cursor, complete, listedTo, verified: cursor, received: [] };
    const meta: Meta = { ...(tab.meta as Meta), ...fresh };
    await tab.database?.write({ anew: true, meta, rows: conversations });
    tab.meta = meta;
    tab.contents.clear();
    tab.contents.putRows(conversations);
    tab.set({ phase: "ready", complete, problem: null });
    this.reopen();
    if (!complete) void this.more();
  }

  /** Waits, outside of any turn, until the lists stand at `least`. */
  async reach(least: string): Promise<void> {
    await this.#upTo(positionOf(least), () => this.#tab.http.conversations());
  }

  /** Fills the list, page after page; one filling at a time. */
  async more(): Promise<void> {
    const tab = this.#tab;
    if (this.#filling || tab.meta?.cursor == null || tab.state.complete) return;
    this.#filling = true;
    try {
      while (!tab.state.complete && tab.started) await this.#fill();
    } catch (trouble) {
      if (!(trouble instanceof ProblemError)) throw trouble; // the next `live` tries again
    } finally {
      this.#filling = false;
    }
  }

  async #fill(): Promise<void> {
    const { http, meta } = this.#tab;
    const before = meta?.listedTo ?? null;
    const { conversations } = await http.conversations(before ?? undefined);
    await this.#put(http, () => this.#putFilling(before, conversations));
  }

  async #putFilling(before: number | null, conversations: readonly Conversation[]): Promise<void> {
    const { contents, database, meta, state } = this.#tab;
    // Begun anew meanwhile: these rows would stand below a hole that nothing fills.
    if ((meta?.listedTo ?? null) !== before) return;
    const rows = conversations.filter(
      (row) => row.touched >= (contents.rows.get(row.id)?.touched ?? 0),
    );
    const complete = conversations.length < CONVERSATIONS_PAGE;
    const listedTo = conversations.at(-1)?.last_position ?? before;
    const filled = { ...(meta as Meta), complete, listedTo };
    await database?.write({ meta: state.leader ? filled : undefined, rows });
    this.#tab.meta = filled;
    contents.putRows(rows);
    this.#tab.set({ complete });
  }

  // --- the messages of a conversation ---

  /** The newest messages, and, where `position` is given, older ones until that one is there. */
  async open(id: string, position?: number): Promise<void> {
    const { contents, database } = this.#tab;
    const root = contents.rootOf(id);
    this.#opened.add(root);
    if (!contents.windows.has(root)) {
      const stored = await database?.window(root);
      if (stored !== undefined && !contents.windows.has(root)) contents.putWindow(stored);
    }
    if (this.#tab.meta === null) return;
    await this.#loadWindow(root, 0);
    if (position !== undefined) await this.#older(root, position);
  }

  /** Loads everything that is open again. */
  reopen(): void {
    for (const id of this.#opened) void this.open(id);
  }

  /** Tries again what could not be loaded. */
  retry(): void {
    const failed = [...this.#opened].filter((id) => this.#tab.contents.shown(id).problem !== null);
    for (const id of failed) void this.open(id);
    void this.more();
    this.reload([]);
  }

  async older(id: string): Promise<void> {
    const root = this.#tab.contents.rootOf(id);
    await this.#older(root, (this.#tab.contents.windows.get(root)?.messages[0]?.position ?? 0) - 1);
  }

  /** The newest page, joined to what is here where they meet; at least as new as `position`. */
  async #loadWindow(id: string, position: number): Promise<void> {
    const { contents, http } = this.#tab;
    await this.#marked(id, async () => {
      const known = contents.rows.get(id);
      if (known === undefined || known.messages === 0) await this.#loadRow(id, position);
      const answer = await this.#upTo(position, () => http.messages(id));
      await this.#put(http, () => this.#putPage(id, answer));
    });
  }

  async #putPage(id: string, { messages, cursor }: Page): Promise<void> {
    const here = this.#tab.contents.windows.get(id);
    const at = positionOf(cursor);
    if (here !== undefined && here.at > at) {
      this.#tab.contents.putWindow(here); // events were faster
      return;
    }
    const page = messages.toReversed();
    const oldest = page[0]?.position ?? 0;
    const meets = here !== undefined && (here.messages.at(-1)?.position ?? 0) >= oldest;
    const earlier = meets ? here.messages.filter(({ position }) => position < oldest) : [];
    const complete = messages.length < MESSAGES_PAGE || (meets && here.complete);
    await this.#putWindow({ id, at, complete, messages: [...earlier, ...page] });
  }

  /** Older messages, down to `position` or further, a page at least; put in as one piece. */
  async #older(id: string, position: number): Promise<void> {
    const { contents, http } = this.#tab;
    const here = contents.windows.get(id);
    const oldest = here?.messages[0]?.position;
    if (here === undefined || oldest === undefined || oldest <= position) return;
    if (here.complete || contents.shown(id).loading) return;
    await this.#marked(id, async () => {
      const pages: Message[] = [];
      let [first, complete] = [oldest, false];
      do {
        const { messages } = await http.messages(id, first, OLDER_PAGE);
        pages.unshift(...messages.toReversed());
        complete = messages.length < OLDER_PAGE;
        first = pages[0]?.position ?? 0;
      } while (!complete && first > position);
      await this.#put(http, async () => {
        const now = contents.windows.get(id);
        if (now === undefined || now.messages[0]?.position !== oldest) return;
        await this.#putWindow({ ...now, complete, messages: [...pages, ...now.messages] });
      });
    });
  }

  async #putWindow(window: Window): Promise<void> {
    await this.#tab.database?.write({ windows: [window] });
    this.#tab.contents.putWindow(window);
  }

  /** Marked as loading meanwhile, and as failed where the server could not give it. */
  async #marked(id: string, work: () => Promise<void>): Promise<void> {
    const { contents } = this.#tab;
    contents.mark(id, { loading: true, problem: null });
    try {
      await work();
      contents.mark(id, { loading: false });
    } catch (trouble) {
      if (!(trouble instanceof ProblemError)) throw trouble;
      contents.mark(id, { loading: false, problem: trouble.problem });
    }
  }

  // --- what has to be loaded again ---

  /** Loads these again at their position or later, and what waits from before, some at a time. */
  reload(stale: Iterable<readonly [string, number]>): void {
    for (const [id, position] of stale) this.#stale.set(id, position);
    if (this.#tab.state.connection.status === "stopped") return;
    for (const [id, position] of this.#stale) {
      if (this.#reloading >= RELOADS_AT_ONCE) return;
      this.#stale.delete(id);
      this.#reloading += 1;
      void this.#reloadOne(id, position).finally(() => {
        this.#reloading -= 1;
        if (this.#tab.state.connection.status === "live") this.reload([]);
      });
    }
  }

  async #reloadOne(id: string, position: number): Promise<void> {
    const { contents } = this.#tab;
    const open = contents.windows.has(id) && this.#opened.has(id);
    try {
      await this.#loadRow(id, position);
      const window = contents.windows.get(id);
      if (open && window !== undefined && window.at < position)
        await this.#loadWindow(id, position);
    } catch (trouble) {
      if (!(trouble instanceof ProblemError)) throw trouble;
      if (trouble.problem.status !== 404) this.#stale.set(id, position); // with the next `live`
    }
  }

  async #loadRow(id: string, position: number): Promise<void> {
    const { contents, http } = this.#tab;
    const { conversation: row } = await this.#upTo(position, () => http.conversation(id));
    await this.#put(http, async () => {
      const here = contents.rows.get(row.id);
      if (here !== undefined && here.touched > row.touched) {
        // Events were faster. If the row here is a provisional one, it lacks what was before them.
        this.#stale.set(row.id, here.touched);
        return;
      }
      await this.#tab.database?.write({ rows: [row], goneRows: row.aliases });
      contents.putRows([row], row.aliases);
      this.#tab.set();
    });
  }

  /** In its turn, unless another sign-in has begun: an answer belongs to whoever asked. */
  #put(asked: Http, work: () => Promise<void>): Promise<void> {
    return this.#tab.turn(async () => {
      if (this.#tab.http === asked) await work();
    });
  }

  /** Asks until the answer stands at `position` or later: the lists follow the log by milliseconds. */
  async #upTo<T extends { cursor: string }>(position: number, ask: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await ask();
      if (positionOf(answer.cursor) >= position || attempt === BEHIND_TRIES) return answer;
      const waitMs = Math.min(attempt * BEHIND_MS, BEHIND_MAX_MS);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}
