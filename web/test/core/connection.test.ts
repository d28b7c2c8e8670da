import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Batch, Connection, type ConnectionOptions } from "../../src/connection";
import type { ReplayedFrame, ResetFrame, SkippedFrame } from "../../src/wire";
import {
  cursorAt,
  eventAt,
  eventsFrame,
  FakeSocket,
  live,
  setOnline,
  useFakeSockets,
  welcome,
} from "./fakeServer";

let seen: number[];
let connection: Connection;

function connect(options: Partial<ConnectionOptions> = {}): Connection {
  connection = new Connection({
    token: "t",
    device: "tab",
    onEvents: (batch: Batch) => void seen.push(...batch.events.map(({ position }) => position)),
    ...options,
  });
  connection.start();
  return connection;
}
const state = () => connection.getSnapshot();
/** Up, because timers run in whole milliseconds. */
const untilRetry = () => Math.ceil((state().retryAt ?? Date.now()) - Date.now());
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  seen = [];
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  useFakeSockets();
});
afterEach(() => {
  connection.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("opening", () => {
  it("says hello with token, device and cursor, to the server the page came from", () => {
    connect({ cursor: cursorAt(7) });
    const socket = FakeSocket.last.open();
    expect(String(socket.url)).toBe("ws://localhost:3000/v1/ws");
    expect(socket.protocol).toBe("malote.v1");
    expect(socket.sent).toEqual([
      { type: "hello", token: "t", device: "tab", cursor: cursorAt(7) },
    ]);
  });

  it("goes from connecting over catching up to live, and tells up to when it is complete", () => {
    connect({ cursor: cursorAt(7) });
    expect(state().status).toBe("connecting");
    FakeSocket.last.open().say(
      welcome(7, {
        resume: { outcome: "resumed", reason: null, cursor: cursorAt(7), pending: 3 },
      }),
    );
    expect(state()).toMatchObject({ status: "catching_up", pending: 3, user: "ana" });
    FakeSocket.last.say(eventsFrame(8, 10), live(10));
    expect(state()).toMatchObject({
      status: "live",
      pending: 0,
      attempt: 0,
      downSince: null,
      completeTo: "2026-11-22T14:02:12.000000Z",
    });
    expect(seen).toEqual([8, 9, 10]);
  });

  it("keeps where a new device begins, so that a second hello cannot begin later", () => {
    connect();
    const resume = { outcome: "fresh", reason: null, cursor: cursorAt(40), pending: 0 };
    FakeSocket.last.open().say(welcome(40, { resume }));
    FakeSocket.last.drop();
    vi.advanceTimersByTime(1_000);
    expect(FakeSocket.last.open().ofType("hello")[0]?.cursor).toBe(cursorAt(40));
  });

  it("gives up a socket that never opens and one that is never greeted", () => {
    connect();
    vi.advanceTimersByTime(17_000);
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.last.open();
    vi.advanceTimersByTime(20_000);
    expect(FakeSocket.all).toHaveLength(3);
  });
});

describe("acknowledgement", () => {
  it("says an ack only after the application has handled the batch", async () => {
    let done = () => {};
    connect({ cursor: cursorAt(0), onEvents: () => new Promise<void>((ok) => (done = ok)) });
    const socket = FakeSocket.last.goLive(0).say(eventsFrame(1, 3));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(socket.ofType("ack")).toEqual([]);
    done();
    await settle();
    expect(socket.ofType("ack")).toEqual([{ type: "ack", cursor: cursorAt(3) }]);
  });

  it("joins acks to one each 100 ms, and to 40 a second when the window fills", async () => {
    connect({ cursor: cursorAt(0) });
    const socket = FakeSocket.last.goLive(0);
    for (let i = 1; i <= 20; i++) socket.say(eventsFrame(i, i));
    await vi.advanceTimersByTimeAsync(100);
    expect(socket.ofType("ack").map(({ cursor }) => cursor)).toEqual([cursorAt(1), cursorAt(20)]);
    for (let i = 0; i < 200; i++) {
      socket.say(eventsFrame(21 + i * 60, 80 + i * 60));
      await vi.advanceTimersByTimeAsync(5);
    }
    expect(socket.ofType("ack").length).toBeLessThanOrEqual(2 + 41);
    await vi.advanceTimersByTimeAsync(100);
    expect(socket.ofType("ack").at(-1)?.cursor).toBe(cursorAt(12_020));
  });

  it("never acknowledges what did not come over the present link", async () => {
    let done = () => {};
    connect({ cursor: cursorAt(0), onEvents: () => new Promise<void>((ok) => (done = ok)) });
    FakeSocket.last.goLive(0).say(eventsFrame(1, 3)).drop();
    await vi.advanceTimersByTimeAsync(1_000);
    const second = FakeSocket.last.open().say(welcome(0));
    done();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(second.ofType("ack")).toEqual([]);
    second.say(eventsFrame(1, 2), eventsFrame(3, 3));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(second.ofType("ack").at(-1)?.cursor).toBe(cursorAt(3));
  });

  it("acknowledges again what is delivered again", async () => {
    connect({ cursor: cursorAt(0) });
    const socket = FakeSocket.last.goLive(0).say(eventsFrame(1, 3));
    await vi.advanceTimersByTimeAsync(1_000);
    socket.say(eventsFrame(1, 3, 2));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen).toEqual([1, 2, 3]);
    expect(socket.ofType("ack")).toHaveLength(2);
  });

  it("flushes the ack that waits when it is stopped", () => {
    connect({ cursor: cursorAt(0) });
    const socket = FakeSocket.last.goLive(0).say(eventsFrame(1, 1), eventsFrame(2, 2));
    connection.stop();
    expect(socket.ofType("ack").at(-1)?.cursor).toBe(cursorAt(2));
  });
});

describe("each event once, none missing", () => {
  it("hands the overlap of two frames over once", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0).say(eventsFrame(1, 5), eventsFrame(3, 8));
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("hands over once what was being handled while the link was replaced", async () => {
    const done: (() => void)[] = [];
    connect({
      cursor: cursorAt(0),
      onEvents: (batch) => {
        seen.push(...batch.events.map(({ position }) => position));
        return new Promise<void>((ok) => done.push(ok));
      },
    });
    FakeSocket.last.goLive(0).say(eventsFrame(1, 3)).drop();
    await vi.advanceTimersByTimeAsync(1_000);
    FakeSocket.last.goLive(0).say(eventsFrame(1, 5));
    done[0]?.();
    await settle();
    done[1]?.();
    await vi.advanceTimersByTimeAsync(100);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(state().cursor).toBe(cursorAt(5));
  });

  it("gathers what comes while a batch is handled into the next batch", async () => {
    const batches: number[] = [];
    connect({
      cursor: cursorAt(0),
      onEvents: async (batch) => {
        batches.push(batch.events.length);
        await new Promise((ok) => setTimeout(ok, 10));
      },
    });
    const socket = FakeSocket.last.goLive(0);
    for (let i = 1; i <= 100; i++) socket.say(eventsFrame(i, i));
    await vi.advanceTimersByTimeAsync(100);
    expect(batches).toEqual([1, 99]);
  });

  it.each([
    ["a gap", eventsFrame(5, 6)],
    ["another history", { ...eventsFrame(1, 1), after: cursorAt(0, "ffffffff") }],
    ["another log", { ...eventsFrame(1, 1), after: "other.0.0a0b0c0d" }],
  ])("reconnects with its cursor on %s, and hands nothing over", (_, frame) => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0).say(frame as never);
    expect(seen).toEqual([]);
    vi.advanceTimersByTime(1_000);
    expect(FakeSocket.all).toHaveLength(2);
    expect(FakeSocket.last.open().ofType("hello")[0]?.cursor).toBe(cursorAt(0));
  });

  it("reconnects when an event that a ping has shown does not come", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last
      .goLive(0)
      .say({ type: "ping", id: 1, cursor: cursorAt(4), quality: "good", rtt_ms: 3 });
    vi.advanceTimersByTime(9_000);
    expect(state().status).toBe("live");
    vi.advanceTimersByTime(2_000);
    expect(state().status).not.toBe("live");
  });

  it("hands a batch over again that the application rejected, on a new link", async () => {
    let fails = 1;
    const errors: unknown[] = [];
    connect({
      cursor: cursorAt(0),
      onError: (error) => errors.push(error),
      onEvents: async (batch) => {
        if (fails-- > 0) throw new Error("disk full");
        seen.push(...batch.events.map(({ position }) => position));
      },
    });
    const first = FakeSocket.last.goLive(0).say(eventsFrame(1, 2));
    await settle();
    expect(first.ofType("ack")).toEqual([]);
    expect(errors).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1_000);
    FakeSocket.last.goLive(0).say(eventsFrame(1, 2));
    await settle();
    expect(seen).toEqual([1, 2]);
  });
});

