// Times as people read them: relative under an hour, then the clock, then the date.

import type { Words } from "./words";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const formats = new Map<string, Intl.DateTimeFormat>();
function format(locale: string, name: string, options: Intl.DateTimeFormatOptions) {
  const key = `${locale} ${name}`;
  let found = formats.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat(locale, options);
    formats.set(key, found);
  }
  return found;
}

export const clock = (locale: string, time: string | number): string =>
  format(locale, "clock", { hour: "2-digit", minute: "2-digit" }).format(new Date(time));

export const clockWithSeconds = (locale: string, time: string | number): string =>
  format(locale, "seconds", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(
    new Date(time),
  );

/** To the millisecond: what a trace is read by. */
export const clockWithMs = (locale: string, time: string | number): string =>
  format(locale, "ms", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  }).format(new Date(time));

const UNITS = [
  [86_400_000_000, "d"],
  [3_600_000_000, "h"],
  [60_000_000, "min"],
  [1_000_000, "s"],
  [1_000, "ms"],
  [1, "µs"],
] as const;

/** How long something took: "143 ms", "2.1 s", "5 h". */
export function took(locale: string, us: number): string {
  const [size, unit] = UNITS.find(([each]) => us >= each) ?? [1, "µs"];
  const digits = us / size < 10 ? 1 : 0;
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: digits });
  return `${number.format(us / size)} ${unit}`;
}

export const full = (locale: string, time: string | number): string =>
  format(locale, "full", { dateStyle: "long", timeStyle: "medium" }).format(new Date(time));

/** A moment to the second, with its date unless it is today's. */
export function moment(words: Words, time: string | number): string {
  const at = new Date(time);
  const { locale } = words;
  if (startOfDay(at.getTime()) === startOfDay(Date.now())) return clockWithSeconds(locale, time);
  return format(locale, "moment", { dateStyle: "short", timeStyle: "medium" }).format(at);
}

const startOfDay = (at: number) => new Date(at).setHours(0, 0, 0, 0);

/** Whole days between the days of two moments; 0 is the same day. */
const daysBetween = (then: number, now: number) =>
  Math.round((startOfDay(now) - startOfDay(then)) / DAY);

/** For a row of the list: "now", "5 min", "14:02", "Tuesday", "12 Mar". */
export function short(words: Words, time: string, now: number): string {
  const then = Date.parse(time);
  const age = now - then;
  if (age < MINUTE) return words.justNow;
  if (age < HOUR) return relativeMinutes(words.locale, Math.floor(age / MINUTE));
  const days = daysBetween(then, now);
  if (days === 0) return clock(words.locale, then);
  if (days === 1) return words.yesterday;
  if (days < 7) return format(words.locale, "weekday", { weekday: "short" }).format(then);
  return date(words.locale, then, now);
}

function relativeMinutes(locale: string, minutes: number): string {
  return new Intl.NumberFormat(locale, {
    style: "unit",
    unit: "minute",
    unitDisplay: "short",
  }).format(minutes);
}

function date(locale: string, then: number, now: number): string {
  const sameYear = new Date(then).getFullYear() === new Date(now).getFullYear();
  return sameYear
    ? format(locale, "day", { day: "numeric", month: "short" }).format(then)
    : format(locale, "year", { day: "numeric", month: "short", year: "numeric" }).format(then);
}

/** For the line between two days. */
export function day(words: Words, time: string, now: number): string {
  const then = Date.parse(time);
  const days = daysBetween(then, now);
  if (days === 0) return words.today;
  if (days === 1) return words.yesterday;
  return format(words.locale, "long day", {
    weekday: "long",
    day: "numeric",
    month: "long",
    ...(new Date(then).getFullYear() === new Date(now).getFullYear() ? {} : { year: "numeric" }),
  }).format(then);
}

export const sameDay = (a: string, b: string): boolean =>
  startOfDay(Date.parse(a)) === startOfDay(Date.parse(b));
