// A phone number as it is read aloud: country, area, and the rest in groups. Only spaces and dashes
// are put in, so that a plan we do not know is read in threes and is still the same number.

/** Country codes of one and of two digits (ITU-T E.164); all others have three. */
const ONE = new Set(["1", "7"]);
const TWO = new Set(
  (
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 " +
    "65 66 81 82 84 86 90 91 92 93 94 95 98"
  ).split(" "),
);

/** `+55 11 99999-0000` of `5511999990000`; anything that is no international number as it is. */
export function grouped(phone: string): string {
  const digits = /^\+?(\d{8,15})$/.exec(phone)?.[1];
  if (digits === undefined) return phone;
  const country = countryOf(digits);
  return `+${country} ${national(country, digits.slice(country.length))}`;
}

function countryOf(digits: string): string {
  if (ONE.has(digits.slice(0, 1))) return digits.slice(0, 1);
  return digits.slice(0, TWO.has(digits.slice(0, 2)) ? 2 : 3);
}

function national(country: string, rest: string): string {
  if (country === "55" && (rest.length === 10 || rest.length === 11))
    return `${rest.slice(0, 2)} ${rest.slice(2, -4)}-${rest.slice(-4)}`;
  if (country === "1" && rest.length === 10)
    return `${rest.slice(0, 3)} ${rest.slice(3, 6)}-${rest.slice(6)}`;
  return threes(rest).join(" ");
}

/** In threes; what is left over makes the last group one of four, or two of two. */
function threes(digits: string): string[] {
  if (digits.length <= 4)
    return digits.length === 4 ? [digits.slice(0, 2), digits.slice(2)] : [digits];
  if (digits.length === 5) return [digits.slice(0, 3), digits.slice(3)];
  return [digits.slice(0, 3), ...threes(digits.slice(3))];
}
