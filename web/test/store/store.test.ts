import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BrowserStore } from "../../src/app/store/store";
import type { ServerFrame, WireEvent } from "../../src/wire";
import { cursorAt, FakeSocket, live, useFakeSockets, welcome } from "../core/fakeServer";
import { FakeHouse } from "./fakeHouse";

let house: FakeHouse;
let stores: BrowserStore[];

function open(): BrowserStore {
  const store = new BrowserStore();
  stores.push(store);
  store.start();
  return store;
}
/** Signed in, with a socket that waits to be opened. */
async function signedIn(): Promise<BrowserStore> {
  const store = open();
  await until(() => store.getSnapshot().phase === "signed_out");
  await store.signIn("token");
  await until(() => FakeSocket.all.length > 0);
  return store;
}
const until = (true_: () => boolean) =>
  vi.waitFor(() => expect(true_()).toBe(true), { timeout: 4_000, interval: 2 });
const isAt = (store: BrowserStore, position: number) =>
  until(() => store.getSnapshot().connection.cursor === cursorAt(position));

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** Answers to this path wait until they may come. */
function holdBack(path: string): { come(): void } {
  let come = () => {};
  const until = new Promise<void>((resolve) => {
    come = resolve;
  });
  house.held = { path, until };
  return { come };
}
const ping = (id: number, position: number): ServerFrame => ({
  type: "ping",
  id,
  cursor: cursorAt(position),
  quality: "good",
  rtt_ms: 5,
});

/** Everything this browser keeps, as text. */
async function stored(): Promise<string> {
  const db = await promised(indexedDB.open("malote"));
  const names = [...db.objectStoreNames];
  const rows = await Promise.all(
    names.map((name) => promised(db.transaction(name).objectStore(name).getAll())),
  );
  db.close();
  return JSON.stringify(rows);
}
function promised<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.spyOn(Math, "random").mockReturnValue(0);
  useFakeSockets();
  house = new FakeHouse();
  stores = [];
});
afterEach(() => {
  for (const store of stores) store.stop();
  vi.unstubAllGlobals();
});

describe("effect and cursor in one transaction", () => {
  it("acknowledges and shows nothing that could not be stored, and stores it with the next link", async () => {
    house.say("a", "first");
    const store = await signedIn();
    const socket = house.serve();
    await until(() => store.getSnapshot().connection.status === "live");
    const before = await stored();
    const put = IDBObjectStore.prototype.put;
    const broken = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (
      this: IDBObjectStore,
      ...args
    ) {
      const request = put.apply(this, args);
      if (this.name === "meta") this.transaction.abort(); // the disk is full, at the last write
      return request;
    });
    house.say("a", "second");
    house.deliver(socket, 1);
    await until(() => socket.closed);
    expect(await stored()).toBe(before);
    expect(socket.ofType("ack")).toEqual([]);
    expect(store.getConversation("a")?.messages).toBe(1);

    broken.mockRestore();
    await until(() => FakeSocket.all.length > 1);
    expect(FakeSocket.last.open().ofType("hello")[0]?.cursor).toBe(cursorAt(1));
    house.deliver(FakeSocket.last.say(welcome(1)), 1).say(live(2));
    await isAt(store, 2);
    expect(store.getConversation("a")?.messages).toBe(2);
    await until(() => FakeSocket.last.ofType("ack").length > 0);
  });

  it("shows the stored inbox without the network after a reload, and goes on from its cursor", async () => {
    house.say("a", "kept");
    const first = await signedIn();
    house.serve();
    house.say("b", "kept too");
    house.deliver(FakeSocket.last, 1);
    await isAt(first, 2);
    first.stop();
    house.reachable = false;
    FakeSocket.all = [];

    const second = open();
    await until(() => second.getSnapshot().phase === "ready");
    expect(second.getSnapshot().conversations).toEqual(["b", "a"]);
    await until(() => FakeSocket.all.length > 0);
    expect(FakeSocket.last.open().ofType("hello")[0]?.cursor).toBe(cursorAt(2));
  });
});

