import { useEffect, useRef, useState } from "react";

const KEY = "malote.shortcuts";
const ALWAYS = new Set(["Escape"]);

/**
 * Keys of the whole page, by `KeyboardEvent.key`. Not while somebody types or a dialog is open; with
 * a modifier never; and not at all once switched off (WCAG 2.1.4), but for Escape.
 */
export function useShortcuts(actions: Readonly<Record<string, () => unknown>>) {
  const [on, setOn] = useState(() => localStorage.getItem(KEY) !== "off");
  const newest = useRef(actions);
  newest.current = actions;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const action = newest.current[event.key];
      if (action === undefined || (!on && !ALWAYS.has(event.key))) return;
      if (isBusy(event)) return;
      event.preventDefault();
      action();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [on]);
  return {
    on,
    setOn: (chosen: boolean) => {
      localStorage.setItem(KEY, chosen ? "on" : "off");
      setOn(chosen);
    },
  };
}

/** Whether the key belongs to what has the focus: a field, a button's Enter, an open dialog. */
function isBusy(event: KeyboardEvent): boolean {
  const target = event.target as Element;
  if (document.querySelector("dialog[open], :popover-open") !== null) return true;
  if (target.matches("input, textarea, select")) return event.key !== "Escape";
  return event.key === "Enter" && target.matches("button, a, summary");
}
