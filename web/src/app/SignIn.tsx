import { type FormEvent, useState } from "react";
import type { InboxState, InboxStore } from "../model";
import { Mark } from "./icons";
import { ProblemText } from "./SyncButton";
import { tokenIn } from "./signInLink";
import { useWords } from "./words";

export function SignIn({
  store,
  state,
}: {
  readonly store: InboxStore;
  readonly state: InboxState;
}) {
  const words = useWords();
  const [typed, setTyped] = useState("");
  const [asking, setAsking] = useState(false);
  const told = whyNot();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const token = tokenIn(typed) ?? typed.trim();
    if (token === "" || asking) return;
    setAsking(true);
    void store.signIn(token).finally(() => setAsking(false));
  };
  return (
    <main className="sign-in">
      <form onSubmit={submit}>
        <h1>
          <Mark /> Malote
        </h1>
        {told === null || asking ? null : (
          <p className="told" role="alert">
            {told}
          </p>
        )}
        <p id="sign-in-help">{words.signInHelp}</p>
        <label>
          {words.token}
          <input
            type="password"
            autoComplete="current-password"
            spellCheck={false}
            aria-describedby="sign-in-help"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        </label>
        <button type="submit" className="button button-main" disabled={asking}>
          {asking ? words.signingIn : words.signIn}
        </button>
        <p className="meta">{words.shared}</p>
      </form>
    </main>
  );

  /** What became of the last attempt to sign in, or of the access that there was. */
  function whyNot() {
    if (state.problem?.status === 401) return words.tokenRefused;
    if (state.problem !== null) return <ProblemText problem={state.problem} />;
    const reason = state.connection.stopReason;
    return reason === "signed_out" || reason === "revoked" ? words.stoppedHelp[reason] : null;
  }
}
