// The login link is `https://host/#token=…`: a fragment is never sent, and is gone at once.

/** The token of the address, which no longer has it when this returns. */
export function takeToken(location: Location, history: History): string | null {
  const token = tokenIn(location.hash);
  if (token !== null) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

/** The token that a login link, or its fragment, carries; null where there is none. */
export function tokenIn(link: string): string | null {
  const match = /#(?:.*&)?token=([^&\s]+)/.exec(link);
  return match?.[1] === undefined ? null : decoded(match[1]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
