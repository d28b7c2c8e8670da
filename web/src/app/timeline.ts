// A conversation's messages as the lines of a pane: days, the line before what is new, groups. Pure.

import type { Message, SeenMessage } from "../model";
import { sameDay } from "./times";

export type Line =
  | { readonly kind: "day"; readonly key: string; readonly time: string }
  | { readonly kind: "new"; readonly key: string }
  | { readonly kind: "notice"; readonly key: string; readonly message: Message }
  | {
      readonly kind: "message";
      readonly key: string;
      readonly message: SeenMessage;
      /** Follows a message of the same side within minutes: no gap between the two. */
      readonly joined: boolean;
    };

const GROUP_MS = 5 * 60_000;

/** `readPosition`: what is inbound and beyond it is new; null draws no line. */
export function linesOf(messages: readonly SeenMessage[], readPosition: number | null): Line[] {
  const lines: Line[] = [];
  let before: Message | null = null;
  let newFrom = readPosition;
  for (const message of messages) {
    if (before === null || !sameDay(before.time, message.time)) {
      lines.push({ kind: "day", key: `day ${message.time.slice(0, 10)}`, time: message.time });
      before = null;
    }
    if (newFrom !== null && message.direction === "inbound" && message.position > newFrom) {
      lines.push({ kind: "new", key: "new" });
      newFrom = null;
      before = null;
    }
    lines.push(lineOf(message, before));
    before = message;
  }
  return lines;
}

function lineOf(message: SeenMessage, before: Message | null): Line {
  const key = String(message.position);
  if (message.content?.type === "notice") return { kind: "notice", key, message };
  const joined =
    before !== null &&
    before.direction === message.direction &&
    before.content?.type !== "notice" &&
    Date.parse(message.time) - Date.parse(before.time) < GROUP_MS;
  return { kind: "message", key, message, joined };
}
