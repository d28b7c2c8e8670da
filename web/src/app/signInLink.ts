// The login link is `https://host/#token=…`: a fragment is never sent, and is gone at once.

/** The token of the address, which no longer has it when this returns. */
export function takeToken(location: Location, history: History): string | null {
  const match = /(?:^#|&)token=([^&]+)/.exec(location.hash);
  if (match?.[1] === undefined) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return decoded(match[1]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
