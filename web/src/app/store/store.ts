// The inbox of one tab. One tab of the browser leads: it holds the connection, stores what comes
// and passes it on; the others fold the same frames.

import * as CLOSE from "../../close";
import { Connection } from "../../connection";
import type {
  ConnectionState,
  Conversation,
  InboxState,
  InboxStore,
  MessageWindow,
  SyncOutcome,
} from "../../model";
import { ProblemError } from "../../model";
import { Applying } from "./applying";
import { Database } from "./database";
import { Http } from "./http";
import { Loading } from "./loading";
import { type Call, type Frame, Neighbours } from "./neighbours";
import { Syncing, storageProblem } from "./syncing";
import { Tab } from "./tab";

/** Between attempts at the very first page; what came once is stored and needs no network. */
const AGAIN_MS = 3_000;

export class BrowserStore implements InboxStore {
  readonly #tab = new Tab();
  readonly #neighbours = new Neighbours((call) => this.#hear(call));
  readonly #loading = new Loading(this.#tab);
  readonly #applying = new Applying(this.#tab, this.#loading);
  readonly #syncing = new Syncing(this.#tab, this.#neighbours, this.#applying, this.#loading);
  #link: Connection | null = null;
  #leadAgain: ReturnType<typeof setTimeout> | undefined;
  #answeredClose: ConnectionState["lastClose"] = null;
  /** A token is being tried: nobody is asked for another one meanwhile. */
  #signingIn = false;

  // --- what the interface asks ---

  subscribe(listener: () => void): () => void {
    return this.#tab.subscribe(listener);
  }
  getSnapshot(): InboxState {
    return this.#tab.state;
  }
  subscribeConversation(id: string, listener: () => void): () => void {
    return this.#tab.contents.subscribe(id, listener);
  }
  getConversation(id: string): Conversation | undefined {
    const { contents } = this.#tab;
    return contents.rows.get(contents.rootOf(id));
  }
  getMessages(id: string): MessageWindow {
    return this.#tab.contents.shown(id);
  }
  getToken(): string | null {
    return this.#tab.meta?.token ?? null;
  }
  openConversation(id: string, position?: number): Promise<void> {
    return this.#loading.open(id, position);
  }
  loadOlderMessages(id: string): Promise<void> {
    return this.#loading.older(id);
  }
  loadMoreConversations(): Promise<void> {
    return this.#loading.more();
  }
  async markRead(id: string, position: number): Promise<void> {
    await this.#tab.http.read(id, position);
  }
  async sync(): Promise<SyncOutcome> {
    const outcome = await this.#syncing.run();
    this.#share();
    return outcome;
  }
  dismissReset(): void {
    this.#tab.set({ reset: null });
  }
  tryNow(): void {
    const { phase, leader } = this.#tab.state;
    if (this.#link !== null) this.#link.tryNow();
    else if (phase === "loading" && leader) void this.#lead();
    else this.#neighbours.say({ type: "try now" });
  }

  start(): void {
    const tab = this.#tab;
    if (tab.started) return;
    tab.started = true;
    this.#neighbours.listen();
    void tab
      .turn(async () => {
        tab.database = await Database.open();
        await this.#begin();
      })
      .catch((trouble) => tab.set({ problem: storageProblem(trouble) }));
  }

  stop(): void {
    this.#tab.started = false;
    this.#end();
    this.#neighbours.leave();
    this.#tab.http = new Http(""); // what is still to be answered was asked by another
    this.#tab.database?.close();
    this.#tab.database = null;
  }

  async signIn(token: string): Promise<void> {
    const tab = this.#tab;
    // Who types a token keeps the form before them until there is an answer.
    if (tab.state.phase !== "signed_out") tab.set({ phase: "loading" });
    tab.set({ problem: null });
    this.#signingIn = true;
    let user: string;
    try {
      ({ user } = await new Http(token).me());
    } catch (trouble) {
      this.#signingIn = false;
      await tab.turn(async () => this.#notSignedIn(trouble));
      return;
    }
    this.#signingIn = false;
    await tab.turn(async () => {
      const known = await tab.database?.meta();
      if (known?.user !== user) await tab.database?.clear();
      const kept = known?.user === user ? known : null;
      const nothing = {
        cursor: null,
        complete: false,
        listedTo: null,
        verified: null,
        received: [],
      };
      await tab.database?.write({ meta: { ...nothing, ...kept, token, user } });
      this.#end();
      await this.#begin();
    });
    this.#neighbours.say({ type: "signed in" });
  }

  async signOut(): Promise<void> {
    this.#neighbours.say({ type: "signed out" });
    await this.#tab.turn(async () => {
      this.#end();
      await this.#tab.database?.clear();
      await this.#begin();
    });
  }

  // --- beginning and ending ---

