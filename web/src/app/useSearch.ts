import { useEffect, useState } from "react";
import type { Conversation, InboxReader, Problem } from "../model";
import { ProblemError, UNREACHABLE } from "../model";
import { FOUND_MAX, type Found, search } from "./server";

const PAUSE_MS = 150;

export interface Hit {
  readonly row: Conversation;
  /** The message that matched; null where it was the contact's name, or nobody was asked. */
  readonly position: number | null;
  readonly text: string | null;
}

export interface SearchState {
  /** Null: nothing is looked for. */
  readonly ids: readonly string[] | null;
  readonly found: ReadonlyMap<string, Hit>;
  /** There may be more than these. */
  readonly mayBeMore: boolean;
  readonly running: boolean;
  /** The server could not be asked; these are the conversations this browser holds. */
  readonly local: boolean;
  readonly problem: Problem | null;
}

const NOTHING: SearchState = {
  ids: null,
  found: new Map(),
  mayBeMore: false,
  running: false,
  local: false,
  problem: null,
};

export interface Where {
  readonly reader: InboxReader;
  readonly token: string | null;
  readonly inbox: string | null;
  /** The position as of which is searched; null: now. */
  readonly asOf: number | null;
  /** Of a screen: those that its user was given; null: all. */
  readonly inboxes: readonly string[] | null;
}

/** Asks the server once typing pauses; without it, looks through what is here. */
export function useSearch(
  typed: string,
  { reader, token, inbox, asOf, inboxes }: Where,
): SearchState {
  const q = typed.trim();
  const [state, setState] = useState(NOTHING);
  useEffect(() => {
    if (q === "") {
      setState(NOTHING);
      return;
    }
    setState((before) => ({ ...before, running: true }));
    const stop = new AbortController();
    const timer = setTimeout(
      () =>
        void look(q, { reader, token, inbox, asOf, inboxes }, stop.signal).then(setState, ignore),
      PAUSE_MS,
    );
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [reader, token, q, inbox, asOf, inboxes]);
  return q === "" ? NOTHING : state;
}

/** A search that was given up for a newer one ends in its abort, and nowhere else. */
function ignore(reason: unknown): void {
  if (!(reason instanceof DOMException)) throw reason;
}

async function look(
  q: string,
  { reader, token, inbox, asOf, inboxes }: Where,
  signal: AbortSignal,
): Promise<SearchState> {
  try {
    const rows = await search(token ?? "", q, inbox, asOf, signal);
    const seen = rows.filter((row) => inboxes === null || inboxes.includes(row.inbox));
    return { ...found(seen), mayBeMore: rows.length >= FOUND_MAX };
  } catch (trouble) {
    if (!(trouble instanceof ProblemError)) throw trouble;
    const local = trouble.problem.type === UNREACHABLE;
    const rows = local ? held(reader, q, inbox) : [];
    return { ...found(rows), local, problem: local ? null : trouble.problem };
  }
}

function found(rows: readonly (Found | Conversation)[]): SearchState {
  const hits = rows.map((row) => {
    const match = "match" in row ? row.match : null;
    const hit: Hit = { row, position: match?.position ?? null, text: match?.text ?? null };
    return [row.id, hit] as const;
  });
  return { ...NOTHING, ids: rows.map(({ id }) => id), found: new Map(hits) };
}

/** The conversations in this browser whose name or last message has all the words. */
function held(reader: InboxReader, q: string, inbox: string | null): Conversation[] {
  const words = plain(q).split(/\s+/);
  return reader
    .getSnapshot()
    .conversations.map((id) => reader.getConversation(id))
    .filter((row) => row !== undefined)
    .filter((row) => {
      const { name, phone, username } = row.contact;
      const text = plain([name, phone, username, row.last.text].join("\n"));
      return (inbox === null || row.inbox === inbox) && words.every((word) => text.includes(word));
    });
}

/** Lower case and without accents, as the server looks. */
export const plain = (text: string): string =>
  text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
