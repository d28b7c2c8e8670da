// Which language, and its words for every component below.

import { createContext, useContext } from "react";
import { en } from "./en";
import { ptBR } from "./ptBR";
import type { Words } from "./shape";

export type { Words } from "./shape";

export type Language = "en" | "pt-BR";
export const LANGUAGES: Record<Language, { readonly name: string; readonly words: Words }> = {
  en: { name: "English", words: en },
  "pt-BR": { name: "Português", words: ptBR },
};
const KEY = "malote.language";

/** The user's choice in this browser, else the browser's first language that we have. */
export function preferredLanguage(): Language {
  const chosen = localStorage.getItem(KEY);
  if (chosen === "en" || chosen === "pt-BR") return chosen;
  for (const tag of navigator.languages) {
    if (tag.toLowerCase().startsWith("pt")) return "pt-BR";
    if (tag.toLowerCase().startsWith("en")) return "en";
  }
  return "en";
}

export function rememberLanguage(language: Language): void {
  localStorage.setItem(KEY, language);
}

/** The words, with dates and figures as the browser's region has them: en-GB is not en-US. */
export function wordsOf(language: Language): Words {
  const [base = "en"] = language.split("-");
  const regional = navigator.languages.find((tag) => tag.toLowerCase().startsWith(base));
  const { words } = LANGUAGES[language];
  return { ...words, locale: regional ?? words.locale };
}

const WordsContext = createContext<Words>(en);
export const WordsProvider = WordsContext.Provider;
export const useWords = (): Words => useContext(WordsContext);
