import { useEffect, useRef } from "react";
import { CloseIcon } from "./icons";
import { useWords } from "./words";

const KEYS = [
  ["j", "next"],
  ["k", "previous"],
  ["Enter", "open"],
  ["Esc", "leave"],
  ["/", "search"],
  ["s", "sync"],
  ["d", "details"],
  ["t", "timeline"],
  ["?", "help"],
] as const;

export function Shortcuts({
  open,
  on,
  onSwitch,
  onClose,
}: {
  readonly open: boolean;
  /** Whether single keys do anything: some people's software types where they speak. */
  readonly on: boolean;
  readonly onSwitch: (on: boolean) => void;
  readonly onClose: () => void;
}) {
  const words = useWords();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} className="dialog" aria-labelledby="shortcuts-title" onClose={onClose}>
      <header className="details-head">
        <h2 id="shortcuts-title">{words.shortcuts}</h2>
        <button type="button" className="icon-button" aria-label={words.close} onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <dl className="facts">
        {KEYS.map(([key, name]) => (
          <div key={key}>
            <dt>{words.keys[name]}</dt>
            <dd>
              <kbd>{key}</kbd>
            </dd>
          </div>
        ))}
      </dl>
      <label className="switch">
        <input type="checkbox" checked={on} onChange={(event) => onSwitch(event.target.checked)} />
        {words.shortcutsOn}
      </label>
    </dialog>
  );
}
