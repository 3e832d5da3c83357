import { describe, expect, it } from "vitest";
import { atLength, shortLength } from "../../../src/diagnose/remedy/short-run.ts";
import { tinyConfig } from "../../support/training/tiny-run.ts";

describe("the length of a short training", () => {
  it("is a fifth of the run, at least 50 steps, and part of an epoch where that is longer", () => {
    expect(shortLength({ samples: 6400, batchSize: 64, epochs: 10 })).toEqual({ epochs: 2, steps: 200 });
    expect(shortLength({ samples: 256, batchSize: 32, epochs: 3 })).toEqual({ epochs: 7, steps: 56 });
    expect(shortLength({ samples: 60_000, batchSize: 60, epochs: 1 })).toEqual({
      epochs: 1,
      steps: 200,
      trainLimit: 12_000,
    });
    for (const [samples, batchSize, epochs] of [
      [100, 7, 2],
      [5000, 128, 30],
      [10, 64, 1],
    ] as const) {
      const { steps } = shortLength({ samples, batchSize, epochs });
      const all = Math.max(1, Math.floor(samples / batchSize)) * epochs;
      expect(steps).toBeGreaterThanOrEqual(Math.max(50, all / 5));
    }
  });

  it("moves everything that counts epochs along", () => {
    const config = tinyConfig({
      train: { epochs: 10, schedule: { name: "step", warmupEpochs: 1, milestones: [5, 8] } },
      quantization: {
        preset: "lsq",
        quantizeWeightsFromEpoch: 10,
        freezeBatchNormAfterEpoch: 5,
        dampening: { strength: 0.1, fromEpoch: 5, untilEpoch: 10 },
        stages: [{ fromEpoch: 0, weightBits: 4, activationBits: 4 }],
      },
    });
    const short = atLength(config, { epochs: 2, steps: 16, trainLimit: 64 });
    expect(short.data.trainLimit).toBe(64);
    expect(short.train.schedule).toMatchObject({ warmupEpochs: 0.2, milestones: [1, 1.6] });
    expect(short.quantization).toMatchObject({
      quantizeWeightsFromEpoch: 2,
      freezeBatchNormAfterEpoch: 1,
      dampening: { strength: 0.1, fromEpoch: 1, untilEpoch: 2 },
    });
    expect(short.quantization).not.toHaveProperty("stages");
    expect(atLength(config, { epochs: 10, steps: 80 }).train).toEqual(config.train);
  });
});
