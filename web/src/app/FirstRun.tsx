// An empty inbox: where the provider is to post, and a way to see it work at once.

import { useState } from "react";
import type { InboxStore, Problem } from "../model";
import { ProblemError } from "../model";
import { CopyLine } from "./Copy";
import { ProblemText } from "./SyncButton";
import { type Me, sendTestMessage } from "./server";
import { useWords } from "./words";

export function FirstRun({ store, me }: { readonly store: InboxStore; readonly me: Me }) {
  const words = useWords();
  if (me.inboxes.length === 0) {
    return (
      <div className="empty">
        <p>{words.noInboxes}</p>
      </div>
    );
  }
  return (
    <div className="empty first-run">
      <h2>{words.firstRun}</h2>
      <p>{words.firstRunHelp}</p>
      {me.inboxes.map((inbox) => (
        <InboxStart
          key={inbox.id}
          store={store}
          inbox={inbox}
          maySend={me.may.includes("send_test_message")}
        />
      ))}
    </div>
  );
}

function InboxStart({
  store,
  inbox,
  maySend,
}: {
  readonly store: InboxStore;
  readonly inbox: Me["inboxes"][number];
  readonly maySend: boolean;
}) {
  const words = useWords();
  const url = new URL(inbox.webhook_path, window.location.origin).href;
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const send = async () => {
    const token = store.getToken();
    if (token === null) return;
    setSending(true);
    setProblem(null);
    try {
      await sendTestMessage(token, inbox.id);
    } catch (trouble) {
      if (!(trouble instanceof ProblemError)) throw trouble;
      setProblem(trouble.problem);
    } finally {
      setSending(false);
    }
  };
  return (
    <section className="inbox-start" aria-label={inbox.id}>
      <h3>{words.webhookUrl(inbox.provider)}</h3>
      <CopyLine text={url} />
      {maySend ? (
        <button type="button" className="button" disabled={sending} onClick={() => void send()}>
          {sending ? words.sendingTest : words.sendTest}
        </button>
      ) : null}
      {problem === null ? null : (
        <p className="tone-bad" role="alert">
          <ProblemText problem={problem} />
        </p>
      )}
    </section>
  );
}