describe("what is not an event", () => {
  it("tells a reset once, and goes on from its cursor, also where that lies further back", () => {
    const resets: ResetFrame[] = [];
    connect({ cursor: cursorAt(90), onReset: (frame) => void resets.push(frame) });
    const reason = "ahead_of_log" as const;
    FakeSocket.last
      .open()
      .say(
        welcome(20, { resume: { outcome: "reset", reason, cursor: cursorAt(20), pending: 0 } }),
        { type: "reset", cursor: cursorAt(20), reason },
        eventsFrame(21, 22),
        live(22),
      );
    expect(resets).toEqual([{ type: "reset", cursor: cursorAt(20), reason }]);
    expect(seen).toEqual([21, 22]);
    expect(state()).toMatchObject({ status: "live", cursor: cursorAt(22) });
  });

  it("hands out what comes again on request once of a request, and acknowledges it", async () => {
    const again: [number, number[]][] = [];
    const positions = (frame: ReplayedFrame) => frame.events.map(({ position }) => position);
    connect({
      cursor: cursorAt(9),
      onReplayed: (frame) => void again.push([frame.request, positions(frame)]),
    });
    const replayed = (request: number): ReplayedFrame => ({
      type: "replayed",
      request,
      events: [eventAt(3), eventAt(5)],
    });
    FakeSocket.last.goLive(9).say(replayed(40));
    await settle();
    expect(again).toEqual([[40, [3, 5]]]);
    expect(FakeSocket.last.ofType("replay_ack")).toEqual([
      { type: "replay_ack", request: 40, positions: [3, 5] },
    ]);
    expect(state().cursor).toBe(cursorAt(9));
    FakeSocket.last.drop();
    vi.advanceTimersByTime(1_000);
    FakeSocket.last.goLive(9).say(replayed(40), replayed(41));
    await settle();
    expect(again).toEqual([
      [40, [3, 5]],
      [41, [3, 5]],
    ]);
    expect(FakeSocket.last.ofType("replay_ack").map(({ request }) => request)).toEqual([40, 41]);
  });

  it("remembers the newest four thousand of them: an old one's place is a new one's", async () => {
    const again: number[] = [];
    connect({
      cursor: cursorAt(5_000),
      onReplayed: ({ events }) => void again.push(events.length),
    });
    const replayed = (first: number, last: number): ReplayedFrame => {
      const count = last - first + 1;
      const events = Array.from({ length: count }, (_, each) => eventAt(first + each));
      return { type: "replayed", request: 40, events };
    };
    FakeSocket.last.goLive(5_000).say(replayed(1, 4_000), replayed(4_001, 4_002));
    FakeSocket.last.say(replayed(1, 3), replayed(4, 4_002));
    await settle();
    expect(again).toEqual([4_000, 2, 2, 1]);
  });

  it("puts aside again what cannot be handled this time either, and keeps the link", async () => {
    connect({ cursor: cursorAt(9), onReplayed: () => Promise.reject(new Error("full")) });
    FakeSocket.last.goLive(9).say({ type: "replayed", request: 40, events: [eventAt(3)] });
    await settle();
    expect(FakeSocket.last.ofType("nack")).toEqual([
      { type: "nack", position: 3, reason: "Error: full" },
    ]);
    expect(FakeSocket.last.ofType("replay_ack")).toEqual([]);
    expect(state().status).toBe("live");
  });

  it("says again that it was put aside where the link took that along, and asks nobody twice", async () => {
    let asked = 0;
    let refuse = (_: Error) => {};
    const busy = () => {
      asked += 1;
      return new Promise((_, reject) => {
        refuse = reject;
      });
    };
    connect({ cursor: cursorAt(9), onReplayed: busy });
    const frame: ReplayedFrame = { type: "replayed", request: 40, events: [eventAt(3)] };
    FakeSocket.last.goLive(9).say(frame);
    await settle();
    FakeSocket.last.drop();
    vi.advanceTimersByTime(1_000);
    const next = FakeSocket.last.goLive(9);
    refuse(new Error("full"));
    await settle();
    expect(next.ofType("nack")).toEqual([]);
    next.say(frame);
    await settle();
    const nack = { type: "nack", position: 3, reason: "Error: full" };
    expect([next.ofType("nack"), next.ofType("replay_ack"), asked]).toEqual([[nack], [], 1]);
  });

  it("tells of skipped events and goes on behind them", () => {
    const skips: SkippedFrame[] = [];
    connect({ cursor: cursorAt(0), onSkipped: (frame) => void skips.push(frame) });
    FakeSocket.last
      .open()
      .say(
        welcome(0),
        { type: "skipped", after: cursorAt(0), cursor: cursorAt(80), count: 80, reason: "expired" },
        eventsFrame(81, 82),
      );
    expect(skips.map(({ count }) => count)).toEqual([80]);
    expect(seen).toEqual([81, 82]);
  });

  it("reports a refused frame and lives on; ignores what a newer server says", () => {
    const errors: unknown[] = [];
    connect({ cursor: cursorAt(0), onError: (error) => errors.push(error) });
    const problem = { type: "urn:malote:problem:refresh-refused", title: "no", status: 401 };
    const socket = FakeSocket.last.goLive(0).say({ type: "error", problem });
    socket.sayText('{"type":"weather","sun":true}');
    expect(errors).toEqual([problem]);
    expect(state().status).toBe("live");
  });

  it.each(["not json", "[]", "null", '{"type":"events"}'])(
    "reconnects on a malformed frame: %s",
    (text) => {
      connect({ cursor: cursorAt(0) });
      FakeSocket.last.goLive(0).sayText(text);
      vi.advanceTimersByTime(1_100);
      expect(FakeSocket.all).toHaveLength(text === "[]" ? 1 : 2);
    },
  );
});

