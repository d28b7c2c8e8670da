import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BrowserStore } from "../../src/app/store/store";
import type { WireEvent } from "../../src/wire";
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
    FakeSocket.last.say({ type: "skipped", ...frame, reason: "queue_limit" });
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

  it("brings what was skipped when asked for it, counted and checked", async () => {
    house.say("a", "one");
    const store = await signedIn();
    for (let i = 0; i < 10; i++) house.say(i % 2 ? "a" : "b", "many");
    FakeSocket.last.open().say(welcome(1));
    const frame = { after: cursorAt(1), cursor: cursorAt(11), count: 10 };
    FakeSocket.last.say({ type: "skipped", ...frame, reason: "queue_limit" }).say(live(11));
    await until(() => store.getSnapshot().skipped !== null);
    house.say("c", "after it");
    house.deliver(FakeSocket.last, 11);
    await isAt(store, 12);
    expect(await store.sync()).toMatchObject({
      outcome: "received",
      messages: 10,
      conversations: 2,
      verified: true,
      checked: 11,
    });
    expect(store.getSnapshot().skipped).toBeNull();
    expect(await store.sync()).toMatchObject({ outcome: "up_to_date", messages: 0, checked: 0 });
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

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

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
    what: fc.constantFrom("cut" as const, "reload" as const, "open" as const, "sync" as const),
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
        if (one.what === "cut" || one.what === "reload") {
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
