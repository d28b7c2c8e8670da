// Several tabs of one browser: stores that share database, locks and channel.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { BrowserStore } from "../../src/app/store/store";
import { cursorAt, FakeSocket, useFakeSockets } from "../core/fakeServer";
import { FakeHouse } from "./fakeHouse";

/** One lock, granted in turn; a tab that dies lets it go, which here is what `stop` does. */
class FakeLocks {
  #turns: Promise<unknown> = Promise.resolve();

  request(
    _: string,
    { signal }: { signal: AbortSignal },
    work: () => Promise<void>,
  ): Promise<void> {
    const mine = this.#turns.then(() => {
      if (signal.aborted) throw new DOMException("gone", "AbortError");
      return work();
    });
    this.#turns = mine.catch(() => undefined);
    return mine;
  }
}

let house: FakeHouse;
let tabs: BrowserStore[];

function tab(): BrowserStore {
  const store = new BrowserStore();
  tabs.push(store);
  store.start();
  return store;
}
const until = (true_: () => boolean) =>
  vi.waitFor(() => expect(true_()).toBe(true), { timeout: 4_000, interval: 2 });
const isReady = (store: BrowserStore) => until(() => store.getSnapshot().phase === "ready");

async function twoTabs(): Promise<[BrowserStore, BrowserStore]> {
  const first = tab();
  await until(() => first.getSnapshot().phase === "signed_out");
  await first.signIn("token");
  await until(() => FakeSocket.all.length > 0);
  house.serve();
  const second = tab();
  await isReady(second);
  return [first, second];
}

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  Object.defineProperty(navigator, "locks", { configurable: true, value: new FakeLocks() });
  useFakeSockets();
  localStorage.clear();
  house = new FakeHouse();
  house.say("a", "first");
  tabs = [];
});
afterEach(() => {
  for (const store of tabs) store.stop();
  Reflect.deleteProperty(navigator, "locks");
  vi.unstubAllGlobals();
});

it("opens one socket, and both tabs show what came over it, and how it stands", async () => {
  const [first, second] = await twoTabs();
  house.say("b", "for both");
  house.deliver(FakeSocket.last, 1);
  await until(() => second.getConversation("b") !== undefined);
  expect(second.getSnapshot().conversations).toEqual(["b", "a"]);
  expect(first.getSnapshot().leader).toBe(true);
  expect(second.getSnapshot().leader).toBe(false);
  await until(() => second.getSnapshot().connection.status === "live");
  expect(FakeSocket.all).toHaveLength(1);
});

it("goes on in another tab, from the stored cursor, when the leading one goes away", async () => {
  const [first, second] = await twoTabs();
  house.say("a", "before");
  house.deliver(FakeSocket.last, 1);
  await until(() => first.getSnapshot().connection.cursor === cursorAt(2));
  first.stop();
  await until(() => FakeSocket.all.length === 2);
  house.say("a", "after");
  house.serve();
  await until(() => second.getConversation("a")?.messages === 3);
  expect(FakeSocket.last.ofType("hello")[0]?.cursor).toBe(cursorAt(2));
  expect(second.getSnapshot().leader).toBe(true);
});

it("syncs for a tab that does not lead", async () => {
  const [, second] = await twoTabs();
  house.say("b", "by sync");
  expect(await second.sync()).toMatchObject({ outcome: "received", messages: 1, verified: true });
  await until(() => second.getConversation("b") !== undefined);
});

it("signs out in every tab", async () => {
  const [first, second] = await twoTabs();
  await second.signOut();
  await until(() => first.getSnapshot().phase === "signed_out");
  expect(first.getSnapshot().conversations).toEqual([]);
  expect(FakeSocket.last.closed).toBe(true);
});

it("keeps trying for the first page while the server cannot be reached", async () => {
  const store = tab();
  await until(() => store.getSnapshot().phase === "signed_out");
  await store.signIn("token"); // reachable: /v1/me answers
  await isReady(store);
  await store.signOut();
  const me = store.signIn("token");
  await until(() => house.asked.filter((path) => path === "/v1/me").length === 2);
  house.reachable = false;
  await me;
  await until(() => store.getSnapshot().problem !== null);
  expect(store.getSnapshot().phase).toBe("loading");
  house.reachable = true;
  store.tryNow();
  await isReady(store);
  expect(store.getSnapshot().problem).toBeNull();
});
