// The parts of the interface that are functions: what is shown where, and in which words.

import { render } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { initials } from "../../src/app/Avatar";
import { standing } from "../../src/app/ConnectionPill";
import { keyTarget } from "../../src/app/ConversationList";
import { nameOf, previewOf } from "../../src/app/contact";
import { Linked, safeUrl } from "../../src/app/Linked";
import { EMOJI_ONLY, formatOf } from "../../src/app/MessageContent";
import { bars, Plot } from "../../src/app/Plot";
import { grouped } from "../../src/app/phone";
import { takeToken, tokenIn } from "../../src/app/signInLink";
import { linesOf } from "../../src/app/timeline";
import { short } from "../../src/app/times";
import { plain } from "../../src/app/useSearch";
import { scrollFor, visibleRange } from "../../src/app/windowing";
import { en } from "../../src/app/words/en";
import { ptBR } from "../../src/app/words/ptBR";
import { CONNECTION, conversation, message } from "./heldStore";

describe("the login link", () => {
  it("gives its token once and leaves none in the address", () => {
    window.history.replaceState(null, "", "/?a=b#token=mlt_1%2F2");
    expect(takeToken(window.location, window.history)).toBe("mlt_1/2");
    expect(window.location.href).toMatch(/\/\?a=b$/);
    expect(takeToken(window.location, window.history)).toBeNull();
  });
  it("takes a token that is no percent-encoding as it is", () => {
    window.history.replaceState(null, "", "/#token=100%");
    expect(takeToken(window.location, window.history)).toBe("100%");
  });
  it("is understood where it is pasted whole, and a bare token is no link", () => {
    expect(tokenIn(" https://a.example/#token=mlt_1%2F2 \n")).toBe("mlt_1/2");
    expect(tokenIn("https://a.example/#c=1&token=mlt_3")).toBe("mlt_3");
    expect(tokenIn("mlt_4")).toBeNull();
  });
});

describe("links in a text", () => {
  it("are those of http and https only, and open elsewhere without a way back", () => {
    const { container } = render(
      <Linked text="see https://a.example/x?y=1. javascript:alert(1) data:text/html,x" />,
    );
    const links = [...container.querySelectorAll("a")];
    expect(links.map((link) => link.getAttribute("href"))).toEqual(["https://a.example/x?y=1"]);
    expect(links[0]?.rel).toBe("noopener noreferrer");
    expect(container.textContent).toBe(
      "see https://a.example/x?y=1. javascript:alert(1) data:text/html,x",
    );
  });
  it("are text where a body is HTML", () => {
    const { container } = render(<Linked text={'<img src=x onerror="alert(1)">'} />);
    expect(container.querySelector("img")).toBeNull();
    expect(container.textContent).toBe('<img src=x onerror="alert(1)">');
  });
  it.each(["javascript:alert(1)", "data:text/html,x", "not a url", "file:///etc/passwd"])(
    "never lead to %s",
    (text) => expect(safeUrl(text)).toBeNull(),
  );
});

describe("a message", () => {
  it.each(["👍", "🎉 🎉 🎉", "👩‍👩‍👧‍👦", "🇧🇷", "1️⃣", "❤️"])("is shown large where it is %s", (text) =>
    expect(EMOJI_ONLY.test(text)).toBe(true),
  );
  it.each(["1", "12", "👍 ok", "👍👍👍👍", "#1", ""])("is text where it is %j", (text) =>
    expect(EMOJI_ONLY.test(text)).toBe(false),
  );
  it.each([
    ["image/jpeg", null, "JPEG"],
    ["audio/ogg; codecs=opus", null, "OGG"],
    ["application/vnd.openxmlformats-officedocument.wordprocessingml.document", "a.docx", "DOCX"],
    ["application/octet-stream", null, "application/octet-stream"],
    [null, null, null],
  ])("has its file's format in a word: %s %s", (mime_type, filename, format) =>
    expect(formatOf({ type: "media", kind: "document", mime_type, filename } as never)).toBe(
      format,
    ),
  );
});

