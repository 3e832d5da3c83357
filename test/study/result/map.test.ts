import { describe, expect, it } from "vitest";
import { accuracyMaps, outcomeOf, type Reference, spread } from "../../../src/study/result/accuracy-map.ts";
import { effectsOf } from "../../../src/study/result/effects.ts";
import {
  bestWithin,
  type CostPoint,
  cheapestAbove,
  costPoints,
  paretoFront,
} from "../../../src/study/result/pareto.ts";
import { summarySentences } from "../../../src/study/result/summary.ts";
import { record } from "../support.ts";

const reference: Reference = { float: 0.87, chance: 0.1, tolerance: 0.01 };

/** The thread's numbers (top-1 over W4 and W8), as records. */
function grid(accuracies: Readonly<Record<string, number>>) {
  return Object.entries(accuracies).map(([name, accuracy]) => {
    const [, weights, activations] = /W(\d)A(\d)/.exec(name) ?? [];
    return record({ recipe: "thread", weightBits: Number(weights), activationBits: Number(activations), accuracy });
  });
}

describe("the map", () => {
  it("takes means and spreads over seeds, and leaves out what is no result", () => {
    const records = [
      record({ seed: 0, accuracy: 0.8 }),
      record({ seed: 1, accuracy: 0.9 }),
      record({ seed: 2, accuracy: null, status: "stopped", reason: "too low" }),
    ];
    const cell = accuracyMaps(records, reference)[0]?.rows[0]?.[0];
    expect(cell).toMatchObject({
      count: 2,
      minimum: 0.8,
      maximum: 0.9,
      missing: [{ status: "stopped", reason: "too low" }],
    });
    expect(cell?.mean).toBeCloseTo(0.85, 12);
    expect(cell?.spread).toBeCloseTo(Math.SQRT1_2 * 0.1, 12);
  });

  it("has a cell without a number where nothing finished", () => {
    const failed = record({ accuracy: null, status: "failed", reason: "disk" });
    expect(accuracyMaps([failed], reference)[0]?.rows[0]?.[0]).toMatchObject({ mean: null, count: 0, outcome: null });
  });

  it("has rows of falling weight bits", () => {
    const [map] = accuracyMaps(grid({ W2A3: 0.1, W8A3: 0.2, W2A8: 0.3, W8A8: 0.4 }), reference);
    expect(map?.weightBits).toEqual([8, 2]);
    expect(map?.rows.map((row) => row.map((cell) => cell.mean))).toEqual([
      [0.4, 0.2],
      [0.3, 0.1],
    ]);
  });

  it("calls kept what is within the tolerance, collapsed what is nearer to chance than to float", () => {
    expect(outcomeOf(0.86, reference)).toBe("kept");
    expect(outcomeOf(0.8599, reference)).toBe("lost");
    expect(outcomeOf(0.48, reference)).toBe("collapsed");
    expect(outcomeOf(0.86, { ...reference, float: null })).toBeNull();
    expect(spread([0.5])).toBeNull();
  });
});

describe("the effects", () => {
  it("give what a bit is worth at each place", () => {
    const [map] = accuracyMaps(grid({ W8A8: 0.9, W8A4: 0.5, W2A8: 0.6, W2A4: 0.2 }), reference);
    if (map === undefined) throw new Error("no map");
    const { activationBits, weightBits, variance } = effectsOf(map);
    expect(activationBits.map(({ at, from, to, perBit }) => [at, from, to, Number(perBit?.toFixed(6))])).toEqual([
      [8, 8, 4, 0.1],
      [2, 8, 4, 0.1],
    ]);
    expect(weightBits.map(({ at, perBit }) => [at, Number(perBit?.toFixed(6))])).toEqual([
      [8, 0.05],
      [4, 0.05],
    ]);
    // Purely additive: no interaction, and the rest shared as 0.2² to 0.15².
    expect(variance?.shares?.interaction).toBeCloseTo(0, 12);
    expect(variance?.shares?.activations).toBeCloseTo(0.04 / (0.04 + 0.0225), 12);
  });

  it("split a full grid into parts that add up to 1", () => {
    const [map] = accuracyMaps(grid({ W8A8: 0.9, W8A4: 0.8, W2A8: 0.85, W2A4: 0.1, W8A3: 0.4, W2A3: 0.1 }), reference);
    if (map === undefined) throw new Error("no map");
    const shares = effectsOf(map).variance?.shares;
    expect((shares?.weights ?? 0) + (shares?.activations ?? 0) + (shares?.interaction ?? 0)).toBeCloseTo(1, 12);
    expect(shares?.interaction).toBeGreaterThan(0.05);
  });

  it("leave the split out where a cell has no result, and keep the steps that are known", () => {
    const [map] = accuracyMaps(
      [
        ...grid({ W8A8: 0.9, W8A4: 0.5, W2A8: 0.6 }),
        record({ recipe: "thread", weightBits: 2, accuracy: null, status: "failed" }),
      ],
      reference,
    );
    if (map === undefined) throw new Error("no map");
    expect(effectsOf(map).variance).toBeNull();
    expect(effectsOf(map).activationBits.map(({ perBit }) => perBit === null)).toEqual([false, true]);
  });
});

