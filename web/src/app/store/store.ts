// The inbox of one tab. One tab of the browser leads: it holds the connection, stores what comes
// and passes it on; the others fold the same frames. Every change waits for its turn, so that what
// is in memory and what is stored never cross.

import { type Batch, Connection } from "../../connection";
import { initialState } from "../../connectionOptions";
import { positionOf } from "../../cursor";
import type {
  ConnectionState,
  Conversation,
  InboxState,
  InboxStore,
  KnownEvent,
  MessageWindow,
  Problem,
  ResetFrame,
  SkippedFrame,
  SyncOutcome,
  WireEvent,
} from "../../model";
import { ProblemError, STORAGE } from "../../model";
import { Contents } from "./contents";
import { Database, type Meta } from "./database";
import { foldRow, foldWindow, provisional, type Window } from "./folding";
import { CONVERSATIONS_PAGE, digestIs, Http, MESSAGES_PAGE } from "./http";

const RECEIVED_MAX = 20_000;
const BEHIND_MS = 150;
const BEHIND_TRIES = 10;
/** Between attempts at the very first page; what came once is stored and needs no network. */
const AGAIN_MS = 3_000;
const RELOADS_AT_ONCE = 4;
const BEHIND: Problem = { type: "about:blank", title: "The lists are behind the log", status: 503 };
const SYNC_TIMEOUT_MS = 30_000;

type Events = Batch & { readonly type: "events" };
type Frame = Events | SkippedFrame | ResetFrame;
type Shared = Pick<InboxState, "connection" | "complete" | "skipped" | "reset">;
type Call =
  | { readonly type: "frame"; readonly frame: Frame }
  | { readonly type: "shared"; readonly shared: Shared }
  | { readonly type: "who leads" }
  | { readonly type: "try now" }
  | { readonly type: "sync" }
  | { readonly type: "synced"; readonly outcome: SyncOutcome }
  | { readonly type: "signed in" }
  | { readonly type: "signed out" };

export class BrowserStore implements InboxStore {
  readonly #contents = new Contents();
  readonly #listeners = new Set<() => void>();
  readonly #device = deviceName();
  #state: InboxState = {
    phase: "opening",
    user: null,
    connection: initialState({ device: this.#device }),
    conversations: [],
    complete: false,
    unread: 0,
    syncing: false,
    lastSync: null,
    skipped: null,
    reset: null,
    problem: null,
    leader: false,
  };
  #database: Database | null = null;
  #meta: Meta | null = null;
  #http = new Http("");
  #link: Connection | null = null;
  #channel: BroadcastChannel | null = null;
  #resign: (() => void) | null = null;
  #leadAgain: ReturnType<typeof setTimeout> | undefined;
  #turns: Promise<unknown> = Promise.resolve();
  #stale = new Map<string, number>();
  #reloading = 0;
  #opened = new Set<string>();
  #synced: Promise<SyncOutcome> | null = null;
  #tellSynced: ((outcome: SyncOutcome) => void) | null = null;
  #started = false;

  // --- what the interface asks ---

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  getSnapshot(): InboxState {
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
  getToken(): string | null {
    return this.#meta?.token ?? null;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#channel = new BroadcastChannel("malote");
    this.#channel.onmessage = ({ data }: MessageEvent<Call>) => this.#hear(data);
    void this.#turn(async () => {
      this.#database = await Database.open();
      await this.#begin();
    }).catch((trouble) => this.#set({ problem: storageProblem(trouble) }));
  }

  stop(): void {
    this.#started = false;
    clearTimeout(this.#leadAgain);
    this.#resign?.();
    this.#link?.stop("idle");
    this.#link = null;
    this.#channel?.close();
    this.#database?.close();
    this.#database = null;
  }

  async signIn(token: string): Promise<void> {
    this.#set({ phase: "loading", problem: null });
    let user: string;
    try {
      ({ user } = await new Http(token).me());
    } catch (trouble) {
      this.#refuse(trouble);
      return;
    }
    await this.#turn(async () => {
      const known = await this.#database?.meta();
      if (known?.user !== user) await this.#database?.clear();
      const kept = known?.user === user ? known : null;
      const nothing = { cursor: null, complete: false, verified: null, received: [] };
      await this.#database?.write({ meta: { ...nothing, ...kept, token, user } });
      this.#end("idle");
      await this.#begin();
    });
    this.#say({ type: "signed in" });
  }

