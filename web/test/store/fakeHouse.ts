// A server's history in a few plain lists, and what it answers over HTTP and by socket. Its folding is
// written for being obviously right: everything is worked out from the whole history at each question.

import { vi } from "vitest";
import type { Conversation, Message, WireEvent } from "../../src/wire";
import { cursorAt, FakeSocket, live, welcome } from "../core/fakeServer";

type Said = { body: string; direction: "inbound" | "outbound" };

export class FakeHouse {
  readonly events: WireEvent[] = [];
  /** Answers stand this many events behind the log, as projections may. */
  lag = 0;
  reachable = true;
  /** Whether the token is none. */
  refuses = false;
  /** Paths that hold this are not answered. */
  broken: string | null = null;
  readonly asked: string[] = [];
  /** Answers, made at once, to paths that hold this come when the test says so. */
  held: { path: string; until: Promise<unknown> } | null = null;

  constructor() {
    vi.stubGlobal("fetch", (path: string, init?: { body?: string }) => this.#fetch(path, init));
  }

  get head(): number {
    return this.events.length;
  }

  record(type: string, conversation: string, data: object): WireEvent {
    const position = this.head + 1;
    const time = `2026-11-28T10:00:00.${String(position).padStart(6, "0")}Z`;
    const place = { inbox: "support", conversation, version: 1, time };
    const event = { position, cursor: cursorAt(position), type, ...place, data } as WireEvent;
    this.events.push(event);
    return event;
  }
  say(conversation: string, body: string, direction: Said["direction"] = "inbound"): WireEvent {
    return this.record("message.received", conversation, {
      message_id: `m${this.head + 1}`,
      contact: { id: `contact ${conversation}`, name: conversation.toUpperCase() },
      content: { type: "text", body },
      direction,
    });
  }
  read(conversation: string, position: number): WireEvent {
    return this.record("conversation.read", conversation, { position, by: "ana" });
  }
  status(conversation: string, message_id: string, status: string): WireEvent {
    return this.record("message.status_changed", conversation, { message_id, status });
  }
  redact(conversation: string, position: number): WireEvent {
    const erased = this.events[position - 1];
    if (erased !== undefined) this.events[position - 1] = { ...erased, data: null };
    return this.record("message.redacted", conversation, {
      positions: [position],
      reason: "asked",
      by: "eva",
    });
  }

  // --- what it would answer at a position ---

  messages(conversation: string, at = this.head): Message[] {
    const past = this.events.slice(0, at);
    return past
      .filter((one) => one.type === "message.received" && one.conversation === conversation)
      .map((event) => messageOf(event, past))
      .reverse();
  }

  conversations(at = this.head): Conversation[] {
    const ids = new Set(this.events.slice(0, at).map(({ conversation }) => conversation ?? ""));
    return [...ids]
      .map((id) => this.#row(id, at))
      .filter((row) => row.messages > 0)
      .sort((a, b) => b.last_position - a.last_position);
  }

  #row(id: string, at: number): Conversation {
    const mine = this.events.slice(0, at).filter(({ conversation }) => conversation === id);
    const messages = this.messages(id, at);
    const reads = mine.filter(({ type }) => type === "conversation.read");
    const readTo = Math.max(0, ...reads.map(({ data }) => (data as { position: number }).position));
    const last = messages[0];
    const named = messages.some((one) => one.contact !== null);
    return {
      id,
      inbox: "support",
      contact: {
        id: named ? `contact ${id}` : null,
        name: named ? id.toUpperCase() : null,
        phone: null,
        username: null,
      },
      last: {
        kind: last?.kind ?? null,
        text: last?.preview ?? null,
        direction: last?.direction ?? null,
        revoked: false,
        redacted: last?.redacted ?? false,
      },
      last_position: last?.position ?? 0,
      last_at: last?.time ?? "",
      messages: messages.length,
      unread: messages.filter((one) => one.direction === "inbound" && one.position > readTo).length,
      read_position: readTo,
      outbound_status: messages.find((one) => one.direction === "outbound")?.status ?? null,
      aliases: [],
      touched: mine.at(-1)?.position ?? 0,
    };
  }

  // --- the wire ---

  async #fetch(path: string, init?: { body?: string }): Promise<unknown> {
    this.asked.push(path);
    const isBroken = this.broken !== null && path.includes(this.broken);
    if (!this.reachable || isBroken) throw new TypeError("no route to host");
    if (this.refuses) {
      const problem = { type: "urn:malote:problem:unauthorized", title: "Who is it?", status: 401 };
      return { ok: false, status: 401, json: async () => problem };
    }
    const url = new URL(path, "http://localhost");
    const asOf = url.searchParams.get("as_of");
    const at = asOf === null ? Math.max(0, this.head - this.lag) : Number(asOf);
    const body = this.#answer(url, at, init?.body);
    const ok = body !== null;
    const answer = structuredClone(body);
    if (this.held !== null && path.includes(this.held.path)) await this.held.until;
    const problem = { type: "urn:malote:problem:not-found", title: "Not found", status: 404 };
    return { ok, status: ok ? 200 : 404, json: async () => answer ?? problem };
  }

