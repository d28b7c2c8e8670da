// Snapshot plus events is the later snapshot: what is folded here, the server folds alike.

import { describe, expect, it } from "vitest";
import { Contents } from "../../src/app/store/contents";
import { foldRow, foldWindow, provisional, shown, type Window } from "../../src/app/store/folding";
import { backoffMs } from "../../src/backoff";
import type { Content, MessageReceived, WireEvent } from "../../src/model";
import { conversation, message } from "./heldStore";

function event(position: number, type: string, data: unknown): WireEvent {
  return {
    position,
    cursor: `e.${position}.00000000`,
    type,
    version: 1,
    time: "2026-11-28T15:00:00.000000Z",
    inbox: "support",
    conversation: "c1",
    data,
  };
}
const said = (position: number, content: Content, more: object = {}) =>
  event(position, "message.received", {
    message_id: `m${position}`,
    contact: { id: "contact c1" },
    content,
    ...more,
  }) as MessageReceived;
const text = (body: string): Content => ({ type: "text", body });
const window = (...positions: number[]): Window => ({
  id: "c1",
  at: positions.at(-1) ?? 0,
  complete: true,
  messages: positions.map((position) => message(position)),
});

describe("a row", () => {
  const row = conversation("c1", 10, { unread: 1, messages: 3 });
  it("counts an inbound message and shows its words", () => {
    const after = foldRow(row, said(11, text("  two\n lines ")));
    expect(after).toMatchObject({ messages: 4, unread: 2, last_position: 11, touched: 11 });
    expect(after?.last).toMatchObject({ kind: "text", text: "two lines", direction: "inbound" });
    expect(after?.contact.name).toBe("Name c1");
  });
  it("does not count an outbound one as unread, and forgets the tick of the one before", () => {
    const sent = { ...row, outbound_status: "read" as const };
    const after = foldRow(sent, said(11, text("x"), { direction: "outbound" }));
    expect(after).toMatchObject({ messages: 4, unread: 1, outbound_status: null });
  });
  it("has an event that it has already", () => {
    expect(foldRow(row, said(10, text("again")))).toBe(row);
    expect(foldRow(row, event(9, "message.revoked", { message_id: "m9" }))).toBe(row);
  });
  it("is read up to its end, and is asked for where only a part was read", () => {
    expect(foldRow(row, event(11, "conversation.read", { position: 10, by: "ana" }))).toMatchObject(
      {
        unread: 0,
        read_position: 10,
      },
    );
    expect(foldRow(row, event(11, "conversation.read", { position: 5, by: "ana" }))).toBeNull();
  });
  it.each([
    "message.status_changed",
    "message.edited",
    "message.revoked",
    "contact.aliased",
    "x.y",
  ])("is asked for after %s", (type) => expect(foldRow(row, event(11, type, {}))).toBeNull());
  it("is asked for where it is not known, and shown meanwhile", () => {
    expect(foldRow(undefined, said(11, text("hi")))).toBeNull();
    expect(provisional(said(11, text("hi")))).toMatchObject({ id: "c1", messages: 1, unread: 1 });
    expect(provisional(said(11, { type: "reaction", message_id: "m1" }))).toBeNull();
  });
});

