import { act, cleanup, renderHook } from "@testing-library/react";
import { StrictMode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ReadyState, type UseWebSocketOptions, useWebSocket } from "../../src/useWebSocket";
import type { WireEvent } from "../../src/wire";
import { cursorAt, eventsFrame, FakeSocket, live, useFakeSockets, welcome } from "./fakeServer";

const URL_A = "https://inbox.example.org";
const BASE = { token: "t", device: "tab", cursor: cursorAt(0) };

let renders = 0;

function mount(options: Partial<UseWebSocketOptions> = {}, url: string | null = URL_A) {
  renders = 0;
  return renderHook(
    (props: { url: string | null; options: Partial<UseWebSocketOptions> }) => {
      renders += 1;
      return useWebSocket(props.url, { ...BASE, ...props.options });
    },
    { initialProps: { url, options } },
  );
}
const settle = (ms = 0) => act(() => vi.advanceTimersByTimeAsync(ms));
async function goLive(position = 0): Promise<FakeSocket> {
  await settle();
  const socket = FakeSocket.last.goLive(position);
  await settle();
  return socket;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.999);
  useFakeSockets();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("connecting and closing", () => {
  it("connects when mounted, shows how it stands, and closes when unmounted", async () => {
    const { result, unmount } = mount();
    await settle();
    expect(String(FakeSocket.last.url)).toBe("wss://inbox.example.org/v1/ws");
    expect(result.current).toMatchObject({
      status: "connecting",
      readyState: ReadyState.CONNECTING,
    });
    const socket = await goLive();
    expect(result.current).toMatchObject({
      status: "live",
      readyState: ReadyState.OPEN,
      attempt: 0,
      retryIn: null,
      syncedAt: "2026-11-22T14:02:12.000000Z",
    });
    unmount();
    expect(socket.closed).toBe(true);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("waits for a url", async () => {
    const { result, rerender } = mount({}, null);
    await settle();
    expect(FakeSocket.all).toHaveLength(0);
    expect(result.current.readyState).toBe(ReadyState.UNINSTANTIATED);
    rerender({ url: URL_A, options: {} });
    await settle();
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("opens one socket in StrictMode", async () => {
    renderHook(() => useWebSocket(URL_A, BASE), { wrapper: StrictMode });
    await settle();
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("changes server with the url, and begins there with the cursor given", async () => {
    const { rerender } = mount();
    const first = await goLive();
    first.say(eventsFrame(1, 5));
    await settle(200);
    rerender({ url: "https://other.example.org", options: { cursor: cursorAt(70) } });
    await settle();
    expect(first.closed).toBe(true);
    expect(FakeSocket.last.open().ofType("hello")[0]?.cursor).toBe(cursorAt(70));
  });
});

describe("callbacks", () => {
  it("calls the newest callback, and changing callbacks never reconnects", async () => {
    const heard: string[] = [];
    const { rerender } = mount({ onMessage: () => heard.push("old") });
    const socket = await goLive();
    rerender({ url: URL_A, options: { onMessage: () => heard.push("new") } });
    socket.say(eventsFrame(1, 1));
    await settle();
    expect(heard).toEqual(["new"]);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("calls onOpen, onClose and onError with what happened", async () => {
    const onOpen = vi.fn();
    const onClose = vi.fn();
    const onError = vi.fn();
    mount({ onOpen, onClose, onError });
    const socket = await goLive();
    const problem = { type: "urn:malote:problem:refresh-refused", title: "no", status: 401 };
    socket.say({ type: "error", problem });
    socket.drop(1012, "restart");
    await settle();
    expect(onOpen.mock.calls[0]?.[0]).toMatchObject({ type: "welcome", user: "ana" });
    expect(onError).toHaveBeenCalledWith(problem);
    expect(onClose).toHaveBeenCalledWith({ code: 1012, reason: "restart" });
  });

  it("hands events to subscribers, each once and in order, until they leave", async () => {
    const { result } = mount();
    const heard: number[] = [];
    const leave = result.current.subscribe((event: WireEvent) => heard.push(event.position));
    const socket = await goLive();
    socket.say(eventsFrame(1, 3), eventsFrame(2, 5));
    await settle();
    leave();
    socket.say(eventsFrame(6, 7));
    await settle();
    expect(heard).toEqual([1, 2, 3, 4, 5]);
  });

  it("acknowledges when what the callbacks promised is done, and calls onBatch after them", async () => {
    let done = () => {};
    const batches: string[] = [];
    mount({
      onMessage: () => new Promise<void>((ok) => (done = ok)),
      onBatch: ({ cursor }) => batches.push(cursor),
    });
    const socket = await goLive();
    socket.say(eventsFrame(1, 1));
    await settle(1_000);
    expect(socket.ofType("ack")).toEqual([]);
    done();
    await settle();
    expect(batches).toEqual([cursorAt(1)]);
    expect(socket.ofType("ack")).toEqual([{ type: "ack", cursor: cursorAt(1) }]);
  });

  it("gives the event that was rejected again, and none of those before it", async () => {
    const heard: number[] = [];
    let fails = true;
    mount({
      onMessage: ({ position }) => {
        if (position === 3 && fails) {
          fails = false;
          throw new Error("not now");
        }
        heard.push(position);
      },
    });
    (await goLive()).say(eventsFrame(1, 4));
    await settle(1_000);
    FakeSocket.last.goLive(0).say(eventsFrame(1, 4));
    await settle();
    expect(heard).toEqual([1, 2, 3, 4]);
  });

  it("sends a frame while a session is open, and says whether it did", async () => {
    const { result } = mount();
    const nack = { type: "nack", position: 4, reason: "too large" } as const;
    expect(result.current.sendJsonMessage(nack)).toBe(false);
    const socket = await goLive();
    expect(result.current.sendJsonMessage(nack)).toBe(true);
    expect(socket.ofType("nack")).toEqual([nack]);
  });
});

describe("errors and recovery", () => {
  it("counts down to the next attempt, tries at once when told, and recovers", async () => {
    const { result } = mount();
    for (let i = 0; i < 4; i++) {
      await settle();
      act(() => FakeSocket.last.drop());
      if (i < 3) await settle((result.current.retryIn ?? 0) * 1_000);
    }
    expect(result.current).toMatchObject({ status: "reconnecting", attempt: 5, retryIn: 8 });
    await settle(3_000);
    expect(result.current.retryIn).toBe(5);
    act(() => result.current.tryNow());
    await goLive();
    expect(FakeSocket.all).toHaveLength(5);
    expect(result.current).toMatchObject({ status: "live", attempt: 0, retryIn: null });
  });

  it("stops after reconnectAttempts and says so; shouldReconnect is asked with the newest closure", async () => {
    const { result, rerender } = mount({ reconnectAttempts: 2 });
    await settle();
    act(() => FakeSocket.last.drop());
    await settle(2_000);
    act(() => FakeSocket.last.drop());
    expect(result.current.stopReason).toBe("attempts_used_up");
    rerender({ url: URL_A, options: { reconnectAttempts: 1 } });
    act(() => result.current.tryNow());
    act(() => FakeSocket.last.drop());
    expect(result.current.stopReason).toBe("attempts_used_up");
    rerender({ url: URL_A, options: { shouldReconnect: () => false } });
    act(() => result.current.tryNow());
    act(() => FakeSocket.last.drop());
    expect(result.current.stopReason).toBe("refused");
  });

  it("continues where it was after being unmounted by StrictMode or a changed url and back", async () => {
    const heard: number[] = [];
    const { rerender } = mount({ onMessage: ({ position }) => heard.push(position) });
    (await goLive()).say(eventsFrame(1, 5));
    await settle(200);
    rerender({ url: null, options: {} });
    rerender({ url: URL_A, options: { onMessage: ({ position }) => heard.push(position) } });
    await settle();
    expect(FakeSocket.last.open().ofType("hello")[0]?.cursor).toBe(cursorAt(5));
    FakeSocket.last.say(welcome(5), eventsFrame(6, 6), live(6));
    await settle();
    expect(heard).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("renews a token that changed in band, and comes back with it when it was signed out", async () => {
    const { result, rerender } = mount();
    const socket = await goLive();
    rerender({ url: URL_A, options: { token: "t2" } });
    expect(socket.ofType("refresh")).toEqual([{ type: "refresh", token: "t2" }]);
    act(() => socket.drop(4501));
    expect(result.current).toMatchObject({ status: "stopped", stopReason: "signed_out" });
    rerender({ url: URL_A, options: { token: "t3" } });
    await settle();
    expect(FakeSocket.last.open().ofType("hello")[0]?.token).toBe("t3");
  });
});

it("brings 10,000 events without losing one, in under 200 renders", async () => {
  const heard: number[] = [];
  const { result } = mount({ onMessage: ({ position }) => heard.push(position) });
  const socket = await goLive();
  for (let i = 0; i < 10_000; i += 10) {
    socket.say(eventsFrame(i + 1, i + 3), eventsFrame(i + 4, i + 10));
    if (i % 100 === 0) await settle(5);
  }
  await settle(1_000);
  expect(heard).toEqual(Array.from({ length: 10_000 }, (_, i) => i + 1));
  expect(result.current.cursor).toBe(cursorAt(10_000));
  expect(socket.ofType("ack").at(-1)?.cursor).toBe(cursorAt(10_000));
  expect(renders).toBeLessThan(200);
  expect(renders).toBeGreaterThan(1);
});
