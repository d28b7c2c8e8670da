import { useEffect, useState } from "react";
import type { InboxStore } from "../model";
import { ProblemError } from "../model";
import { useNow } from "./hooks";
import { CableIcon } from "./icons";
import { pullCable } from "./server";
import { useWords } from "./words";

/** In the demo: cuts this user's link for some seconds, so that one can watch it recover. */
export function Cable({ store }: { readonly store: InboxStore }) {
  const words = useWords();
  const [until, setUntil] = useState(0);
  const now = useNow(250, until > Date.now());
  const left = Math.ceil((until - now) / 1000);
  // The system would fire `online`, at which a browser tries at once.
  const plugged = until > 0 && left <= 0;
  useEffect(() => {
    if (plugged) store.tryNow();
  }, [store, plugged]);
  const pull = async () => {
    const token = store.getToken();
    if (token === null) return;
    try {
      const { seconds } = await pullCable(token);
      setUntil(Date.now() + seconds * 1000);
    } catch (trouble) {
      // The cable may cut its own answer.
      if (!(trouble instanceof ProblemError)) throw trouble;
    }
  };
  const text = left > 0 ? words.cablePulled(left) : words.pullCable;
  return (
    <button
      type="button"
      className="button cable figures"
      title={words.pullCableHelp}
      aria-label={text}
      disabled={left > 0}
      onClick={() => void pull()}
    >
      <CableIcon /> <span className="cable-text">{text}</span>
    </button>
  );
}
