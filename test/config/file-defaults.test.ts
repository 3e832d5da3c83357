/** Defaults where the weights come from a file: measured ones, which every explicit value wins over. */
import { describe, expect, it } from "vitest";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import type { TrainingConfig } from "../../src/config/schema/schema.ts";

const resolved = (document: object): TrainingConfig =>
  resolveTrainingConfig({ name: "own.yaml", text: JSON.stringify(document) });

/** The values that the defaults are about. */
function values({ train, data, model }: TrainingConfig) {
  const restored = "name" in model ? undefined : model.restoreBatchNorm;
  return [train.optimizer.learningRate, train.schedule.warmupEpochs, data.crop, data.flip, restored];
}

describe("a training whose model is a file", () => {
  it("has defaults that do its weights no harm", () => {
    expect(values(resolved({ model: { file: "mine.onnx" } }))).toEqual([0.002, 1, 0, false, true]);
    const adam = resolved({ model: { file: "mine.onnx" }, train: { optimizer: { name: "adam" } } });
    expect(adam.train.optimizer.learningRate).toBe(1e-4);
  });

  it("takes every value that is given", () => {
    const train = { optimizer: { learningRate: 0.3 }, schedule: { warmupEpochs: 0 } };
    const given = resolved({
      model: { file: "mine.onnx", restoreBatchNorm: false },
      data: { crop: 5, flip: true },
      train,
    });
    expect(values(given)).toEqual([0.3, 0, 5, true, false]);
    const steps = resolved({ model: { file: "mine.onnx" }, train: { schedule: { warmupSteps: 7 } } });
    expect([steps.train.schedule.warmupSteps, steps.train.schedule.warmupEpochs]).toEqual([7, 0]);
  });

  it("resolves to itself again", () => {
    const once = resolved({ model: { file: "mine.onnx" } });
    expect(resolved(once)).toEqual(once);
  });
});

describe("a training of a network by name", () => {
  it("keeps its defaults", () => {
    expect(values(resolved({ model: { name: "resnet8" } }))).toEqual([0.05, 0, 2, true, undefined]);
    expect(values(resolved({}))).toEqual([0.05, 0, 2, true, undefined]);
  });

  it("has no batch normalization to restore", () => {
    expect(() => resolved({ model: { name: "resnet8", restoreBatchNorm: true } })).toThrow(/expected a model's file/);
  });
});