describe("heartbeat", () => {
  it("answers a ping inside the message handler, and keeps quality and round trips", () => {
    connect({ cursor: cursorAt(0) });
    const socket = FakeSocket.last.goLive(0);
    socket.say({ type: "ping", id: 9, cursor: cursorAt(0), quality: "poor", rtt_ms: 512 });
    expect(socket.ofType("pong")).toEqual([{ type: "pong", id: 9 }]);
    expect(state()).toMatchObject({ quality: "poor", rttMs: 512 });
    expect(state().rttHistory.map(({ rttMs }) => rttMs)).toEqual([512]);
  });

  it("forgets round trips after five minutes", () => {
    connect({ cursor: cursorAt(0) });
    for (let id = 1; id <= 20; id++) {
      if (id === 1) FakeSocket.last.goLive(0);
      FakeSocket.last.say({ type: "ping", id, cursor: cursorAt(0), quality: "good", rtt_ms: id });
      vi.advanceTimersByTime(25_000);
    }
    expect(state().rttHistory).toHaveLength(13);
  });

  it("shows a late heartbeat as poor, and gives a silent link up; any frame is life", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0);
    vi.advanceTimersByTime(35_000);
    expect(state()).toMatchObject({ status: "live", quality: "poor", missed: 1 });
    FakeSocket.last.say(eventsFrame(1, 1));
    expect(state().missed).toBe(0);
    vi.advanceTimersByTime(46_000);
    expect(state().status).toBe("live");
    vi.advanceTimersByTime(3_000);
    expect(state().status).toBe("reconnecting");
    expect(FakeSocket.all[0]?.closed).toBe(true);
  });
});