  #answer({ pathname, searchParams }: URL, at: number, body?: string): unknown {
    const cursor = cursorAt(at);
    const before = Number(searchParams.get("before") ?? Number.POSITIVE_INFINITY);
    const limit = Number(searchParams.get("limit") ?? 50);
    const [, , resource, id = "", part] = pathname.split("/");
    if (resource === "me") return { user: "ana", role: "member", inboxes: [] };
    if (resource === "sync") return this.#sync(searchParams.get("cursor") ?? "", limit);
    if (part === "read") {
      this.read(id, (JSON.parse(body ?? "{}") as { position: number }).position);
      return {};
    }
    if (part === "messages") {
      const older = this.messages(id, at).filter(({ position }) => position < before);
      return { messages: older.slice(0, limit), cursor };
    }
    const rows = this.conversations(at);
    if (id !== "") {
      const conversation = rows.find((row) => row.id === id);
      return conversation === undefined ? null : { conversation, cursor };
    }
    return {
      conversations: rows.filter((row) => row.last_position < before).slice(0, limit),
      cursor,
    };
  }

  #sync(after: string, limit: number): unknown {
    const from = Number(after.split(".")[1]);
    const events = this.events.slice(from, from + limit);
    const cursor = events.at(-1)?.cursor ?? after;
    const has_more = from + limit < this.head;
    const receipt = { from: after, to: cursor, count: events.length, digest: "" };
    return { events, conversations: [], after, cursor, has_more, up_to_date: !has_more, receipt };
  }

  /** Greets the newest socket and brings it everything after the cursor of its hello. */
  serve(socket = FakeSocket.last): FakeSocket {
    socket.open();
    const from = Number(socket.ofType("hello")[0]?.cursor?.split(".")[1]);
    return this.deliver(socket.say(welcome(from)), from).say(live(this.head));
  }
  deliver(socket: FakeSocket, from: number): FakeSocket {
    if (from >= this.head) return socket;
    const events = this.events.slice(from);
    const cursor = cursorAt(this.head);
    return socket.say({ type: "events", after: cursorAt(from), cursor, attempt: 1, events });
  }
}

function messageOf(event: WireEvent, past: readonly WireEvent[]): Message {
  const data = event.data as {
    message_id: string;
    content: { type: "text"; body: string };
    contact: { id: string; name: string };
    direction: Said["direction"];
  } | null;
  const redacted = past.some(
    (one) =>
      one.type === "message.redacted" &&
      (one.data as { positions: number[] }).positions.includes(event.position),
  );
  const told = redacted ? null : data;
  const ranks = ["sent", "delivered", "read", "played", "failed"];
  const statuses = past
    .filter((one) => one.type === "message.status_changed")
    .map((one) => ({ time: one.time, ...(one.data as { message_id: string; status: string }) }))
    .filter((one) => told !== null && one.message_id === told.message_id);
  const best = statuses.reduce<(typeof statuses)[number] | null>(
    (a, b) => (a !== null && ranks.indexOf(a.status) >= ranks.indexOf(b.status) ? a : b),
    null,
  );
  return {
    position: event.position,
    inbox: "support",
    conversation: event.conversation ?? "",
    time: event.time,
    id: told?.message_id ?? null,
    direction: told?.direction ?? null,
    kind: told === null ? null : "text",
    preview: told?.content.body ?? null,
    content: told?.content ?? null,
    contact: told?.contact.id ?? null,
    contact_name: told?.contact.name ?? null,
    sent_at: null,
    reply_to: null,
    forwarded: false,
    status: (best?.status ?? null) as Message["status"],
    status_at: best?.time ?? null,
    errors: [],
    edited: false,
    revoked: false,
    redacted,
    reactions: [],
  };
}
