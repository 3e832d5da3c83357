/** Settings without an effect, contradictions between flags, and test samples that were trained on. */
import { describe, expect, it } from "vitest";
import { notesOnReplaced } from "../../../src/cli/flag-overrides.ts";
import { trainOverrides } from "../../../src/cli/train-overrides.ts";
import { resolveTrainingConfig } from "../../../src/config/config.ts";
import { inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { presetNames } from "../../../src/qconfig/presets.ts";
import { notesOnOverlap } from "../../../src/train/inputs/overlap.ts";
import { notesOnSettings } from "../../../src/train/inputs/settings.ts";
import { startRun } from "../../../src/train/run.ts";
import { temporaryFolder, tinyConfig } from "../../support/training/tiny-run.ts";

const notesOf = (settings: object) =>
  notesOnSettings(resolveTrainingConfig({ name: "test", text: JSON.stringify({ train: { epochs: 3 }, ...settings }) }));

describe("settings without an effect", () => {
  it.each([
    ["quantizeWeightsFromEpoch", 3],
    ["quantizeActivationsFromEpoch", 4],
    ["freezeObserversAfterEpoch", 3],
    ["freezeBatchNormAfterEpoch", 9],
    ["scaleWarmupEpochs", 4],
    ["freezing", { fromEpoch: 3 }],
    ["freezing", { fromEpoch: 2, untilEpoch: 2 }],
    ["dampening", { fromEpoch: 5, strength: 1 }],
  ])("are noted: %s %j", (key, value) => {
    const notes = notesOf({ quantization: { preset: "minmax", [key]: value } });
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain(`quantization.${key}`);
  });

  it.each([
    ["quantizeWeightsFromEpoch", 2],
    ["freezeObserversAfterEpoch", 1],
    ["freezing", { fromEpoch: 2 }],
    ["dampening", { fromEpoch: 0, untilEpoch: 1, strength: 1 }],
    ["scaleWarmupEpochs", 3],
  ])("are not noted where they have one: %s %j", (key, value) => {
    expect(notesOf({ quantization: { preset: "minmax", [key]: value } })).toEqual([]);
  });

  it("are noted of a distillation and of a warm-up", () => {
    expect(notesOf({ train: { epochs: 2, distillation: { fromEpoch: 2 } } }).join()).toMatch(/train.distillation/);
    expect(notesOf({ train: { epochs: 2, schedule: { warmupEpochs: 3 } } }).join()).toMatch(/warmupEpochs/);
  });

  it.each(presetNames())("are noted of the preset %s where it has other bits than those asked for", (preset) => {
    for (const bits of [2, 3, 4]) {
      const notes = notesOf({ quantization: { preset, weightBits: bits, activationBits: bits } });
      const fixed = { fp4: [4, 4], binary: [1, bits] }[preset] ?? [bits, bits];
      expect(notes).toHaveLength(fixed.filter((own) => own !== bits).length);
    }
  });

  it("name the bits that a run really has", async () => {
    const config = tinyConfig({
      data: { trainLimit: 32, testLimit: 16 },
      model: { name: "mlp", width: 4 },
      train: { epochs: 1, batchSize: 16 },
      quantization: { preset: "binary", weightBits: 4, activationBits: 3 },
    });
    const { summary } = await startRun({ config, parent: await temporaryFolder() });
    expect(summary.quantization).toBe("binary W1A3");
  });

  it("are refused where two stages begin with one epoch", async () => {
    const stage = (fromEpoch: number, bits: number) => ({ fromEpoch, weightBits: bits, activationBits: bits });
    const config = tinyConfig({
      data: { trainLimit: 32, testLimit: 16 },
      model: { name: "mlp", width: 4 },
      train: { epochs: 2, batchSize: 16 },
      quantization: { preset: "lsq", stages: [stage(0, 8), stage(0, 6), stage(1, 4)] },
    });
    await expect(startRun({ config, parent: await temporaryFolder() })).rejects.toThrow(
      "two stages begin with epoch 0",
    );
  });
});

describe("flags that contradict each other", () => {
  it("are noted, where their values differ", () => {
    const notes = (flags: Parameters<typeof trainOverrides>[0]) => notesOnReplaced(trainOverrides(flags)).join();
    expect(notes({ set: ["train.epochs=7"], epochs: "3" })).toBe(
      "--set train.epochs=7 has no effect: --epochs 3 comes after it",
    );
    expect(notes({ set: ["train.epochs=3"], epochs: "3" })).toBe("");
    expect(notes({ set: ["quantization.preset=lsq"], preset: "float" })).toMatch(
      /quantization.preset=lsq has no effect/,
    );
    expect(notes({ set: ["data.name=fashion-mnist-part"], data: "./mine" })).toMatch(/has no effect/);
    expect(notes({ set: ["seed=1", "seed=2"] })).toBe("--set seed=1 has no effect: --set seed=2 comes after it");
    expect(notes({ model: "lenet", data: "./mine", set: ["data.size=8"], preset: "lsq", weightBits: "4" })).toBe("");
  });
});

describe("test samples that were trained on", () => {
  const part = (from: number, count: number) =>
    inMemoryDataset({
      name: "part",
      samples: Float32Array.from({ length: count * 3 }, (_, i) => from * 3 + i),
      sampleShape: [3],
      targets: Int32Array.from({ length: count }, (_, i) => (from + i) % 2),
      target: { kind: "classes", classes: ["a", "b"] },
    });

  it("are counted from a tenth on", async () => {
    const train = part(0, 100);
    const notes = async (from: number) => (await notesOnOverlap({ train, test: part(from, 50) })).join();
    expect(await notes(0)).toMatch(/all 50 test samples also lie in the training part/);
    expect(await notes(95)).toMatch(/5 of 50 test samples/);
    expect(await notes(96)).toBe("");
    expect(await notes(200)).toBe("");
  });
});
