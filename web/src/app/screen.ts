// What one device showed at a moment, for auditors: the pages of its inbox as of what it had
// acknowledged by then, and what is to be said of them.

import type { Conversation, Cursor, Lacking, Message, SeenMessage, Time } from "../model";
import { ProblemError } from "../model";
import { ask } from "./server";
import { MESSAGES_PAGE } from "./store/http";
import type { Pages } from "./store/past";

const CONVERSATIONS_PAGE = 200;
const DEVICES_MAX = 1_000;
const ABSENT = { type: "about:blank", title: "This is not on that screen", status: 404 };

export interface DeviceScreen {
  readonly device: string;
  readonly connected: boolean;
  readonly link: {
    readonly since: Time;
    readonly ended: Time | null;
  };
  /** Null of a release that did not say: of that nothing is shown. */
  readonly inboxes: readonly string[] | null;
  /** The position as of which everything here is, and when that was recorded. */
  readonly ack_floor: number;
  readonly floor_time: Time | null;
  readonly outstanding: { readonly count: number };
  readonly conversations: readonly Conversation[];
  readonly messages:
    | readonly { readonly message: Message; readonly how: Lacking | "acknowledged" | "loaded" }[]
    | null;
}

interface Answer {
  readonly user: string;
  readonly position: number;
  readonly time: Time | null;
  readonly devices: readonly DeviceScreen[];
  readonly cursor: Cursor;
}

/** The screen of one device, `user/device`, as of a position or time; null: as it is now. */
export class ScreenPages implements Pages {
  readonly whose: string;
  /** As it was answered first; null until then, and where the device was not here yet. */
  device: DeviceScreen | null = null;
  time: Time | null = null;
  readonly #token: string;
  readonly #at: string | null;

  constructor(token: string, whose: string, at: string | null) {
    this.whose = whose;
    this.#token = token;
    this.#at = at;
  }

  async conversations(before?: number) {
    const answer = await this.#ask({ limit: CONVERSATIONS_PAGE, before });
    const [device = null] = answer.devices;
    if (before === undefined) {
      this.device = device;
      this.time = answer.time;
    }
    const { position, cursor } = answer;
    return { conversations: [...(device?.conversations ?? [])], cursor, position };
  }

  at(position: number): ScreenPages {
    return new ScreenPages(this.#token, this.whose, String(position));
  }

  async conversation(id: string) {
    const [device] = (await this.#ask({ conversation: id, limit: 1 })).devices;
    const conversation = device?.conversations[0];
    if (conversation === undefined) throw new ProblemError(ABSENT);
    return { conversation };
  }

  async messages(id: string, before?: number) {
    const asked = { conversation: id, limit: MESSAGES_PAGE, before };
    const [device] = (await this.#ask(asked)).devices;
    return { messages: (device?.messages ?? []).map(seen) };
  }

  #ask(more: Record<string, string | number | undefined>): Promise<Answer> {
    const [user = "", device = ""] = splitOnce(this.whose);
    const given = { user, device, at: this.#at ?? undefined, ...more };
    const named = Object.entries(given).filter(([, value]) => value !== undefined);
    return ask(this.#token, `/v1/audit/screen?${new URLSearchParams(named as string[][])}`);
  }
}

function seen({ message, how }: NonNullable<DeviceScreen["messages"]>[number]): SeenMessage {
  return how === "acknowledged" || how === "loaded" ? message : { ...message, lacking: how };
}

/** Every device that ever was, by user. */
export async function getDevices(
  token: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { accounts } = await ask<{ accounts: { user: string; device: string }[] }>(
    token,
    `/v1/audit/ledger?limit=${DEVICES_MAX}`,
    { signal },
  );
  const byUser = new Map<string, string[]>();
  for (const { user, device } of accounts) {
    byUser.set(user, [...(byUser.get(user) ?? []), device]);
  }
  return byUser;
}

/** The user and the device in `user/device`: a user's name holds no slash. */
export function splitOnce(whose: string): string[] {
  const at = whose.indexOf("/");
  return at < 0 ? [whose] : [whose.slice(0, at), whose.slice(at + 1)];
}
