import { Fragment } from "react";

const LINK = /\bhttps?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}]/giu;

/** Text as text; what is an http or https address in it can be followed, and nothing else can. */
export function Linked({ text }: { readonly text: string }) {
  const parts: React.ReactNode[] = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const url = safeUrl(match[0]);
    if (url === null) continue;
    parts.push(text.slice(end, match.index));
    parts.push(
      <a href={url} target="_blank" rel="noopener noreferrer">
        {match[0]}
      </a>,
    );
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one immutable text
  return parts.map((part, index) => <Fragment key={index}>{part}</Fragment>);
}

/** The address, where it is one of http or https; else null. */
export function safeUrl(text: string): string | null {
  try {
    const url = new URL(text);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}