describe("signing in", () => {
  it.each([
    ["a token that is none", () => (house.refuses = true), 401],
    ["a server that does not answer", () => (house.reachable = false), 0],
  ])("keeps the form while it asks, and says why it failed: %s", async (_, trouble, status) => {
    const store = open();
    await until(() => store.getSnapshot().phase === "signed_out");
    trouble();
    const asked = store.signIn("token");
    expect(store.getSnapshot().phase).toBe("signed_out");
    await asked;
    expect(store.getSnapshot()).toMatchObject({ phase: "signed_out", problem: { status } });
    house.refuses = false;
    house.reachable = true;
    await store.signIn("token");
    expect(store.getSnapshot()).toMatchObject({ user: "ana", problem: null });
    await until(() => FakeSocket.all.length > 0);
  });

  it("asks nobody for a token while that of the link is tried", async () => {
    const held = holdBack("/v1/me");
    const store = open();
    const phases: string[] = [];
    store.subscribe(() => phases.push(store.getSnapshot().phase));
    const asked = store.signIn("token");
    await until(() => store.getSnapshot().complete === false && phases.length > 2);
    held.come();
    await asked;
    expect(phases).not.toContain("signed_out");
    await until(() => FakeSocket.all.length > 0);
  });

  it("leaves the inbox that is here readable when a link cannot be tried", async () => {
    house.say("a", "kept");
    await signedIn();
    house.serve();
    await until(() => stores[0]?.getSnapshot().phase === "ready");
    stores[0]?.stop();
    house.reachable = false;
    FakeSocket.all = [];
    const store = open();
    await store.signIn("token");
    await until(() => FakeSocket.all.length > 0);
    expect(store.getSnapshot()).toMatchObject({ phase: "ready", problem: { status: 0 } });
  });
});

describe("what must not stay", () => {
  it("forgets an erased message in memory and on this browser's disk, although the lists lag", async () => {
    house.say("a", "my card number");
    house.say("a", "harmless");
    const store = await signedIn();
    house.serve();
    await store.openConversation("a");
    expect(await stored()).toContain("my card number");
    house.redact("a", 1);
    house.lag = 1;
    setTimeout(() => (house.lag = 0), 200);
    house.deliver(FakeSocket.last, 2);
    await isAt(store, 3);
    expect(await stored()).not.toContain("my card number");
    await until(() => store.getMessages("a").messages[0]?.redacted === true);
    expect(JSON.stringify(store.getMessages("a"))).not.toContain("my card number");
    expect(await stored()).not.toContain("my card number");
  });

  it("forgets everything when signed out", async () => {
    house.say("a", "private");
    const store = await signedIn();
    const socket = house.serve();
    await store.signOut();
    expect(socket.closed).toBe(true);
    expect(await stored()).toBe("[[],[],[]]");
    expect(store.getSnapshot()).toMatchObject({ phase: "signed_out", conversations: [] });
    expect(store.getToken()).toBeNull();
  });
});

it.each([
  [4503, "revoked", "[[],[],[]]"],
  [4501, "signed_out", expect.stringContaining("private")],
])(
  "keeps what is here when a token expired, and not when access was withdrawn: %i",
  async (code, stopReason, kept) => {
    house.say("a", "private");
    const store = await signedIn();
    house.serve().drop(code);
    await until(() => store.getSnapshot().connection.stopReason === stopReason);
    if (code === 4503) await until(() => store.getSnapshot().phase === "signed_out");
    expect(store.getSnapshot().connection.stopReason).toBe(stopReason);
    expect(await stored()).toEqual(kept);
  },
);