const point = (name: string, accuracy: number, bitOperations: number, bytes = bitOperations): CostPoint => ({
  recipe: name,
  weightBits: 4,
  activationBits: 4,
  accuracy,
  spread: null,
  count: 1,
  bitOperations,
  bytes,
});

describe("the front", () => {
  const points = [point("a", 0.5, 1), point("b", 0.4, 2), point("c", 0.7, 3), point("d", 0.7, 4), point("e", 0.9, 4)];

  it("holds the points that no other beats", () => {
    expect(paretoFront(points, "bitOperations").map(({ recipe }) => recipe)).toEqual(["a", "c", "e"]);
  });

  it("is unchanged by points that are beaten", () => {
    const front = paretoFront(points, "bitOperations");
    expect(paretoFront(front, "bitOperations")).toEqual(front);
  });

  it("gives the best within a budget, and the cheapest above an accuracy", () => {
    expect(bestWithin(points, { bitOperations: 3 })?.recipe).toBe("c");
    expect(bestWithin(points, { bytes: 2 })?.recipe).toBe("a");
    expect(bestWithin(points, { bytes: 0.5 })).toBeUndefined();
    expect(cheapestAbove(points, 0.7)?.recipe).toBe("c");
  });
});

describe("the summary", () => {
  it("says what converged, what did not with its real levels, and what to take", () => {
    const thread = grid({ W8A8: 0.875, W8A4: 0.592, W4A8: 0.876, W4A4: 0.3 }).map((item) => ({
      ...item,
      levels: { weights: 16, activations: 2 ** (item.activationBits - 1) },
    }));
    const records = [...thread, record({ accuracy: 0.876, weightBits: 2, activationBits: 2 })];
    const maps = accuracyMaps(records, reference);
    const sentences = summarySentences({
      reference,
      maps,
      effects: maps.map(effectsOf),
      cheapest: cheapestAbove(costPoints(maps), 0.86),
      forBudget: undefined,
      hasBudget: false,
    });
    expect(sentences).toEqual([
      "thread: 2 of 4 cells stay within 1 point of float, 1 loses more (W8A4 (8 levels) 59.2 %), 1 does not converge (W4A4 (8 levels) 30.0 %); activation bits explain 81 % of the differences between cells, weight bits 9 %, their interaction 9 %.",
      "lsq: its one cell stays within 1 point of float.",
      "Take lsq W2A2: 87.6 % (float: 87.0 %) at the fewest bit operations.",
      "One seed for each cell: it cannot tell a small difference from the spread between seeds (--seeds 3).",
    ]);
  });

  it.each([true, false])("says that no trial finished, and nothing of float or a budget (%j)", (hasBudget) => {
    const failed = [4, 8].map((weightBits) => record({ weightBits, status: "failed", reason: "gone", accuracy: null }));
    const maps = accuracyMaps(failed, reference);
    const parts = {
      reference,
      maps,
      effects: maps.map(effectsOf),
      cheapest: undefined,
      forBudget: undefined,
      hasBudget,
    };
    expect(summarySentences(parts)).toEqual(["lsq: no trial gave a result.", "No trial has finished."]);
  });

  it("says when nothing fits a budget", () => {
    const parts = { reference, maps: [], effects: [], cheapest: undefined, forBudget: undefined };
    expect(summarySentences({ ...parts, hasBudget: true })).toEqual(["No configuration of the grid fits the budget."]);
  });
});
