import { describe, expect, it } from "vitest";
import { learningRateAt, type Schedule } from "../../../src/train/loop/schedule.ts";

const length = { epochs: 10, stepsPerEpoch: 5 };
const base: Schedule = {
  name: "constant",
  warmupEpochs: 0,
  warmupSteps: 0,
  milestones: [5, 8],
  gamma: 0.1,
  finalLearningRate: 0.01,
};

describe("learning rates", () => {
  it("stay as they are", () => {
    expect(learningRateAt(base, 0.5, 0, length)).toBe(0.5);
    expect(learningRateAt(base, 0.5, 49, length)).toBe(0.5);
  });

  it("fall by gamma after each milestone", () => {
    const schedule: Schedule = { ...base, name: "step" };
    const rates = [0, 24, 25, 39, 40, 49].map((step) => learningRateAt(schedule, 1, step, length));
    for (const [i, rate] of [1, 1, 0.1, 0.1, 0.01, 0.01].entries()) expect(rates[i]).toBeCloseTo(rate, 12);
  });

  it("fall along a cosine to the final rate", () => {
    const schedule: Schedule = { ...base, name: "cosine" };
    expect(learningRateAt(schedule, 1, 0, length)).toBe(1);
    expect(learningRateAt(schedule, 1, 25, length)).toBeCloseTo(0.505, 12);
    expect(learningRateAt(schedule, 1, 50, length)).toBeCloseTo(0.01, 12);
  });

  it("rise from almost nothing during the warm-up", () => {
    const schedule: Schedule = { ...base, name: "cosine", warmupEpochs: 2 };
    const rates = [0, 4, 9, 10].map((step) => learningRateAt(schedule, 1, step, length));
    for (const [i, rate] of [0.1, 0.5, 1, 1].entries()) expect(rates[i]).toBeCloseTo(rate, 12);
    expect(learningRateAt({ ...schedule, warmupEpochs: 0, warmupSteps: 4 }, 1, 1, length)).toBeCloseTo(0.5, 12);
  });
});