describe("skipped, reset, sync", () => {
  it("loads anew and says so when the history is another one", async () => {
    house.say("a", "of the old history");
    const store = await signedIn();
    house.serve();
    await until(() => store.getSnapshot().connection.status === "live");
    house.events.length = 0;
    house.say("b", "of the restored one");
    FakeSocket.last.say({
      type: "reset",
      cursor: cursorAt(1, "ffffffff"),
      reason: "history_differs",
    });
    await until(() => store.getSnapshot().reset !== null);
    expect(store.getSnapshot()).toMatchObject({
      conversations: ["b"],
      reset: { reason: "history_differs" },
    });
    expect(await stored()).not.toContain("of the old history");
  });

  it("shows true lists after events were skipped, with how many", async () => {
    house.say("a", "one");
    const store = await signedIn();
    for (let i = 0; i < 10; i++) house.say("a", "many");
    FakeSocket.last.open().say(welcome(1));
    const frame = { after: cursorAt(1), cursor: cursorAt(11), count: 10 };
    FakeSocket.last.say({ type: "skipped", ...frame, reason: "queue_limit" }); // and not live yet
    await until(() => store.getSnapshot().skipped !== null);
    expect(store.getSnapshot().skipped).toMatchObject({ count: 10, reason: "queue_limit" });
    expect(store.getConversation("a")).toMatchObject({ messages: 11, unread: 11 });
  });

  it("has in its place what was put aside and comes again, and says that it has", async () => {
    for (const text of ["one", "put aside", "three"]) house.say("a", text);
    const [one, aside, three] = house.events.splice(0) as [WireEvent, WireEvent, WireEvent];
    house.events.push(one);
    const store = await signedIn();
    house.events.push(aside, three);
    const frame = { after: cursorAt(1), cursor: cursorAt(3), attempt: 1, events: [three] };
    FakeSocket.last.open().say(welcome(1), { type: "events", ...frame }, live(3));
    await until(() => store.getConversation("a")?.messages === 2);
    FakeSocket.last.say({ type: "replayed", request: 9, events: [aside] });
    await until(() => FakeSocket.last.ofType("replay_ack").length === 1);
    expect(store.getConversation("a")?.messages).toBe(3);
    expect(await stored()).toContain(cursorAt(3));
  });

  /** Ten messages that are not sent, said to be `count`; caught up behind them, in `session`. */
  function skipTen(count: number, session = "s_1"): FakeSocket {
    const from = house.head;
    for (let i = 0; i < 10; i++) house.say(i % 2 ? "a" : "b", "many");
    const frame = { after: cursorAt(from), cursor: cursorAt(house.head), count };
    return FakeSocket.last
      .open()
      .say(welcome(from, { session }))
      .say({ type: "skipped", ...frame, reason: "queue_limit" }, live(house.head));
  }
  const told = { outcome: "received", messages: 10, conversations: 2, verified: true, checked: 10 };
  const syncs = () => house.asked.filter((path) => path.includes("/v1/sync")).length;

  it("brings what was skipped by itself, counted and checked", async () => {
    house.say("a", "one");
    const store = await signedIn();
    skipTen(10);
    await until(() => store.getSnapshot().lastSync !== null);
    expect(store.getSnapshot()).toMatchObject({ skipped: null, syncing: false, lastSync: told });
    expect(store.getConversation("a")).toMatchObject({ messages: 6, unread: 6 });
    expect(await store.sync()).toMatchObject({ outcome: "up_to_date", messages: 0, checked: 0 });
  });

  it("leaves more than ten thousand to whoever asks for them", async () => {
    house.say("a", "one");
    const store = await signedIn();
    const socket = skipTen(10_001);
    await until(() => store.getSnapshot().connection.status === "live");
    house.say("c", "after it");
    house.deliver(socket, 11);
    await isAt(store, 12);
    expect(store.getSnapshot().skipped).toMatchObject({ count: 10_001 });
    expect(syncs()).toBe(0);
    expect(await store.sync()).toMatchObject({ ...told, checked: 11 });
    expect(store.getSnapshot().skipped).toBeNull();
  });

  it("says so where it could not bring it, and tries again once in the next session", async () => {
    house.say("a", "one");
    const store = await signedIn();
    house.broken = "/v1/sync";
    skipTen(10);
    await until(() => store.getSnapshot().lastSync !== null);
    expect(store.getSnapshot().lastSync).toMatchObject({ outcome: "failed" });
    for (const id of [1, 2, 3]) FakeSocket.last.say(ping(id, house.head));
    expect(syncs()).toBe(1);
    expect(store.getSnapshot().skipped).toMatchObject({ count: 10 });
    house.broken = null;
    FakeSocket.last.drop();
    await until(() => FakeSocket.last.readyState === 0);
    FakeSocket.last.open().say(welcome(11, { session: "s_2" }), live(11));
    await until(() => store.getSnapshot().skipped === null);
    expect(store.getSnapshot().lastSync).toMatchObject(told);
  });

  it("waits for lists that a burst has left behind, and lets conversations be opened meanwhile", async () => {
    house.say("a", "one");
    const store = await signedIn();
    house.lag = 10;
    skipTen(10);
    await until(() => house.asked.filter((path) => path.includes("conversations?")).length > 1);
    await store.openConversation("a");
    expect(store.getMessages("a").messages).toHaveLength(1);
    expect(store.getSnapshot().skipped).toBeNull();
    house.lag = 0;
    await until(() => store.getSnapshot().lastSync !== null);
    expect(store.getSnapshot().lastSync).toMatchObject(told);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("lives on while a page of a sync is on its way, and begins again where the lists were loaded anew", async () => {
    house.say("a", "one");
    const store = await signedIn();
    const socket = house.serve();
    await until(() => store.getSnapshot().connection.status === "live");
    const page = holdBack("/v1/sync");
    const outcome = store.sync();
    house.say("a", "two");
    house.redact("a", 1);
    house.deliver(socket, 1);
    await isAt(store, 3);
    expect(store.getConversation("a")?.messages).toBe(2);
    page.come();
    expect(await outcome).toMatchObject({ outcome: "up_to_date", verified: true });
    expect(await store.sync()).toMatchObject({ outcome: "up_to_date", verified: true });
  });

  it("counts what a sync brought, then says that all is up to date, checked against what came", async () => {
    house.say("a", "one");
    const store = await signedIn();
    house.serve();
    await until(() => store.getSnapshot().connection.status === "live");
    house.say("a", "two");
    house.say("b", "three");
    expect(await store.sync()).toMatchObject({
      outcome: "received",
      messages: 2,
      conversations: 2,
      verified: true,
    });
    expect(await store.sync()).toMatchObject({ outcome: "up_to_date", messages: 0 });
    expect(store.getConversation("b")?.last.text).toBe("three");
    house.reachable = false;
    expect(await store.sync()).toMatchObject({
      outcome: "failed",
      problem: { type: "urn:malote:problem:unreachable" },
    });
  });

  it("notices that an event never came here, says that it is not verified, and has it afterwards", async () => {
    house.say("a", "one");
    const store = await signedIn();
    const socket = house.serve();
    await until(() => store.getSnapshot().connection.status === "live");
    house.say("a", "lost");
    const third = house.say("a", "three");
    // A server with a bug: the frame claims to follow the first event.
    const frame = { type: "events", after: cursorAt(1), cursor: cursorAt(3), attempt: 1 } as const;
    socket.say({ ...frame, events: [third] });
    await isAt(store, 3);
    expect(store.getConversation("a")?.messages).toBe(2);
    expect(await store.sync()).toMatchObject({ verified: false });
    expect(store.getConversation("a")?.messages).toBe(3);
  });
});

it("opens a conversation as far back as the message that is asked for", async () => {
  for (let i = 0; i < 700; i++) house.say("a", `text ${i + 1}`);
  const store = await signedIn();
  house.serve();
  await until(() => store.getSnapshot().connection.status === "live");
  await store.openConversation("a");
  expect(store.getMessages("a").messages).toHaveLength(50);
  await store.openConversation("a", 300);
  const { messages, complete, loading } = store.getMessages("a");
  expect(messages.map(({ position }) => position)).toEqual(range(251, 700));
  expect({ complete, loading }).toEqual({ complete: false, loading: false });
  await store.openConversation("a", 1);
  expect(store.getMessages("a")).toMatchObject({ complete: true });
  expect(store.getMessages("a").messages).toHaveLength(700);
});

it("loads the list anew when the user's inboxes changed, and says nothing of it", async () => {
  house.say("a", "stays");
  house.say("b", "of an inbox that was lost");
  const store = await signedIn();
  house.serve();
  await until(() => store.getSnapshot().connection.status === "live");
  house.events.splice(1, 1, { ...house.events[1], conversation: null } as WireEvent);
  FakeSocket.last.drop(4411);
  await until(() => FakeSocket.last.readyState === 0);
  house.serve();
  await until(() => store.getSnapshot().conversations.length === 1);
  expect(store.getSnapshot()).toMatchObject({ conversations: ["a"], reset: null, skipped: null });
  expect(await stored()).not.toContain("of an inbox that was lost");
});

describe("a list of several pages", () => {
  const NAMES = range(1, 500).map((each) => `c${each}`);
  const complete = (store: BrowserStore) => until(() => store.getSnapshot().complete);
  const isWhole = (store: BrowserStore) =>
    expect(store.getSnapshot().conversations).toEqual(house.conversations().map(({ id }) => id));

  it("has no hole where it was begun anew while a page was on its way", async () => {
    for (const name of NAMES) house.say(name, "hello");
    const page = holdBack("before=301");
    const store = await signedIn();
    await until(() => house.asked.some((path) => path.includes("before=301")));
    for (const name of NAMES.slice(0, 250)) house.say(name, "again");
    FakeSocket.last.open().say(welcome(500));
    const frame = { after: cursorAt(500), cursor: cursorAt(750), count: 250 };
    FakeSocket.last.say({ type: "skipped", ...frame, reason: "queue_limit" }, live(750));
    await isAt(store, 750);
    page.come();
    await complete(store);
    isWhole(store);
  });

  it("has no hole above a conversation that was opened before the list had come to it", async () => {
    for (const name of NAMES) house.say(name, "hello");
    const page = holdBack("before=301");
    const store = await signedIn();
    await until(() => house.asked.some((path) => path.includes("before=301")));
    await store.openConversation("c7");
    expect(store.getConversation("c7")).toBeDefined();
    page.come();
    await complete(store);
    isWhole(store);
  });

  it("goes on, after a reload, from where it was", async () => {
    for (const name of NAMES) house.say(name, "hello");
    holdBack("before=101");
    const first = await signedIn();
    house.serve();
    await until(() => house.asked.some((path) => path.includes("before=101")));
    first.stop();
    house.held = null;
    FakeSocket.all = [];
    const second = open();
    await until(() => FakeSocket.all.length > 0);
    await complete(second);
    isWhole(second);
    expect(house.asked.filter((path) => path.includes("before=301"))).toHaveLength(1);
  });
});

it("stores nothing of an answer that comes when the page is gone", async () => {
  house.say("a", "one");
  const store = await signedIn();
  house.serve();
  await until(() => store.getSnapshot().connection.status === "live");
  const before = await stored();
  const answer = holdBack("/v1/conversations/b");
  house.say("b", "two");
  const opened = store.openConversation("b");
  await until(() => house.asked.includes("/v1/conversations/b"));
  store.stop();
  answer.come();
  await opened;
  expect(await stored()).toBe(before);
});

it("puts nothing of whoever signed out into the next one's browser", async () => {
  house.say("a", "private");
  const store = await signedIn();
  house.serve();
  await until(() => store.getSnapshot().connection.status === "live");
  const answer = store.openConversation("a");
  await store.signOut();
  await answer;
  expect(await stored()).toBe("[[],[],[]]");
  expect(store.getMessages("a").messages).toEqual([]);
});

/** One thing that happens: to the history, to the link, or to the page. */
const happening = fc.oneof(
  fc.record({
    what: fc.constant("say" as const),
    where: fc.constantFrom("a", "b", "c"),
    direction: fc.constantFrom("inbound" as const, "outbound" as const),
  }),
  fc.record({
    what: fc.constantFrom("read" as const, "status" as const, "redact" as const),
    where: fc.constantFrom("a", "b", "c"),
    which: fc.nat(9),
  }),
  fc.record({
    what: fc.constantFrom(...(["cut", "reload", "open", "sync", "skip"] as const)),
  }),
);

it("holds, after any history, cuts and reloads, what the server would answer", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 14 }), fc.nat(1), async (happenings, lag) => {
      for (const earlier of stores.splice(0)) earlier.stop(); // shrinking begins after a failure
      vi.stubGlobal("indexedDB", new IDBFactory());
      useFakeSockets();
      house = new FakeHouse();
      house.say("a", "first");
      let store = await signedIn();
      house.serve();
      let sent = house.head;
      for (const one of happenings) {
        house.lag = lag;
        if (one.what === "cut") FakeSocket.last.drop();
        else if (one.what === "reload") {
          store.stop();
          FakeSocket.all = [];
          store = open();
        } else if (one.what === "open") void store.openConversation("a");
        else if (one.what === "sync") void store.sync();
        else if (one.what === "say") house.say(one.where, `text ${house.head}`, one.direction);
        else if ("which" in one) happen(one.what, one.where, one.which);
        if (one.what === "skip") {
          FakeSocket.last.drop();
          await until(() => FakeSocket.all.at(-1)?.readyState === 0);
          house.say("b", "while away");
          skip(FakeSocket.last, house);
          sent = house.head;
        } else if (one.what === "cut" || one.what === "reload") {
          await until(() => FakeSocket.all.at(-1)?.readyState === 0);
          house.serve();
          sent = house.head;
        } else if (house.head > sent) {
          house.deliver(FakeSocket.last, sent);
          sent = house.head;
        }
        house.lag = 0;
      }
      await isAt(store, house.head);
      await store.openConversation("a");
      await vi.waitFor(
        () => {
          const rows = store.getSnapshot().conversations.map((id) => store.getConversation(id));
          expect(rows).toEqual(house.conversations());
          expect(store.getMessages("a").messages.toReversed()).toEqual(house.messages("a"));
        },
        { timeout: 4_000, interval: 5 },
      );
      store.stop();
    }),
    { numRuns: 40, interruptAfterTimeLimit: 20_000 },
  );
}, 60_000);

/** Greets the socket, and passes over everything that it has not. */
function skip(socket: FakeSocket, { head }: FakeHouse): void {
  socket.open();
  const after = socket.ofType("hello")[0]?.cursor ?? cursorAt(0);
  const count = head - Number(after.split(".")[1]);
  const frame = { after, cursor: cursorAt(head), count, reason: "queue_limit" } as const;
  socket.say(
    welcome(head - count, { session: `s ${head}` }),
    { type: "skipped", ...frame },
    live(head),
  );
}

function happen(what: "read" | "status" | "redact", where: string, which: number): void {
  const messages = house.messages(where);
  const message = messages[which % Math.max(1, messages.length)];
  if (message === undefined) return;
  if (what === "read") house.read(where, message.position);
  else if (what === "redact") house.redact(where, message.position);
  else if (message.direction === "outbound" && message.id !== null) {
    house.status(where, message.id, ["sent", "delivered", "read"][which % 3] ?? "sent");
  }
}