  async signOut(): Promise<void> {
    this.#say({ type: "signed out" });
    await this.#turn(async () => {
      this.#end("idle");
      await this.#database?.clear();
      await this.#begin();
    });
  }

  tryNow(): void {
    if (this.#link !== null) this.#link.tryNow();
    else if (this.#state.phase === "loading" && this.#state.leader) void this.#lead();
    else this.#say({ type: "try now" });
  }
  dismissSkipped(): void {
    this.#set({ skipped: null });
  }
  dismissReset(): void {
    this.#set({ reset: null });
  }
  async markRead(id: string, position: number): Promise<void> {
    await this.#http.read(id, position);
  }

  // --- beginning and ending ---

  /** From what is stored: signed out, or the inbox as it was, and then the connection. */
  async #begin(): Promise<void> {
    const meta = (await this.#database?.meta()) ?? null;
    this.#meta = meta;
    this.#contents.clear();
    if (meta === null) {
      this.#set({ phase: "signed_out", user: null, complete: false, problem: null, leader: false });
      return;
    }
    this.#http = new Http(meta.token);
    const phase = meta.cursor === null ? "loading" : "ready";
    this.#set({ phase: "opening", user: meta.user, complete: meta.complete });
    for await (const rows of this.#database?.rows() ?? []) {
      this.#contents.putRows(rows);
      this.#set({ phase });
    }
    this.#set({ phase });
    for (const id of this.#opened) void this.openConversation(id);
    this.#stand();
  }

  /** Waits to be the one tab that leads; where there are no locks, each tab leads. */
  #stand(): void {
    let resign = () => {};
    const resigned = new Promise<void>((resolve) => {
      resign = resolve;
    });
    const stop = new AbortController();
    this.#resign = () => {
      stop.abort();
      resign();
    };
    this.#say({ type: "who leads" });
    if (!("locks" in navigator)) {
      void this.#lead();
      return;
    }
    const led = navigator.locks.request("malote", { signal: stop.signal }, async () => {
      void this.#lead();
      await resigned;
    });
    led.catch((trouble: unknown) => {
      if (!stop.signal.aborted) throw trouble;
    });
  }

  async #lead(): Promise<void> {
    clearTimeout(this.#leadAgain);
    this.#set({ leader: true });
    try {
      await this.#turn(async () => {
        // What the tab before us stored last may be more than it passed on.
        const stored = (await this.#database?.meta()) ?? this.#meta;
        if (stored?.cursor !== this.#meta?.cursor) await this.#readRows();
        this.#meta = stored;
        if (this.#meta?.cursor === null) await this.#loadAnew();
      });
    } catch (trouble) {
      this.#refuse(trouble);
      if (this.#state.phase === "loading")
        this.#leadAgain = setTimeout(() => this.#lead(), AGAIN_MS);
      return;
    }
    const handle = (frame: Frame) => this.#turn(() => this.#apply(frame));
    const link = new Connection({
      token: this.#meta?.token ?? "",
      device: this.#device,
      cursor: this.#meta?.cursor ?? null,
      onEvents: (batch) => handle({ type: "events", ...batch }),
      onSkipped: handle,
      onReset: handle,
    });
    link.subscribe(() => this.#connected(link.getSnapshot()));
    this.#link = link;
    link.start();
    void this.loadMoreConversations();
  }

  #connected(connection: ConnectionState): void {
    this.#set({ connection });
    this.#share();
    // What one may not see any more is not kept; an expired token's user comes back to what is here.
    if (connection.stopReason === "revoked") void this.signOut();
    if (connection.status !== "live") return;
    for (const id of this.#opened) if (this.getMessages(id).problem) void this.openConversation(id);
    void this.loadMoreConversations();
    this.#reload();
  }

  #end(reason: "idle"): void {
    clearTimeout(this.#leadAgain);
    this.#resign?.();
    this.#resign = null;
    this.#link?.stop(reason);
    this.#link = null;
  }

  /** A refused token is no error of the page: it leads back to signing in. */
  #refuse(trouble: unknown): void {
    if (!(trouble instanceof ProblemError)) throw trouble;
    if (trouble.problem.status !== 401) {
      this.#set({ problem: trouble.problem });
      return;
    }
    const connection: ConnectionState = {
      ...this.#state.connection,
      status: "stopped",
      stopReason: "signed_out",
    };
    this.#set({ phase: "signed_out", connection });
  }

  // --- frames ---

  async #apply(frame: Frame): Promise<void> {
    if (frame.type === "events") {
      await this.#applyEvents(frame.events, frame.cursor);
    } else {
      await this.#loadAnew(frame.cursor);
      const { count, after, cursor } =
        frame.type === "skipped" ? frame : { count: 0, after: "", cursor: "" };
      this.#set(
        frame.type === "skipped"
          ? { skipped: { count, after, cursor, reason: frame.reason } }
          : { reset: { reason: frame.reason, at: Date.now() } },
      );
    }
    this.#say({ type: "frame", frame });
  }

  /** Folds what is new of these events; rows, windows and cursor are stored together. */
  async #applyEvents(events: readonly WireEvent[], cursor: string): Promise<number> {
    const before = positionOf(this.#meta?.cursor ?? null);
    const fresh = events.filter((event) => event.position > before);
    if (fresh.some((event) => event.type === "message.redacted")) {
      await this.#loadAnew(cursor); // what was erased goes from memory and from this browser's disk
      return fresh.length;
    }
    const { rows, windows, gone, stale } = this.#folded(fresh);
    const meta = this.#advanced(fresh, cursor);
    if (this.#state.leader) {
      await this.#database?.write({
        meta,
        rows: rows.values(),
        goneRows: gone,
        windows: windows.values(),
        goneWindows: gone,
      });
    }
    this.#meta = meta;
    this.#contents.putRows(rows.values(), gone);
    for (const window of windows.values()) this.#contents.putWindow(window);
    this.#show();
    for (const [id, position] of stale) this.#stale.set(id, position);
    this.#reload();
    return fresh.length;
  }

  #folded(events: readonly WireEvent[]) {
    const rows = new Map<string, Conversation>();
    const windows = new Map<string, Window>();
    const stale = new Map<string, number>();
    const gone = new Set<string>();
    for (const event of events) {
      if (event.conversation === null) continue;
      const id = this.#contents.rootOf(event.conversation);
      const known = rows.get(id) ?? this.#contents.rows.get(id);
      const row = foldRow(known, event);
      if (row !== null) rows.set(id, row);
      else stale.set(id, event.position);
      if (row === null && known === undefined && event.type === "message.received") {
        const first = provisional(event as KnownEvent & { type: "message.received" });
        if (first !== null) rows.set(id, first);
      }
      const open = windows.get(id) ?? this.#contents.windows.get(id);
      const window = open === undefined ? undefined : foldWindow(open, event);
      if (window) windows.set(id, window);
      else if (window === null) stale.set(id, event.position);
      if (event.type === "contact.aliased") {
        const { alias } = (event.data ?? {}) as { alias?: string };
        if (alias !== undefined) gone.add(alias);
      }
    }
    for (const id of gone) rows.delete(id);
    return { rows, windows, stale, gone };
  }

  #advanced(events: readonly WireEvent[], cursor: string): Meta {
    const meta = this.#meta as Meta;
    const received = [...meta.received, ...events.map((event) => event.cursor)];
    const ahead = positionOf(cursor) > positionOf(meta.cursor) ? cursor : meta.cursor;
    return received.length <= RECEIVED_MAX
      ? { ...meta, cursor: ahead, received }
      : { ...meta, cursor: ahead, received: [], verified: ahead };
  }

  // --- loading ---

  /** The first page of the list as it stands at `least` or later, in place of all that is known. */
  async #loadAnew(least: string | null = null): Promise<void> {
    const position = positionOf(least);
    const answer = await this.#upTo(position, () => this.#http.conversations());
    const { conversations, cursor } = answer;
    // An older one would bring back what was erased, or belong to the history that is over.
    if (positionOf(cursor) < position) throw new ProblemError(BEHIND);
    const complete = conversations.length < CONVERSATIONS_PAGE;
    const meta: Meta = {
      ...(this.#meta as Meta),
      cursor,
      complete,
      verified: cursor,
      received: [],
    };
    await this.#database?.write({ anew: true, meta, rows: conversations });
    this.#meta = meta;
    this.#contents.clear();
    this.#contents.putRows(conversations);
    this.#set({ phase: "ready", complete, problem: null });
    for (const id of this.#opened) void this.openConversation(id);
    if (!complete) void this.loadMoreConversations();
  }

  /** Fills the list, page after page; one filling at a time. */
  async loadMoreConversations(): Promise<void> {
    if (this.#filling || this.#meta?.cursor == null || this.#state.complete) return;
    this.#filling = true;
    try {
      while (!this.#state.complete && this.#started) await this.#fill();
    } catch (trouble) {
      if (!(trouble instanceof ProblemError)) throw trouble; // the next `live` tries again
    } finally {
      this.#filling = false;
    }
  }
  #filling = false;

  async #fill(): Promise<void> {
    const last = this.#contents.order.at(-1);
    const before = last === undefined ? undefined : this.#contents.rows.get(last)?.last_position;
    const { conversations } = await this.#http.conversations(before);
    await this.#turn(async () => {
      const rows = conversations.filter(
        (row) => row.touched >= (this.#contents.rows.get(row.id)?.touched ?? 0),
      );
      const complete = conversations.length < CONVERSATIONS_PAGE;
      const meta = { ...(this.#meta as Meta), complete };
      await this.#database?.write({ meta: this.#state.leader ? meta : undefined, rows });
      this.#meta = meta;
      this.#contents.putRows(rows);
      this.#set({ complete });
    });
    this.#share();
  }

  async openConversation(id: string): Promise<void> {
    const root = this.#contents.rootOf(id);
    this.#opened.add(root);
    if (!this.#contents.windows.has(root)) {
      const stored = await this.#database?.window(root);
      if (stored !== undefined && !this.#contents.windows.has(root))
        this.#contents.putWindow(stored);
    }
    if (this.#meta !== null) await this.#loadWindow(root, 0);
  }

  /** The newest page, joined to what is here where they meet; at least as new as `position`. */
  async #loadWindow(id: string, position: number): Promise<void> {
    this.#contents.mark(id, { loading: true, problem: null });
    try {
      const known = this.#contents.rows.get(id);
      if (known === undefined || known.messages === 0) await this.#loadRow(id, position);
      const answer = await this.#upTo(position, () => this.#http.messages(id));
      await this.#turn(async () => this.#putPage(id, answer));
    } catch (trouble) {
      if (!(trouble instanceof ProblemError)) throw trouble;
      this.#contents.mark(id, { loading: false, problem: trouble.problem });
    }
  }

  async #putPage(
    id: string,
    { messages, cursor }: Awaited<ReturnType<Http["messages"]>>,
  ): Promise<void> {
    const here = this.#contents.windows.get(id);
    const at = positionOf(cursor);
    if (here !== undefined && here.at > at) {
      this.#contents.putWindow(here); // events were faster
      return;
    }
    const page = messages.toReversed();
    const oldest = page[0]?.position ?? 0;
    const meets = here !== undefined && (here.messages.at(-1)?.position ?? 0) >= oldest;
    const earlier = meets ? here.messages.filter(({ position }) => position < oldest) : [];
    const complete = messages.length < MESSAGES_PAGE || (meets && here.complete);
    await this.#putWindow({ id, at, complete, messages: [...earlier, ...page] });
  }

  async loadOlderMessages(id: string): Promise<void> {
    const root = this.#contents.rootOf(id);
    const here = this.#contents.windows.get(root);
    if (here === undefined || here.complete || this.getMessages(root).loading) return;
    this.#contents.mark(root, { loading: true });
    try {
      const oldest = here.messages[0]?.position;
      const { messages } = await this.#http.messages(root, oldest);
      await this.#turn(async () => {
        const now = this.#contents.windows.get(root);
        if (now === undefined || now.messages[0]?.position !== oldest) return;
        const complete = messages.length < MESSAGES_PAGE;
        await this.#putWindow({
          ...now,
          complete,
          messages: [...messages.toReversed(), ...now.messages],
        });
      });
    } catch (trouble) {
      if (!(trouble instanceof ProblemError)) throw trouble;
      this.#contents.mark(root, { loading: false, problem: trouble.problem });
    }
  }

  async #putWindow(window: Window): Promise<void> {
    await this.#database?.write({ windows: [window] });
    this.#contents.putWindow(window);
  }

  /** Loads again what events could not be folded into, some at a time. */
  #reload(): void {
    if (this.#state.connection.status === "stopped") return;
    for (const [id, position] of this.#stale) {
      if (this.#reloading >= RELOADS_AT_ONCE) return;
      this.#stale.delete(id);
      this.#reloading += 1;
      const open = this.#contents.windows.has(id) && this.#opened.has(id);
      const loaded = this.#loadRow(id, position).then(() =>
        open ? this.#reloadWindow(id, position) : undefined,
      );
      void loaded
        .catch((trouble: unknown) => {
          if (!(trouble instanceof ProblemError)) throw trouble;
          if (trouble.problem.status !== 404) this.#stale.set(id, position); // with the next `live`
        })
        .finally(() => {
          this.#reloading -= 1;
          if (this.#state.connection.status === "live") this.#reload();
        });
    }
  }

  async #reloadWindow(id: string, position: number): Promise<void> {
    const window = this.#contents.windows.get(id);
    if (window !== undefined && window.at < position) await this.#loadWindow(id, position);
  }

  async #loadRow(id: string, position: number): Promise<void> {
    const answer = await this.#upTo(position, () => this.#http.conversation(id));
    await this.#turn(async () => {
      const row = answer.conversation;
      const here = this.#contents.rows.get(row.id);
      if (here !== undefined && here.touched > row.touched) {
        // Events were faster. If the row here is a provisional one, it lacks what was before them.
        this.#stale.set(row.id, here.touched);
        return;
      }
      await this.#database?.write({ rows: [row], goneRows: row.aliases });
      this.#contents.putRows([row], row.aliases);
      this.#show();
    });
  }

  /** Asks until the answer stands at `position` or later: the lists follow the log by milliseconds. */
  async #upTo<T extends { cursor: string }>(position: number, ask: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await ask();
      if (positionOf(answer.cursor) >= position || attempt === BEHIND_TRIES) return answer;
      await new Promise((resolve) => setTimeout(resolve, BEHIND_MS));
    }
  }

  // --- the sync button ---

  sync(): Promise<SyncOutcome> {
    if (this.#synced === null) {
      this.#set({ syncing: true });
      const run = this.#state.leader ? this.#turn(() => this.#sync()) : this.#askForSync();
      this.#synced = run.catch(failed).then((outcome) => {
        this.#synced = null;
        this.#set({ syncing: false, lastSync: outcome });
        if (this.#state.leader) this.#say({ type: "synced", outcome });
        return outcome;
      });
    }
    return this.#synced;
  }

  #askForSync(): Promise<SyncOutcome> {
    this.#say({ type: "sync" });
    return new Promise((resolve, reject) => {
      const title = "The tab that holds the connection did not answer";
      const late = () => reject(new ProblemError({ type: "about:blank", title, status: 0 }));
      const timer = setTimeout(late, SYNC_TIMEOUT_MS);
      this.#tellSynced = (outcome) => {
        clearTimeout(timer);
        resolve(outcome);
      };
    });
  }

  /** Everything since the last check, held against the server's digest and against what came. */
  async #sync(): Promise<SyncOutcome> {
    const conversations = new Set<string | null>();
    let messages = 0;
    let checked = 0;
    let verified = true;
    let after = this.#meta?.verified ?? this.#meta?.cursor ?? "";
    for (;;) {
      const answer = await this.#http.sync(after);
      const here = positionOf(this.#meta?.cursor ?? null);
      const upTo = positionOf(answer.cursor);
      const ours = (this.#meta?.received ?? []).filter(
        (cursor) => positionOf(cursor) > positionOf(after) && positionOf(cursor) <= upTo,
      );
      const fresh = answer.events.filter((event) => event.position > here);
      const all = [...ours, ...fresh.map((event) => event.cursor)];
      verified &&= await isSame(all, answer);
      checked += answer.receipt.count;
      for (const event of fresh) {
        if (event.type !== "message.received") continue;
        messages += 1;
        conversations.add(event.conversation);
      }
      await this.#applyEvents(fresh, answer.cursor);
      if (fresh.length > 0) {
        const frame = {
          type: "events",
          cursor: answer.cursor,
          events: fresh,
        } as const;
        this.#say({ type: "frame", frame });
      }
      after = answer.cursor;
      if (!answer.has_more) break;
    }
    await this.#noteVerified(after);
    if (!verified) await this.#loadAnew(this.#meta?.cursor ?? after);
    const outcome = messages > 0 ? "received" : "up_to_date";
    const completeTo = new Date().toISOString();
    return { outcome, messages, conversations: conversations.size, completeTo, verified, checked };
  }

  async #noteVerified(cursor: string): Promise<void> {
    const meta = this.#meta as Meta;
    const received = meta.received.filter((one) => positionOf(one) > positionOf(cursor));
    this.#meta = { ...meta, verified: cursor, received };
    await this.#database?.write({ meta: this.#meta });
  }

  // --- tabs ---

  #hear(call: Call): void {
    const leads = this.#state.leader;
    switch (call.type) {
      case "frame":
        if (!leads && this.#meta !== null) void this.#turn(() => this.#follow(call.frame));
        break;
      case "shared":
        if (!leads) this.#set(call.shared);
        break;
      case "who leads":
        if (leads) this.#share();
        break;
      case "try now":
        if (leads) this.tryNow();
        break;
      case "sync":
        if (leads) void this.sync();
        break;
      case "synced":
        this.#tellSynced?.(call.outcome);
        break;
      case "signed in":
      case "signed out":
        void this.#turn(async () => {
          this.#end("idle");
          await this.#begin();
        });
        break;
    }
  }

  async #follow(frame: Frame): Promise<void> {
    if (frame.type === "events") {
      await this.#applyEvents(frame.events, frame.cursor);
      return;
    }
    this.#meta = (await this.#database?.meta()) ?? this.#meta;
    this.#contents.clear();
    await this.#readRows();
    this.#show();
    for (const id of this.#opened) void this.openConversation(id);
  }

  async #readRows(): Promise<void> {
    for await (const rows of this.#database?.rows() ?? []) this.#contents.putRows(rows);
  }

  #share(): void {
    const { connection, complete, skipped, reset } = this.#state;
    this.#say({ type: "shared", shared: { connection, complete, skipped, reset } });
  }

  #say(call: Call): void {
    if (this.#started) this.#channel?.postMessage(call);
  }

  // --- the rest ---

  /** One after another, in the order asked for. */
  #turn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.then(work);
    this.#turns = turn.catch(() => undefined);
    return turn;
  }

  #show(): void {
    this.#set({});
  }

  #set(changes: Partial<InboxState>): void {
    const { order, unread } = this.#contents;
    this.#state = { ...this.#state, ...changes, conversations: order, unread };
    for (const listener of this.#listeners) listener();
  }
}

async function isSame(
  ours: readonly string[],
  answer: { events: readonly WireEvent[]; receipt: { digest: string } },
): Promise<boolean> {
  const theirs = answer.events.map((event) => event.cursor);
  const same = ours.length === theirs.length && ours.every((one, index) => one === theirs[index]);
  // Without a secure context there is no digest; the cursors themselves were compared.
  return same && (!window.isSecureContext || (await digestIs(ours, answer.receipt.digest)));
}

function failed(trouble: unknown): SyncOutcome {
  const problem = trouble instanceof ProblemError ? trouble.problem : storageProblem(trouble);
  return { outcome: "failed", problem };
}

const storageProblem = (trouble: unknown): Problem => ({
  type: STORAGE,
  title: String(trouble),
  status: 0,
});

/** One name for all tabs of this browser; without locks a tab is a device of its own. */
function deviceName(): string {
  const storage = "locks" in navigator ? localStorage : sessionStorage;
  const known = storage.getItem("malote.device");
  if (known !== null) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  const name = `browser-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  storage.setItem("malote.device", name);
  return name;
}