describe("the pill", () => {
  const told = (changes: object) => standing(en, { ...CONNECTION, ...changes }, 10_000);
  it("says each state in words of its own", () => {
    expect(told({}).text).toBe("Live");
    expect(told({ quality: "poor" }).text).toBe("Slow connection");
    expect(told({ status: "catching_up", pending: 1280 }).text).toBe("Catching up · 1,280");
    expect(told({ status: "offline" }).text).toBe("Offline");
    expect(told({ status: "stopped", stopReason: "revoked" }).text).toBe("Access withdrawn");
  });
  it("has a short word, where there is little room, for whatever stops it", () => {
    const shorts = [en, ptBR].flatMap((words) =>
      [{ status: "offline" }, { status: "stopped", stopReason: "attempts_used_up" }].map(
        (changes) => standing(words, { ...CONNECTION, ...changes } as never, 0).short.length,
      ),
    );
    expect(Math.max(...shorts)).toBeLessThanOrEqual("Atualizando".length);
  });
  it("makes no alarm of it when the user's inboxes changed, unless it lasts", () => {
    const away = { status: "reconnecting", lastClose: { code: 4411, reason: "access changed" } };
    expect(told({ ...away, attempt: 1 })).toMatchObject({ tone: "quiet", text: en.accessChanged });
    expect(told({ ...away, attempt: 3 }).tone).toBe("bad");
  });
  it("counts down to the next attempt, and does not speak the count", () => {
    const waiting = told({ status: "reconnecting", attempt: 3, retryAt: 13_500 });
    expect(waiting.text).toBe("Reconnecting · attempt 3 · 4 s");
    expect(waiting.spoken).not.toMatch(/\d/);
    expect(told({ status: "reconnecting", attempt: 3 }).text).toBe("Reconnecting · attempt 3");
  });
});

describe("the list", () => {
  it("has the rows in view on the page, and some around them", () => {
    const { first, end } = visibleRange(64 * 25_000, 640, 50_000);
    expect(first).toBeLessThanOrEqual(25_000);
    expect(end).toBeGreaterThanOrEqual(25_010);
    expect(end - first).toBeLessThan(50);
    expect(visibleRange(0, 640, 3)).toEqual({ first: 0, end: 3 });
    expect(visibleRange(64 * 100, 640, 3)).toEqual({ first: 3, end: 3 });
  });
  it("scrolls only as far as the active row needs", () => {
    expect(scrollFor(5, 0, 640)).toBeNull();
    expect(scrollFor(0, 100, 640)).toBe(0);
    expect(scrollFor(10, 0, 640)).toBe(64);
  });
  it("is walked by keys and ends at its ends", () => {
    const ids = ["a", "b", "c"];
    expect(keyTarget("ArrowDown", ids, null, 10)).toBe("a");
    expect(keyTarget("ArrowDown", ids, "c", 10)).toBe("c");
    expect(keyTarget("ArrowUp", ids, "b", 10)).toBe("a");
    expect(keyTarget("End", ids, "a", 10)).toBe("c");
    expect(keyTarget("PageUp", ids, "c", 10)).toBe("a");
    expect(keyTarget("Enter", ids, "b", 10)).toBe("b");
    expect(keyTarget("Enter", ids, null, 10)).toBeNull();
    expect(keyTarget("x", ids, "b", 10)).toBeNull();
  });
  it("previews what is no text by its kind, and never what was deleted", () => {
    const { last } = conversation("c", 1);
    expect(previewOf(en, { ...last, kind: "image", text: "look" })).toBe("Photo · look");
    expect(previewOf(ptBR, { ...last, kind: "voice", text: null })).toBe("Mensagem de voz");
    expect(previewOf(en, { ...last, revoked: true, text: null })).toBe(en.revoked);
    expect(previewOf(en, { ...last, kind: "unsupported", text: "poll" })).toBe(
      "Unsupported message",
    );
  });
  it("calls a contact by the best name there is", () => {
    const row = conversation("c", 1);
    const nobody = { id: null, name: null, phone: null, username: null };
    expect(nameOf(en, { ...row, contact: { ...nobody, username: "zoe", phone: "+1" } })).toBe(
      "@zoe",
    );
    expect(nameOf(en, { ...row, contact: nobody })).toBe("Unknown contact");
  });
  it("has initials for every kind of name", () => {
    expect(initials("Ana Maria Prado")).toBe("AP");
    expect(initials("Élio")).toBe("É");
    expect(initials("+55 11 95555-0134")).toBe("34");
    expect(initials("…")).toBe("?");
  });
});

