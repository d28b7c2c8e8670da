// The last messages of one's own application, kept in localStorage with the cursor they stand at.

import { useRef, useState } from "react";
import { type Batch, useWebSocket, type WireEvent } from "../src/useWebSocket";

interface Kept {
  cursor: string | null;
  texts: string[];
}
const KEY = "latest";
const NOTHING: Kept = { cursor: null, texts: [] };

export function Latest({ url, token }: { url: string; token: string }) {
  const [kept, setKept] = useState<Kept>(
    () => JSON.parse(localStorage.getItem(KEY) ?? "null") ?? NOTHING,
  );
  const gathered = useRef<string[]>([]);
  const connection = useWebSocket(url, {
    token,
    device: "latest",
    cursor: kept.cursor,
    onMessage: (event) => void gathered.current.push(textOf(event)),
    onBatch: ({ cursor }: Batch) => {
      // One write holds the effect and its cursor, so after a crash neither is ahead of the other.
      const fresh = gathered.current.splice(0);
      const before: Kept = JSON.parse(localStorage.getItem(KEY) ?? "null") ?? NOTHING;
      const next = { cursor, texts: [...before.texts, ...fresh].slice(-20) };
      localStorage.setItem(KEY, JSON.stringify(next));
      setKept(next);
    },
    onReset: () => {
      localStorage.removeItem(KEY);
      setKept(NOTHING);
    },
  });
  return (
    <section>
      <p role="status">
        {connection.status}
        {connection.retryIn !== null &&
          ` · attempt ${connection.attempt} · ${connection.retryIn} s`}
      </p>
      {connection.retryIn !== null && (
        <button type="button" onClick={connection.tryNow}>
          Try now
        </button>
      )}
      <pre>{kept.texts.join("\n")}</pre>
    </section>
  );
}

function textOf(event: WireEvent): string {
  return `${event.time} ${event.type} ${event.conversation ?? ""}`;
}
