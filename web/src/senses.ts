// What a browser tells of its network and of its tab.

/**
 * Calls `woken` when either is back, `offline` when the network is gone, and `leaving` when the page
 * may go into the back-forward cache, into which it takes no socket. Returns how to stop.
 */
export function listen(woken: () => void, offline: () => void, leaving: () => void): () => void {
  const senses: readonly [EventTarget, string, () => void][] = [
    [window, "online", woken],
    [window, "offline", offline],
    [window, "pagehide", leaving],
    [window, "pageshow", woken],
    [document, "visibilitychange", woken],
  ];
  for (const [target, type, listener] of senses) target.addEventListener(type, listener);
  return () => {
    for (const [target, type, listener] of senses) target.removeEventListener(type, listener);
  };
}
