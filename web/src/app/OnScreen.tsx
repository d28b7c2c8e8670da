// For auditors: whose screen is looked at, and what is to be said of it.

import { useEffect, useState } from "react";
import { ProblemError } from "../model";
import { ScreenIcon } from "./icons";
import { go } from "./route";
import { type DeviceScreen, getDevices, splitOnce } from "./screen";
import { moment } from "./times";
import type { Past } from "./usePast";
import { useWords, type Words } from "./words";

const COUNTED_MAX = 1_000;

type Devices = ReadonlyMap<string, readonly string[]>;

/** Everything that was recorded, or what one device had of it. */
export function WhoseScreen({
  token,
  whose,
}: {
  readonly token: string;
  readonly whose: string | null;
}) {
  const words = useWords();
  const devices = useDevices(token);
  const [user = "", device = ""] = splitOnce(whose ?? "");
  const isListed = whose === null || devices.get(user)?.includes(device);
  return (
    <select
      className="span whose"
      aria-label={words.screen.whose}
      value={whose ?? ""}
      onChange={({ target }) => go({ on: target.value === "" ? null : target.value })}
    >
      <option value="">{words.screen.everything}</option>
      {isListed ? null : <option value={whose}>{words.screen.one(user, device)}</option>}
      {[...devices].map(([name, theirs]) => (
        <optgroup key={name} label={name}>
          {theirs.map((one) => (
            <option key={one} value={`${name}/${one}`}>
              {words.screen.one(name, one)}
            </option>
          ))}
        </optgroup>
      ))}
    </select>
  );
}

function useDevices(token: string): Devices {
  const [devices, setDevices] = useState<Devices>(new Map());
  useEffect(() => {
    const stop = new AbortController();
    getDevices(token, stop.signal).then(setDevices, (trouble: unknown) => {
      // The inbox itself says what is wrong; without the list there is one choice less.
      const isExpected = trouble instanceof ProblemError || trouble instanceof DOMException;
      if (!isExpected) throw trouble;
    });
    return () => stop.abort();
  }, [token]);
  return devices;
}

/** Whose screen this is, how it stood, and what that proves. */
export function ScreenBanner({ past }: { readonly past: Past }) {
  const words = useWords();
  const { whose, screen, inbox } = past;
  if (whose === null || inbox === null) return null;
  const [user = "", device = ""] = splitOnce(whose);
  return (
    <section className="screen-banner" role="status" aria-label={words.screen.banner}>
      <ScreenIcon />
      <div>
        <p>
          <strong>
            {screen === null ? words.screen.absent(user, device) : words.screen.of(user, device)}
          </strong>
        </p>
        {screen === null ? null : (
          <>
            <p className="figures">{standing(words, screen).join(" · ")}</p>
            <p className="meta">{words.screen.claims}</p>
          </>
        )}
      </div>
    </section>
  );
}

function standing(words: Words, screen: DeviceScreen): string[] {
  const { link, floor_time, ack_floor, inboxes } = screen;
  const { count } = screen.outstanding;
  const number = new Intl.NumberFormat(words.locale);
  const counted = count >= COUNTED_MAX ? `${number.format(COUNTED_MAX)}+` : number.format(count);
  const upTo = floor_time === null ? "–" : moment(words, floor_time);
  return [
    link.ended === null
      ? words.screen.connected(moment(words, link.since))
      : words.screen.ended(moment(words, link.ended)),
    words.screen.upTo(upTo, number.format(ack_floor)),
    count === 0 ? words.screen.nothingWaiting : words.screen.waiting(counted, count),
    ...(inboxes === null ? [words.screen.inboxesUnknown] : []),
  ];
}
