/** The knapsack over bits: against trying everything, and what cannot be. */
import { describe, expect, it } from "vitest";
import { type RandomStream, randomStream } from "../../../src/base/random.ts";
import {
  costOf,
  isWithin,
  type MixAssignment,
  type MixBudget,
  type MixProblem,
  predictedIncrease,
  solveMix,
} from "../../../src/study/mixed/solve.ts";

const bits = [2, 4, 8];

/** Three layers of which two read the same activation; increases fall with bits, but not always. */
function randomProblem(random: RandomStream): MixProblem {
  const increases = (size: number) => bits.map((b) => size * 4 ** -b * (0.5 + random.uniform()));
  const options = (size: number) =>
    increases(size).map((increase, i) => ({ bits: bits[i] ?? 0, codeBits: bits[i] ?? 0, increase }));
  const layers = [0, 1, 1].map((activation, index) => {
    const weights = 100 + Math.floor(5000 * random.uniform());
    return {
      name: `layer${index}`,
      activation,
      weights,
      macs: weights * (1 + Math.floor(1000 * random.uniform())),
      options: options(10).map((option) => ({ ...option, bytes: Math.ceil((weights * option.bits) / 8) + 64 })),
    };
  });
  const activations = ["a", "b"].map((name) => ({ name, options: options(3) }));
  return { layers, activations, kept: { bytes: 500, bitOperations: 64_000, weights: 100, weightBits: 800 } };
}

/** Every assignment of a problem. */
function assignments({ layers, activations }: MixProblem): MixAssignment[] {
  const product = <Item>(lists: readonly (readonly Item[])[]): Item[][] =>
    lists.reduce<Item[][]>((heads, list) => heads.flatMap((head) => list.map((item) => [...head, item])), [[]]);
  return product(layers.map(({ options }) => options)).flatMap((weights) =>
    product(activations.map(({ options }) => options)).map((chosen) => ({ weights, activations: chosen })),
  );
}

function bestByTrying(problem: MixProblem, budget: MixBudget): number {
  const fitting = assignments(problem).filter((assignment) => isWithin(costOf(problem, assignment), budget));
  return Math.min(...fitting.map(predictedIncrease));
}

describe("solveMix", () => {
  it("finds the least increase within each kind of budget, as trying everything does", async () => {
    const random = randomStream(3, "mixes");
    for (let round = 0; round < 4; round++) {
      const problem = randomProblem(random);
      const costs = assignments(problem).map((assignment) => costOf(problem, assignment));
      // A limit that one of the assignments meets exactly, so that equality is tried too.
      const one = costs[Math.floor(costs.length * random.uniform())];
      if (one === undefined) throw new Error("no assignment");
      const budgets: MixBudget[] = [
        { bytes: one.bytes },
        { bitOperations: one.bitOperations },
        { averageWeightBits: one.averageWeightBits },
        { bytes: one.bytes, bitOperations: one.bitOperations },
      ];
      for (const budget of budgets) {
        const found = await solveMix(problem, budget);
        expect(isWithin(costOf(problem, found), budget)).toBe(true);
        expect(predictedIncrease(found)).toBeCloseTo(bestByTrying(problem, budget), 9);
      }
    }
  }, 60_000);

  it("gives every layer that reads a tensor the same bits of it", async () => {
    const problem = randomProblem(randomStream(1, "mixes"));
    const found = await solveMix(problem, { bitOperations: 1e9 });
    expect(found.activations).toHaveLength(2);
    expect(found.weights).toHaveLength(3);
  });

  it("says what the fewest bits need where nothing fits", async () => {
    const problem = randomProblem(randomStream(1, "mixes"));
    const least = Math.min(...assignments(problem).map((assignment) => costOf(problem, assignment).bytes));
    await expect(solveMix(problem, { bytes: least - 1 })).rejects.toMatchObject({
      code: "CONFIG",
      message: `no mix fits: with the fewest bits everywhere it takes ${least} bytes`,
      where: `budget of ${least - 1} bytes`,
    });
    await expect(solveMix(problem, { bytes: least })).resolves.toBeDefined();
  });

  it("counts what is infinitely bad as never to be chosen", async () => {
    const problem = randomProblem(randomStream(2, "mixes"));
    const [first, ...others] = problem.layers;
    if (first === undefined) throw new Error("no layer");
    const broken = {
      ...first,
      options: first.options.map((option) =>
        option.bits === 2 ? { ...option, increase: Number.POSITIVE_INFINITY } : option,
      ),
    };
    const found = await solveMix({ ...problem, layers: [broken, ...others] }, { averageWeightBits: 5 });
    expect(found.weights[0]?.bits).not.toBe(2);
    expect(Number.isFinite(predictedIncrease(found))).toBe(true);
  });
});
