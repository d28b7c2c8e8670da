// Words that are there to be taken elsewhere: an address, an id, a hash.

import { useState } from "react";
import { CopyIcon } from "./icons";
import { useWords } from "./words";

function useCopy(text: string) {
  const [copied, setCopied] = useState(false);
  // Without a secure context there is no clipboard; what is shown can still be marked by hand.
  const copy = () => void navigator.clipboard?.writeText(text).then(() => setCopied(true));
  return { copied, copy };
}

export function CopyLine({ text }: { readonly text: string }) {
  const words = useWords();
  const { copied, copy } = useCopy(text);
  return (
    <div className="copy-line">
      <code>{text}</code>
      <button type="button" className="button" onClick={copy}>
        {copied ? words.copied : words.copy}
      </button>
    </div>
  );
}

/** A name and its value, in one line however long it is; nothing for null. */
export function CopyValue({
  name,
  value,
}: {
  readonly name: string;
  readonly value: string | null;
}) {
  return value === null ? null : <Value name={name} value={value} />;
}

function Value({ name, value }: { readonly name: string; readonly value: string }) {
  const words = useWords();
  const { copied, copy } = useCopy(value);
  return (
    <p className="copy-value meta">
      <span>{name}</span>
      <code className="ellipsis" title={value}>
        {value}
      </code>
      <button type="button" aria-label={words.copyOf(name)} title={words.copy} onClick={copy}>
        <CopyIcon size={16} />
      </button>
      <span role="status">{copied ? words.copied : ""}</span>
    </p>
  );
}