describe("reconnecting", () => {
  it("waits with full jitter, doubling from 0.5 s to 20 s, and tells attempt and time", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0);
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 8; attempt++) {
      FakeSocket.last.drop();
      expect(state()).toMatchObject({ status: "reconnecting", attempt });
      waits.push(Math.round(untilRetry() / 100) / 10);
      vi.advanceTimersByTime(untilRetry());
    }
    expect(waits).toEqual([0.5, 1, 2, 4, 8, 16, 20, 20]);
  });

  it("starts counting again after live", () => {
    connect({ cursor: cursorAt(0) });
    for (let i = 0; i < 4; i++) {
      FakeSocket.last.drop();
      vi.advanceTimersByTime(untilRetry());
    }
    FakeSocket.last.goLive(0).drop();
    expect(state().attempt).toBe(1);
  });

  it("stays patient with whoever sent it away, until a link holds for 30 s", () => {
    connect({ cursor: cursorAt(0) });
    for (let i = 0; i < 4; i++) {
      FakeSocket.last.goLive(0).drop(4409);
      expect(state().attempt).toBe(i + 1);
      vi.advanceTimersByTime(untilRetry());
    }
    FakeSocket.last.goLive(0);
    for (let i = 0; i < 3; i++) {
      vi.advanceTimersByTime(20_000);
      FakeSocket.last.say(eventsFrame(i + 1, i + 1));
    }
    FakeSocket.last.drop(4409);
    expect(state().attempt).toBe(1);
  });

  it("comes back at once when it may see other inboxes, but not again and again", () => {
    connect({ cursor: cursorAt(0) });
    const waits = [4411, 4411, 4411].map((code) => {
      FakeSocket.last.goLive(0).drop(code);
      const wait = Math.round(untilRetry() / 100) / 10;
      vi.advanceTimersByTime(untilRetry());
      return wait;
    });
    expect(waits).toEqual([0, 1, 2]);
  });

  it("adds what a bye asks for", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last
      .goLive(0)
      .say({ type: "bye", code: 1012, reason: "restart", retry_after_ms: 3_000 });
    expect(state().lastClose).toEqual({ code: 1012, reason: "restart" });
    expect((state().retryAt ?? 0) - Date.now()).toBeCloseTo(3_499.5);
  });

  it.each([
    [4501, "signed_out"],
    [4503, "revoked"],
    [4505, "not_supported"],
    [4599, "refused"],
  ] as const)("stops on %i with the reason %s", (code, stopReason) => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0).drop(code);
    expect(state()).toMatchObject({ status: "stopped", stopReason, retryAt: null });
    vi.advanceTimersByTime(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("asks a token function for a fresh one when a token expired, once", async () => {
    let asked = 0;
    connect({ cursor: cursorAt(0), token: async () => `t${++asked}` });
    await settle();
    FakeSocket.last.goLive(0).drop(4501);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(FakeSocket.last.open().ofType("hello")[0]?.token).toBe("t2");
    FakeSocket.last.drop(4501);
    expect(state().stopReason).toBe("signed_out");
  });

  it("stops after the most attempts, says so, and begins anew when told to", () => {
    connect({ maxAttempts: 3 });
    for (let i = 0; i < 3; i++) {
      FakeSocket.last.drop();
      vi.advanceTimersByTime(untilRetry());
    }
    expect(state()).toMatchObject({ stopReason: "attempts_used_up", maxAttempts: 3 });
    connection.tryNow();
    expect(state()).toMatchObject({ status: "connecting", attempt: 1 });
  });

  it("stops when the application says no", () => {
    connect({ shouldReconnect: ({ code }) => code !== 1013 });
    FakeSocket.last.drop(1013);
    expect(state().stopReason).toBe("refused");
  });

  it("opens a new socket although the old one's close hangs, and is deaf to the old one", () => {
    connect({ cursor: cursorAt(0) });
    const first = FakeSocket.last.goLive(0);
    const hears = first.onmessage;
    vi.advanceTimersByTime(50_000);
    expect(first.readyState).toBe(2);
    expect(first.onmessage).toBeNull();
    expect(hears).not.toBeNull();
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("renews a token in band and uses it on later links", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0);
    connection.refresh("t2");
    expect(FakeSocket.last.ofType("refresh")).toEqual([{ type: "refresh", token: "t2" }]);
    FakeSocket.last.drop();
    vi.advanceTimersByTime(1_000);
    expect(FakeSocket.last.open().ofType("hello")[0]?.token).toBe("t2");
  });
});

