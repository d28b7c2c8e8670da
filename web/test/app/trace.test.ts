// How far the stations of a trace stand apart, and what needs no explaining.

import { describe, expect, it } from "vitest";
import { took } from "../../src/app/times";
import { apartPx, type DeviceTrace, isPlain, tookUs } from "../../src/app/trace";

describe("the time between two stations", () => {
  it("is told to the microsecond, which a Date does not know", () => {
    const [from, to] = ["2026-11-28T14:32:07.999998Z", "2026-11-28T14:32:08.000001Z"];
    expect(tookUs(from, to)).toBe(3);
    expect(tookUs("2026-11-28T14:32:07Z", "2026-11-28T14:32:07.5Z")).toBe(500_000);
  });

  it.each([
    [0, "0 µs"],
    [940, "940 µs"],
    [2_140, "2.1 ms"],
    [143_000, "143 ms"],
    [61_000_000, "1 min"],
    [3_600_000_000 * 5, "5 h"],
    [86_400_000_000 * 12, "12 d"],
  ])("is said in one unit: %i", (us, said) => {
    expect(took("en", us)).toBe(said);
  });

  it("is longer on the line the longer it was, never nothing and never off the screen", () => {
    const waits = [0, 1_000, 143_000, 10_000_000, 3_600_000_000, Number.MAX_SAFE_INTEGER];
    const apart = waits.map(apartPx);
    expect(apart).toEqual(apart.toSorted((a, b) => a - b));
    expect(new Set(apart).size).toBe(waits.length);
    expect(apart[0]).toBeGreaterThan(0);
    expect(apart.at(-1)).toBeLessThan(60);
    expect(apartPx(-5)).toBe(apart[0]);
  });
});

it("explains every device but those that had it at once, or have nothing to tell yet", () => {
  const step = { position: 1, time: "", session: null, reason: null, after: null } as const;
  const more = { until: null, attempt: null, by: null } as const;
  const device = (outcome: DeviceTrace["outcome"], ...names: DeviceTrace["steps"][0]["step"][]) =>
    isPlain({
      user: "ana",
      device: "d",
      outcome,
      took_us: 1,
      left_out: 0,
      steps: names.map((name) => ({ ...step, ...more, step: name })),
    });
  expect(device("acknowledged", "addressed", "acknowledged")).toBe(true);
  expect(device("acknowledged", "addressed", "retried", "acknowledged")).toBe(false);
  expect(device("outstanding", "addressed")).toBe(true);
  expect(device("outstanding", "addressed", "retried")).toBe(false);
  expect(device("parked", "addressed", "parked")).toBe(false);
});
