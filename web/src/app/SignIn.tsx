import { type FormEvent, useState } from "react";
import type { ConnectionState, InboxStore } from "../model";
import { Mark } from "./icons";
import { useWords } from "./words";

export function SignIn({
  store,
  connection,
}: {
  readonly store: InboxStore;
  readonly connection: ConnectionState;
}) {
  const words = useWords();
  const [token, setToken] = useState("");
  const reason = connection.stopReason;
  const told = reason === "signed_out" || reason === "revoked" ? words.stoppedHelp[reason] : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token.trim() !== "") void store.signIn(token.trim());
  };
  return (
    <main className="sign-in">
      <form onSubmit={submit}>
        <h1>
          <Mark /> Malote
        </h1>
        {told === null ? null : (
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
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
        </label>
        <button type="submit" className="button button-main">
          {words.signIn}
        </button>
        <p className="meta">{words.shared}</p>
      </form>
    </main>
  );
}
