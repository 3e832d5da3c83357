/** Verdicts of a study respect the spread between seeds. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accuracyMaps, type Reference } from "../../../src/study/result/accuracy-map.ts";
import { effectsOf } from "../../../src/study/result/effects.ts";
import { compareMeans, compareWithLimit, type SeedMean } from "../../../src/study/result/noise.ts";
import { bestWithin, cheapestAbove, costPoints } from "../../../src/study/result/pareto.ts";
import { summarySentences } from "../../../src/study/result/summary.ts";
import { record } from "../support.ts";

const reference: Reference = { float: 0.87, chance: 0.1, tolerance: 0.01 };
const of = (accuracy: number, spread: number | null, count = 3): SeedMean => ({ accuracy, spread, count });

/** The sentences of a study of one recipe, with the accuracies of its seeds by activation bits. */
function summaryOf(cells: Readonly<Record<number, readonly number[]>>, bitOperations?: number): string[] {
  const records = Object.entries(cells).flatMap(([bits, accuracies]) =>
    accuracies.map((accuracy, seed) =>
      record({
        activationBits: Number(bits),
        seed,
        accuracy,
        cost: { bitOperations: 100 * Number(bits), bytes: 100 * Number(bits) },
      }),
    ),
  );
  const maps = accuracyMaps(records, reference);
  const points = costPoints(maps);
  const budget = bitOperations === undefined ? {} : { bitOperations };
  return summarySentences({
    reference,
    maps,
    effects: maps.map(effectsOf),
    cheapest: cheapestAbove(points, 0.86),
    forBudget: bestWithin(points, budget),
    choices: points.filter((point) => bestWithin([point], budget) !== undefined),
    hasBudget: bitOperations !== undefined,
  });
}

describe("a comparison of means", () => {
  it("is noise up to two standard errors of the difference", () => {
    // Standard error of the difference: sqrt(2 · 0.03² / 3) = 0.0245.
    expect(compareMeans(of(0.8, 0.03), of(0.84, 0.03))).toBe("noise");
    expect(compareMeans(of(0.8, 0.03), of(0.86, 0.03))).toBe("clear");
    expect(compareMeans(of(0.8, null, 1), of(0.9, 0.03))).toBe("unknown");
    expect(compareWithLimit(of(0.865, 0.01), 0.86)).toBe("noise");
    expect(compareWithLimit(of(0.88, 0.01), 0.86)).toBe("clear");
  });

  it("does not depend on the order, and more seeds never make noise of what is clear", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const small = fc.double({ min: 0, max: 0.2, noNaN: true });
    fc.assert(
      fc.property(share, share, small, small, fc.integer({ min: 2, max: 9 }), (a, b, s, t, count) => {
        const [one, other] = [of(a, s, count), of(b, t, count)];
        expect(compareMeans(one, other)).toBe(compareMeans(other, one));
        if (compareMeans(one, other) === "clear") {
          expect(compareMeans(of(a, s, count + 1), of(b, t, count + 1))).toBe("clear");
        }
      }),
    );
  });
});

describe("the choice of a study", () => {
  it("has its spread, and names the most accurate with what is known of the difference", () => {
    const clear = summaryOf({ 2: [0.865, 0.866, 0.867], 8: [0.9, 0.901, 0.902] });
    expect(clear).toContain("Take lsq W4A2: 86.6 % ± 0.1 over 3 seeds (float: 87.0 %) at the fewest bit operations.");
    expect(clear).toContain("The most accurate is lsq W4A8 with 90.1 % ± 0.1 over 3 seeds, 3.5 points more.");
    const noise = summaryOf({ 2: [0.8, 0.87, 0.94], 8: [0.82, 0.88, 0.94] });
    expect(noise.join(" ")).toMatch(
      /The most accurate is lsq W4A8 with 88.0 % ± 6.0 over 3 seeds, a difference within noise/,
    );
    expect(noise.join(" ")).toMatch(/Whether lsq W4A2 is within 1 point of float is within noise/);
  });

  it("says within a budget what noise cannot tell from the best", () => {
    const sentences = summaryOf({ 2: [0.85, 0.88, 0.91], 4: [0.86, 0.88, 0.905], 8: [0.95, 0.95, 0.95] }, 500);
    expect(sentences).toContain("Best within the budget: lsq W4A4 with 88.2 % ± 2.3 over 3 seeds.");
    expect(sentences).toContain("Within noise of it: lsq W4A2.");
    expect(sentences.join(" ")).not.toContain("W4A8");
  });

  it("says of one seed that it cannot tell", () => {
    const sentences = summaryOf({ 2: [0.865], 8: [0.9] });
    expect(sentences).toContain("The most accurate is lsq W4A8 with 90.0 %.");
    expect(sentences.at(-1)).toMatch(/^One seed for each cell: it cannot tell/);
    expect(summaryOf({ 2: [0.865, 0.866] }).join(" ")).not.toContain("One seed");
  });

  it("explains no differences by bits that are within noise", () => {
    const random = summaryOf({ 2: [0.8, 0.9, 0.85], 4: [0.82, 0.9, 0.88], 8: [0.85, 0.9, 0.89] });
    expect(random[0]).toContain("the differences between cells are within noise");
  });
});
