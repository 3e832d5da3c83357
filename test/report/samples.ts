/** A study made up after the thread's numbers, for the charts' gallery and the page. */

import type { TrialRecord } from "../../src/study/plan/record.ts";
import { accuracyMaps, type Reference } from "../../src/study/result/accuracy-map.ts";
import { effectsOf } from "../../src/study/result/effects.ts";
import { costPoints, paretoFront } from "../../src/study/result/pareto.ts";
import { record } from "../study/support.ts";

export const reference: Reference = { float: 0.866, chance: 0.1, tolerance: 0.01 };

const thread: Readonly<Record<string, number>> = { 8: 0.875, 6: 0.862, 5: 0.834, 4: 0.592, 3: 0.1 };
const weightLoss: Readonly<Record<string, number>> = { 8: 0, 4: 0.004, 2: 0.021 };

/** Two recipes, three weight bits, five activation bits; two seeds; one cell stopped, one failed. */
export function sampleRecords(): TrialRecord[] {
  const records = ["thread", "lsq"].flatMap((recipe) =>
    [8, 4, 2].flatMap((weightBits) =>
      [8, 6, 5, 4, 3].flatMap((activationBits) =>
        [0, 1].map((seed) => {
          const base = recipe === "lsq" ? 0.872 - 0.002 * (8 - activationBits) : (thread[activationBits] ?? 0);
          const accuracy = Math.max(0.1, base - (weightLoss[weightBits] ?? 0) + 0.003 * seed);
          const activations = 2 ** (recipe === "thread" ? activationBits - 1 : activationBits);
          return record({
            recipe,
            weightBits,
            activationBits,
            seed,
            accuracy,
            levels: { weights: 2 ** weightBits, activations },
            cost: { bitOperations: 4.1e5 * weightBits * Math.log2(activations) + 1e6, bytes: 9000 * weightBits + 4000 },
            epochs: [1, 2, 3].map((epoch) => ({
              epoch,
              trainLoss: 1 / epoch,
              trainAccuracy: accuracy,
              testLoss: 1 / epoch,
              testAccuracy: accuracy - 0.04 / epoch,
            })),
          });
        }),
      ),
    ),
  );
  return records.map((item): TrialRecord => {
    if (item.recipe !== "thread" || item.weightBits !== 2) return item;
    if (item.activationBits === 3) return { ...item, status: "failed", reason: "it was killed", accuracy: null };
    if (item.activationBits === 4) return { ...item, status: "stopped", reason: "below the median", accuracy: null };
    return item;
  });
}

export const records = sampleRecords();
export const maps = accuracyMaps(records, reference);
export const effects = maps.map(effectsOf);
export const points = costPoints(maps);
export const front = paretoFront(points, "bitOperations");