describe("a phone number", () => {
  it.each([
    ["5511999990000", "+55 11 99999-0000"],
    ["551133334444", "+55 11 3333-4444"],
    ["+12025550143", "+1 202 555-0143"],
    ["351912345678", "+351 912 345 678"],
    ["34612345678", "+34 612 345 678"],
    ["447911123456", "+44 791 112 34 56"],
    ["85261234567", "+852 612 345 67"],
    ["12345", "12345"],
    ["not a number", "not a number"],
    ["55 11 999990000", "55 11 999990000"],
  ])("%s is read as %s", (given, read) => {
    expect(grouped(given)).toBe(read);
    expect(grouped(given).replace(/\D/g, "")).toBe(given.replace(/\D/g, ""));
  });
});

describe("a plot", () => {
  const points = [0, 10, 59, 60, 119, 120].map((at) => ({ at, value: 1 }));
  it("adds up what lies in each part of its time, and leaves out what lies outside", () => {
    expect(bars(points, 0, 120, 2)).toEqual([
      { at: 0, value: 3 },
      { at: 60, value: 2 },
    ]);
  });
  it("says what it shows, and draws nothing where nothing was", () => {
    const { container } = render(<Plot shown={bars(points, 0, 240, 4)} label="two minutes" />);
    expect(container.querySelector("svg")?.getAttribute("aria-label")).toBe("two minutes");
    expect(container.querySelectorAll("rect")).toHaveLength(3);
  });
});

describe("times", () => {
  const now = Date.parse("2026-11-28T14:00:00Z");
  const ago = (minutes: number) => new Date(now - minutes * 60_000).toISOString();
  it("are relative under an hour, then the clock, then the date", () => {
    expect(short(en, ago(0), now)).toBe("now");
    expect(short(en, ago(5), now)).toBe("5 min");
    expect(short(en, ago(61), now)).toMatch(/^\d\d:\d\d/);
    expect(short(en, ago(60 * 24), now)).toBe("Yesterday");
    expect(short(ptBR, ago(60 * 24), now)).toBe("Ontem");
    expect(short(en, ago(60 * 24 * 30), now)).toMatch(/^Oct 2\d$/);
    expect(short(en, ago(60 * 24 * 400), now)).toMatch(/2025$/);
  });
});

describe("a conversation", () => {
  it("is cut by days, and has one line before what is new", () => {
    const messages = [
      message(1, { time: "2026-11-26T12:00:00Z" }),
      message(2, { time: "2026-11-27T12:00:00Z" }),
      message(3, { time: "2026-11-27T12:01:00Z" }),
      message(4, { time: "2026-11-27T12:02:00Z", direction: "outbound" }),
    ];
    const kinds = linesOf(messages, 2).map((line) => line.kind);
    expect(kinds).toEqual(["day", "message", "day", "message", "new", "message", "message"]);
    expect(linesOf(messages, null).some((line) => line.kind === "new")).toBe(false);
  });
  it("joins messages of one side within minutes", () => {
    const joined = linesOf(
      [
        message(1),
        message(2),
        message(3, { direction: "outbound" }),
        message(4, { time: "2026-11-28T14:59:00Z", direction: "outbound" }),
      ],
      null,
    ).map((line) => line.kind === "message" && line.joined);
    expect(joined).toEqual([false, false, true, false, false]);
  });
  it("shows a notice as one, whatever its side", () => {
    const notice = message(1, { content: { type: "notice", kind: "user_changed_number" } });
    expect(linesOf([notice], null).map((line) => line.kind)).toEqual(["day", "notice"]);
  });
});

it("searches without case and accents, as the server does", () => {
  expect(plain("JOÃO É")).toBe("joao e");
});

it("has the same words in each language, and none of them empty", () => {
  const keys = (words: object): string[] =>
    Object.entries(words).flatMap(([key, value]) =>
      typeof value === "object" ? keys(value).map((inner) => `${key}.${inner}`) : [key],
    );
  expect(keys(ptBR)).toEqual(keys(en));
  const texts = (words: object): unknown[] =>
    Object.values(words).flatMap((value) => (typeof value === "object" ? texts(value) : [value]));
  for (const text of [...texts(en), ...texts(ptBR)]) expect(text).not.toBe("");
});