describe("a window", () => {
  it("gets each message once, at its end", () => {
    const once = foldWindow(window(1, 2), said(3, text("new")));
    expect(once?.messages.map(({ position }) => position)).toEqual([1, 2, 3]);
    expect(foldWindow(once as Window, said(3, text("new")))).toBe(once);
  });
  it("keeps the highest status, in whatever order reports come", () => {
    const status = (position: number, to: string) =>
      event(position, "message.status_changed", { message_id: "m1", status: to });
    let now = window(1);
    for (const [position, to] of [
      [2, "read"],
      [3, "sent"],
      [4, "delivered"],
    ] as const) {
      now = foldWindow(now, status(position, to)) as Window;
    }
    expect(now.messages[0]?.status).toBe("read");
    const failed = foldWindow(now, status(5, "failed"));
    expect(failed?.messages[0]?.status).toBe("failed");
  });
  it("shows an edit, and nothing of what was deleted for everybody", () => {
    const edited = foldWindow(
      window(1),
      event(2, "message.edited", { message_id: "m1", content: text("better") }),
    ) as Window;
    expect(edited.messages[0]).toMatchObject({ edited: true, preview: "better" });
    const revoked = foldWindow(edited, event(3, "message.revoked", { message_id: "m1" })) as Window;
    expect(revoked.messages[0]).toMatchObject({ revoked: true, content: null, preview: null });
    const after = foldWindow(
      revoked,
      event(4, "message.edited", { message_id: "m1", content: text("no") }),
    );
    expect(after?.messages[0]?.content).toBeNull();
  });
  it("has one reaction of each contact, and none once it was taken back", () => {
    const react = (position: number, emoji?: string) =>
      said(position, { type: "reaction", message_id: "m1", emoji: emoji ?? null });
    let now = foldWindow(window(1), react(2, "👍")) as Window;
    now = foldWindow(now, react(3, "💚")) as Window;
    expect(now.messages[0]?.reactions.map(({ emoji }) => emoji)).toEqual(["💚"]);
    expect(now.messages).toHaveLength(1);
    now = foldWindow(now, react(4)) as Window;
    expect(now.messages[0]?.reactions).toEqual([]);
  });
  it("is loaded again where contacts turn out to be one, or a message is erased", () => {
    expect(foldWindow(window(1), event(2, "contact.aliased", { alias: "c2" }))).toBeNull();
    expect(foldWindow(window(1), event(2, "message.received", null))).toBeNull();
  });
});

describe("what is shown of a content", () => {
  it.each<[Content, string, string | null]>([
    [{ type: "media", kind: "image", caption: "look" }, "image", "look"],
    [{ type: "media", kind: "audio", voice: true }, "voice", null],
    [{ type: "media", kind: "document", filename: "a.txt" }, "document", "a.txt"],
    [{ type: "location", latitude: 1, longitude: 2, address: "here" }, "location", "here"],
    [{ type: "contacts", contacts: [{ name: "A" }, { name: "B" }] }, "contacts", "A, B"],
    [{ type: "order", items: [] }, "order", null],
    [{ type: "reply", kind: "button", title: "Yes" }, "reply", "Yes"],
    [{ type: "notice", kind: "x", body: "new number" }, "notice", "new number"],
    [{ type: "generic", event: "order.paid" }, "generic", "order.paid"],
    [{ type: "unsupported", kind: "poll" }, "unsupported", "poll"],
  ])("is its kind and its words", (content, kind, words) => {
    expect(shown(content)).toEqual({ kind, text: words });
  });
});

describe("the contents of a tab", () => {
  it("are in the order of the newest message, whatever order rows come in", () => {
    const contents = new Contents();
    contents.putRows([5, 1, 3].map((n) => conversation(`c${n}`, n)));
    contents.putRows([conversation("c4", 4), conversation("c1", 9)]);
    expect(contents.order).toEqual(["c1", "c5", "c4", "c3"]);
    const before = contents.order;
    contents.putRows([conversation("c3", 3, { unread: 2 })]);
    expect(contents.order).toBe(before);
    expect(contents.unread).toBe(2);
    contents.putRows([], ["c3"]);
    expect(contents.order).toEqual(["c1", "c5", "c4"]);
    expect(contents.unread).toBe(0);
  });
  it("find a conversation by the ids that joined it, and tell whoever asked for those", () => {
    const contents = new Contents();
    let told = 0;
    contents.subscribe("old", () => {
      told += 1;
    });
    contents.putRows([conversation("c1", 1, { aliases: ["old"] })], ["old"]);
    expect(contents.rootOf("old")).toBe("c1");
    expect(told).toBeGreaterThan(0);
  });
});

it("waits with full jitter, doubling from half a second to twenty", () => {
  expect([0, 1, 2, 3, 9, 99].map((attempt) => backoffMs(attempt, 1))).toEqual([
    500, 1000, 2000, 4000, 20_000, 20_000,
  ]);
  expect(backoffMs(5, 0)).toBe(0);
});
