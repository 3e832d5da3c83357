/** The forecast of a training's memory covers what comes after its steps: the evaluation and the checkpoint. */
import { describe, expect, it } from "vitest";
import { resolveTrainingConfig } from "../../../src/config/config.ts";
import { estimateTraining } from "../../../src/train/forecast/estimate.ts";
import { peakMemory } from "../../../src/train/memory.ts";
import { loadData } from "../../../src/train/setup.ts";

const overrides = (testLimit: number) =>
  Object.entries({
    "model.name": "lenet",
    "data.trainLimit": 32,
    "data.testLimit": testLimit,
    "train.batchSize": 16,
    threads: 1,
  }).map(([path, value]) => ({ path, value, origin: path }));

async function beyondMeasured(testLimit: number): Promise<{ readonly bytes: number; readonly parameters: number }> {
  const config = resolveTrainingConfig(undefined, overrides(testLimit));
  const { memoryBytes, parameters } = await estimateTraining(config, await loadData(config));
  return { bytes: memoryBytes - peakMemory(), parameters };
}

describe("the forecast of a training's memory", () => {
  it("has room for three copies of weights and momentum, and grows with the batch of the evaluation", async () => {
    const [few, many] = [await beyondMeasured(4), await beyondMeasured(256)];
    expect(few.bytes).toBeGreaterThan(3 * 2 * 4 * few.parameters);
    // Each sample holds its 28 x 28 floats at least.
    expect(many.bytes - few.bytes).toBeGreaterThan(252 * 28 * 28 * 4);
  });
});