describe("a token with an end", () => {
  it("is renewed in band a minute before, and again in 10 s where no answer came", async () => {
    let asked = 0;
    connect({ cursor: cursorAt(0), token: () => `t${++asked}` });
    await settle();
    const socket = FakeSocket.last.open().say(welcome(0, { expires_in_ms: 120_000 }), live(0));
    const beat = (id: number) =>
      socket.say({ type: "ping", id, cursor: cursorAt(0), quality: "good", rtt_ms: 1 });
    for (let id = 0; id < 2; id++) {
      await vi.advanceTimersByTimeAsync(29_000);
      beat(id);
    }
    expect(socket.ofType("refresh")).toEqual([]);
    await vi.advanceTimersByTimeAsync(13_000);
    expect(socket.ofType("refresh").map(({ token }) => token)).toEqual(["t2", "t3"]);
    socket.say({ type: "refreshed", expires_in_ms: null });
    for (let id = 2; id < 30; id++) {
      await vi.advanceTimersByTimeAsync(25_000);
      beat(id);
    }
    expect(socket.ofType("refresh")).toHaveLength(2);
  });

  it("says so when no successor can be had, and keeps the link", async () => {
    const errors: unknown[] = [];
    let asked = 0;
    const token = async () => {
      if (++asked > 1) throw new Error("identity service is down");
      return "t";
    };
    connect({ cursor: cursorAt(0), token, onError: (error) => errors.push(error) });
    await settle();
    FakeSocket.last.open().say(welcome(0, { expires_in_ms: 10_000 }), live(0));
    await vi.advanceTimersByTimeAsync(7_000);
    expect(errors).toHaveLength(1);
    expect(state().status).toBe("live");
  });
});