  /** From what is stored: signed out, or the inbox as it was, and then the connection. */
  async #begin(): Promise<void> {
    const tab = this.#tab;
    const meta = (await tab.database?.meta()) ?? null;
    tab.meta = meta;
    tab.http = new Http(meta?.token ?? "");
    tab.contents.clear();
    if (meta === null) {
      const nobody = { user: null, complete: false, problem: null, leader: false };
      const phase = this.#signingIn ? "loading" : "signed_out";
      tab.set({ phase, ...nobody, skipped: null, reset: null });
      return;
    }
    const phase = meta.cursor === null ? "loading" : "ready";
    tab.set({ phase: "opening", user: meta.user, complete: meta.complete });
    await tab.readRows(() => tab.set({ phase }));
    tab.set({ phase });
    this.#loading.reopen();
    this.#neighbours.stand(() => void this.#lead());
  }

  async #lead(): Promise<void> {
    const tab = this.#tab;
    clearTimeout(this.#leadAgain);
    tab.set({ leader: true });
    try {
      await tab.turn(() => this.#catchUp());
    } catch (trouble) {
      this.#refuse(trouble);
      if (tab.state.phase === "loading") this.#leadAgain = setTimeout(() => this.#lead(), AGAIN_MS);
      return;
    }
    const handle = (frame: Frame) => tab.turn(() => this.#apply(frame));
    const link = new Connection({
      token: tab.meta?.token ?? "",
      device: tab.device,
      cursor: tab.meta?.cursor ?? null,
      onEvents: (batch) => handle({ type: "events", ...batch }),
      onSkipped: (frame) => this.#loading.reach(frame.cursor).then(() => handle(frame)),
      onReset: handle,
      onReplayed: handle,
    });
    link.subscribe(() => this.#connected(link.getSnapshot()));
    this.#link = link;
    link.start();
    void this.#loading.more();
  }

  /** What the tab before us stored last may be more than it passed on. */
  async #catchUp(): Promise<void> {
    const tab = this.#tab;
    const stored = (await tab.database?.meta()) ?? tab.meta;
    const isOurs = stored?.cursor === tab.meta?.cursor && stored?.listedTo === tab.meta?.listedTo;
    if (!isOurs) await tab.readRows();
    tab.meta = stored;
    tab.set({ complete: stored?.complete ?? false });
    if (tab.meta?.cursor === null) await this.#loading.anew();
  }

  #end(): void {
    clearTimeout(this.#leadAgain);
    this.#neighbours.resign();
    this.#link?.stop("idle");
    this.#link = null;
  }

  /** Back to signing in, with the reason; without an answer the inbox that is here stays readable. */
  #notSignedIn(trouble: unknown): void {
    if (!(trouble instanceof ProblemError)) throw trouble;
    const { problem } = trouble;
    const { meta } = this.#tab;
    const stays = meta !== null && problem.status !== 401;
    const here = meta?.cursor == null ? "loading" : "ready";
    this.#tab.set({ phase: stays ? here : "signed_out", problem });
  }

  /** A refused token is no error of the page: it leads back to signing in. */
  #refuse(trouble: unknown): void {
    if (!(trouble instanceof ProblemError)) throw trouble;
    if (trouble.problem.status !== 401) {
      this.#tab.set({ problem: trouble.problem });
      return;
    }
    const { connection } = this.#tab.state;
    const refused = { status: "stopped", stopReason: "signed_out" } as const;
    this.#tab.set({ phase: "signed_out", connection: { ...connection, ...refused } });
  }

  // --- the connection of the tab that leads ---

  #connected(connection: ConnectionState): void {
    this.#tab.set({ connection });
    this.#share();
    // What one may not see any more is not kept; an expired token's user comes back to what is here.
    if (connection.stopReason === "revoked") void this.signOut();
    if (connection.status !== "live") return;
    this.#loading.retry();
    if (this.#syncing.isDue(connection.session)) void this.sync();
    const { lastClose } = connection;
    if (lastClose?.code !== CLOSE.ACCESS_CHANGED || lastClose === this.#answeredClose) return;
    this.#answeredClose = lastClose;
    this.#seeAnew();
  }

  /** Other inboxes may be seen now: the list as it is for them, in every tab. */
  #seeAnew(): void {
    const tab = this.#tab;
    const cursor = tab.meta?.cursor ?? "";
    const anew = tab.turn(() => this.#loading.anew(cursor));
    anew.then(
      () => this.#neighbours.say({ type: "list anew" }),
      (trouble: unknown) => {
        if (!(trouble instanceof ProblemError)) throw trouble;
        this.#answeredClose = null; // with the next `live`
      },
    );
  }

  async #apply(frame: Frame): Promise<void> {
    await this.#applying.frame(frame);
    this.#neighbours.say({ type: "frame", frame });
    if (frame.type !== "events") this.#share();
  }

  // --- tabs ---

  #hear(call: Call): void {
    const leads = this.#tab.state.leader;
    const follows = !leads && this.#tab.meta !== null;
    switch (call.type) {
      case "frame":
        if (follows) void this.#tab.turn(() => this.#follow(call.frame));
        break;
      case "list anew":
        if (follows) void this.#tab.turn(() => this.#readAnew());
        break;
      case "shared":
        if (!leads) this.#tab.set(call.shared);
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
        this.#syncing.hear(call.outcome);
        break;
      case "signed in":
      case "signed out":
        void this.#tab.turn(async () => {
          this.#end();
          await this.#begin();
        });
        break;
    }
  }

  async #follow(frame: Frame): Promise<void> {
    if (frame.type === "events") await this.#applying.events(frame.events, frame.cursor);
    else await this.#readAnew();
  }

  /** The tab that leads has stored another list. */
  async #readAnew(): Promise<void> {
    const tab = this.#tab;
    tab.meta = (await tab.database?.meta()) ?? tab.meta;
    tab.contents.clear();
    await tab.readRows();
    tab.set({ complete: tab.meta?.complete ?? false });
    this.#loading.reopen();
  }

  #share(): void {
    const { connection, leader, skipped, reset } = this.#tab.state;
    if (leader) this.#neighbours.say({ type: "shared", shared: { connection, skipped, reset } });
  }
}
