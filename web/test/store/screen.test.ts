// What one device showed: its own pages as of one moment, and what was missing on it.

import { afterEach, expect, it, vi } from "vitest";
import { ScreenPages, splitOnce } from "../../src/app/screen";
import { PastInbox } from "../../src/app/store/past";
import { conversation, message } from "../app/heldStore";

afterEach(() => vi.unstubAllGlobals());

/** A server that answers with these devices; what was asked of it. */
function answering(devices: readonly object[]): URLSearchParams[] {
  const asked: URLSearchParams[] = [];
  vi.stubGlobal("fetch", async (path: string) => {
    const { pathname, searchParams } = new URL(path, "http://localhost");
    expect(pathname).toBe("/v1/audit/screen");
    asked.push(searchParams);
    const position = Number(searchParams.get("at") ?? 90);
    const time = "2026-11-28T14:02:11.000000Z";
    const body = { user: "ana", position, time, next: null, cursor: "k3f9.99.0a0b0c0d", devices };
    return { ok: true, status: 200, json: async () => body };
  });
  return asked;
}

it("is of the moment that was asked for, and of the same moment however often more is loaded", async () => {
  const rows = Array.from({ length: 200 }, (_, each) => conversation(`c${each}`, 200 - each));
  const asked = answering([{ conversations: rows, messages: null, ack_floor: 80 }]);
  const pages = new ScreenPages("token", "ana/a/b", null);
  const past = await PastInbox.load(pages);
  expect(past.position).toBe(90);
  expect(pages.device).toMatchObject({ ack_floor: 80 });
  await past.loadMoreConversations();
  expect(asked.map((query) => query.get("at"))).toEqual([null, "90"]);
  expect(asked[1]?.get("before")).toBe("1");
  expect(asked.map((query) => [query.get("user"), query.get("device")])).toEqual([
    ["ana", "a/b"],
    ["ana", "a/b"],
  ]);
});

it("marks the messages that the device was to have and had not, with why", async () => {
  const hows = ["acknowledged", "loaded", "parked", "skipped"] as const;
  const messages = hows.map((how, each) => ({
    message: message(9 - each, { preview: how }),
    how,
  }));
  answering([{ conversations: [conversation("c", 9)], messages, ack_floor: 9 }]);
  const past = await PastInbox.load(new ScreenPages("token", "ana/d", "9"));
  await past.openConversation("c");
  const shown = past.getMessages("c").messages;
  expect(shown.map((one) => [one.preview, one.lacking])).toEqual([
    ["skipped", "skipped"],
    ["parked", "parked"],
    ["loaded", undefined],
    ["acknowledged", undefined],
  ]);
});

it("is empty where the device was not here yet, and says so", async () => {
  answering([]);
  const pages = new ScreenPages("token", "ana/d", "9");
  const past = await PastInbox.load(pages);
  expect(past.getSnapshot()).toMatchObject({ conversations: [], complete: true });
  expect(pages.device).toBeNull();
  await past.openConversation("c");
  expect(past.getMessages("c")).toMatchObject({ problem: { status: 404 } });
});

it("splits a user from a device, whose name may hold anything", () => {
  expect(splitOnce("ana/wall/2")).toEqual(["ana", "wall/2"]);
});
