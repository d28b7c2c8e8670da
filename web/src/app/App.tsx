// The whole page: the language, and the way in or the inbox.

import { useCallback, useEffect, useMemo, useState } from "react";
import type { InboxStore } from "../model";
import { useInbox } from "./hooks";
import { Inbox } from "./Inbox";
import { SignIn } from "./SignIn";
import {
  type Language,
  preferredLanguage,
  rememberLanguage,
  WordsProvider,
  wordsOf,
} from "./words";

export function App({ store }: { readonly store: InboxStore }) {
  const [language, setLanguage] = useState(preferredLanguage);
  const choose = useCallback((chosen: Language) => {
    rememberLanguage(chosen);
    setLanguage(chosen);
  }, []);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const state = useInbox(store);
  useEffect(() => {
    document.title = state.unread > 0 ? `(${state.unread}) Malote` : "Malote";
  }, [state.unread]);
  const words = useMemo(() => wordsOf(language), [language]);
  return (
    <WordsProvider value={words}>
      {state.phase === "signed_out" ? (
        <SignIn store={store} state={state} />
      ) : (
        <Inbox store={store} state={state} language={language} onLanguage={choose} />
      )}
    </WordsProvider>
  );
}
