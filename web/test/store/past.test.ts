// The inbox as it was: what is asked for once, and does not change.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Http } from "../../src/app/store/http";
import { PastInbox } from "../../src/app/store/past";
import { FakeHouse } from "./fakeHouse";

let house: FakeHouse;
beforeEach(() => {
  house = new FakeHouse();
});
afterEach(() => vi.unstubAllGlobals());

it("has the list and the messages of then, whatever comes later", async () => {
  house.say("a", "first");
  house.say("b", "second");
  house.say("a", "third");
  const past = await PastInbox.load(new Http("token", "2"));
  expect(past.position).toBe(2);
  expect(past.getSnapshot()).toMatchObject({ conversations: ["b", "a"], complete: true });
  house.say("b", "fourth");
  await past.openConversation("a");
  expect(past.getMessages("a").messages.map(({ preview }) => preview)).toEqual(["first"]);
  expect(past.getConversation("a")?.messages).toBe(1);
  expect(house.asked.filter((path) => !path.includes("as_of=2"))).toEqual([]);
});

it("loads older messages page by page, as far back as is asked for", async () => {
  for (let i = 0; i < 120; i++) house.say("a", `text ${i + 1}`);
  const past = await PastInbox.load(new Http("token", "120"));
  await past.openConversation("a");
  expect(past.getMessages("a")).toMatchObject({ complete: false });
  await past.openConversation("a", 3);
  const { messages, complete } = past.getMessages("a");
  expect(messages.map(({ position }) => position)).toEqual(
    [...Array(120).keys()].map((i) => i + 1),
  );
  expect(complete).toBe(true);
});

it("says of a conversation that it was not there yet, and asks again when it is opened again", async () => {
  house.say("a", "first");
  house.say("b", "later");
  const past = await PastInbox.load(new Http("token", "1"));
  await past.openConversation("b");
  expect(past.getMessages("b")).toMatchObject({ loading: false, problem: { status: 404 } });
  const asked = house.asked.length;
  await past.openConversation("b");
  expect(house.asked.length).toBeGreaterThan(asked);
});