describe("what the browser says", () => {
  it("is offline until the browser is online, then connects at once", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0);
    setOnline(false);
    expect(state()).toMatchObject({ status: "offline", retryAt: null });
    vi.advanceTimersByTime(600_000);
    expect(FakeSocket.all).toHaveLength(1);
    setOnline(true);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("tries a link at once when told to, and when a tab wakes", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0).drop();
    connection.tryNow();
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.last.drop();
    document.dispatchEvent(new Event("visibilitychange"));
    expect(FakeSocket.all).toHaveLength(3);
  });

  it("gives a link up after sleep, without waiting for its silence again", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0);
    vi.setSystemTime(Date.now() + 3_600_000); // no timer ran meanwhile
    vi.advanceTimersByTime(1_000);
    expect(state().status).toBe("reconnecting");
    vi.advanceTimersByTime(1_000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("neither storms nor stalls when the clock is set back by a day", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0);
    vi.setSystemTime(Date.now() - 86_400_000);
    vi.advanceTimersByTime(1_000);
    expect(state().status).toBe("live");
    vi.advanceTimersByTime(50_000);
    expect(state().status).not.toBe("live");
    FakeSocket.last.goLive(0).say(eventsFrame(1, 1));
    vi.setSystemTime(Date.now() - 86_400_000);
    FakeSocket.last.say(eventsFrame(2, 2));
    expect(FakeSocket.last.ofType("ack").at(-1)?.cursor).toBe(cursorAt(2));
  });

  it("takes no socket into the back-forward cache, and connects when it comes back", () => {
    connect({ cursor: cursorAt(0) });
    const first = FakeSocket.last.goLive(0);
    window.dispatchEvent(new Event("pagehide"));
    expect(first.closed).toBe(true);
    window.dispatchEvent(new Event("pageshow"));
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("leaves no timer and no listener behind", () => {
    connect({ cursor: cursorAt(0) });
    FakeSocket.last.goLive(0).say(eventsFrame(1, 1), eventsFrame(2, 2));
    connection.stop();
    vi.advanceTimersByTime(200);
    expect(vi.getTimerCount()).toBe(0);
    setOnline(true);
    document.dispatchEvent(new Event("visibilitychange"));
    expect(FakeSocket.all).toHaveLength(1);
  });
});

it("tells listeners of 10,000 single events a few hundred times at most", async () => {
  connect({ cursor: cursorAt(0) });
  let told = 0;
  connection.subscribe(() => (told += 1));
  const socket = FakeSocket.last.goLive(0);
  for (let i = 1; i <= 10_000; i++) {
    socket.say(eventsFrame(i, i));
    if (i % 10 === 0) await vi.advanceTimersByTimeAsync(1);
  }
  expect(seen).toEqual(Array.from({ length: 10_000 }, (_, i) => i + 1));
  expect(told).toBeLessThan(30);
});
