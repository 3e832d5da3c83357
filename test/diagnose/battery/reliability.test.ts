import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { binsOf, calibrationErrorOf, type Judged, share } from "./reliability.ts";

/** Findings of one confidence, of which so many are true. */
const findings = (confidence: number, of: number, right: number): Judged[] =>
  Array.from({ length: of }, (_, i) => ({ confidence, isTrue: i < right }));

describe("a share", () => {
  it("has the intervals of Wilson's paper", () => {
    // Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263 and 15 of 148.
    expect(share(81, 263)).toMatchObject({ low: expect.closeTo(0.2553, 3), high: expect.closeTo(0.3662, 3) });
    expect(share(15, 148)).toMatchObject({ low: expect.closeTo(0.0624, 3), high: expect.closeTo(0.1605, 3) });
  });
});

describe("the bins of a reliability diagram", () => {
  it("are tenths, and hold each finding once", () => {
    const bins = binsOf([
      ...findings(0.05, 6, 0),
      ...findings(0.3, 5, 1),
      ...findings(0.7, 8, 6),
      ...findings(1, 5, 5),
    ]);
    expect(bins.map(({ from, to, right }) => [from, to, right.count, right.of])).toEqual([
      [0, 0.1, 0, 6],
      [0.3, 0.4, 1, 5],
      [0.7, 0.8, 6, 8],
      [0.9, 1, 5, 5],
    ]);
  });

  it("have at least 5 findings, whatever the confidences, and lose none", () => {
    const random = randomStream(1, "bins");
    for (let round = 0; round < 50; round++) {
      const all = Array.from({ length: 5 + Math.floor(60 * random.uniform()) }, () => ({
        confidence: random.uniform() ** 2,
        isTrue: random.uniform() < 0.5,
      }));
      const bins = binsOf(all);
      expect(Math.min(...bins.map(({ right }) => right.of))).toBeGreaterThanOrEqual(5);
      expect(bins.reduce((sum, { right }) => sum + right.of, 0)).toBe(all.length);
      expect(bins.reduce((sum, { right }) => sum + right.count, 0)).toBe(all.filter(({ isTrue }) => isTrue).length);
      for (const { from, to, confidence } of bins) {
        expect(confidence).toBeGreaterThanOrEqual(from);
        expect(confidence).toBeLessThanOrEqual(to);
      }
    }
  });

  it("merge a tenth of few findings with the smaller of its neighbours, and all where all are few", () => {
    const bins = binsOf([...findings(0.15, 20, 0), ...findings(0.25, 2, 1), ...findings(0.35, 9, 3)]);
    expect(bins.map(({ from, to, right }) => [from, to, right.of])).toEqual([
      [0.1, 0.2, 20],
      [0.2, 0.4, 11],
    ]);
    expect(binsOf([...findings(0.1, 2, 1), ...findings(0.9, 1, 1)])).toMatchObject([{ from: 0.1, to: 1 }]);
    expect(binsOf([])).toEqual([]);
  });
});

describe("the calibration error", () => {
  it("is the mean difference of confidence and truth, weighted by the number of findings", () => {
    expect(calibrationErrorOf(binsOf([...findings(0.85, 30, 30), ...findings(0.25, 10, 5)]))).toBeCloseTo(
      (30 * 0.15 + 10 * 0.25) / 40,
      12,
    );
    expect(calibrationErrorOf(binsOf(findings(0.5, 10, 5)))).toBeCloseTo(0, 12);
    expect(calibrationErrorOf([])).toBe(0);
  });
});
