import { describe, expect, it } from "vitest";
import { withChanges } from "../../../src/config/changes.ts";
import { remedyForRun } from "../../../src/diagnose/remedy/for-run.ts";
import { presetNames } from "../../../src/qconfig/presets.ts";
import type { Remedy } from "../../../src/runs/finding.ts";
import { tinyConfig } from "../../support/training/tiny-run.ts";

const run = (quantization: object, train: object = {}) => tinyConfig({ quantization, train });
const forRun = (changes: Remedy["changes"], config: ReturnType<typeof run>, layers: readonly string[] = []) =>
  remedyForRun({ layers, remedy: { title: "fix", changes } }, config);
const learned = { "quantization.preset": "lsq", "quantization.reduceRange": false };

describe("the remedy for a run", () => {
  it("brings the placement and the bits at the ends of another preset", () => {
    const config = run({ preset: "thread", weightBits: 4, activationBits: 4 });
    const remedy = forRun(learned, config);
    const own = run({ preset: "lsq", weightBits: 4, activationBits: 4 });
    expect(withChanges(config, remedy?.changes ?? {})).toEqual(own);
    expect(remedy?.changes).toMatchObject({ "quantization.preset": "lsq", "quantization.placement": null });
  });

  it("makes the run that has the preset from the start, from every preset to every other one", () => {
    for (const from of presetNames()) {
      for (const to of presetNames()) {
        const bits = { weightBits: 4, activationBits: 3 };
        const [config, wanted] = [run({ preset: from, ...bits }), run({ preset: to, ...bits })];
        const remedy = forRun({ "quantization.preset": to }, config);
        if (from === to) expect(remedy).toBeNull();
        else expect(withChanges(config, remedy?.changes ?? {}), `${from} to ${to}`).toEqual(wanted);
      }
    }
  });

  it("names only the keys that become another value", () => {
    const config = run({ preset: "lsq", weightBits: 4, activationBits: 4 });
    expect(forRun({ "quantization.preset": "lsq+", "quantization.reduceRange": false }, config)?.changes).toEqual({
      "quantization.preset": "lsq+",
    });
    expect(forRun({ "train.schedule.name": "constant", seed: 0 }, config)?.changes).toEqual({
      "train.schedule.name": "constant",
    });
  });

  it("is none where the run has it already, also a key that is not there", () => {
    const config = run({ preset: "lsq", weightBits: 4, activationBits: 4 }, { epochs: 3 });
    expect(forRun(learned, config)).toBeNull();
    expect(
      forRun({ "quantization.overrides": null, "train.distillation": null, "train.epochs": 3 }, config),
    ).toBeNull();
  });

  it("is none where the preset does not have the run's bits", () => {
    const config = run({ preset: "lsq", weightBits: 8, activationBits: 12 });
    expect(forRun({ "quantization.preset": "n2uq" }, config)).toBeNull();
    expect(forRun({ "quantization.preset": "n2uq" }, run({ preset: "lsq" }))).not.toBeNull();
  });

  it("takes away the overrides that keep the fault, and names them", () => {
    const observed = { weight: { quantizer: "uniform", observer: { observer: "minMax" } } };
    const bits = { layer: "conv1", bits: 8 };
    const config = run({ preset: "lsq", overrides: [bits, { layer: "layer1.**", ...observed }] });
    expect(forRun(learned, config, ["layer1.0.conv1"])).toEqual({
      title: "fix, without the override of layer1.**",
      changes: { "quantization.overrides": null },
    });
    expect(forRun(learned, config, ["conv1"])).toBeNull();
    expect(forRun({ "quantization.firstLayerBits": 6 }, config, ["conv1"])?.changes).toEqual({
      "quantization.firstLayerBits": 6,
      "quantization.overrides": null,
    });
    const float = run({ preset: "lsq", overrides: [{ operator: "Conv", activation: { reduceRange: true } }] });
    expect(forRun({ "quantization.reduceRange": false }, float, ["conv1"])?.changes).toEqual({
      "quantization.overrides": null,
    });
  });

  it("moves the milestones with the length", () => {
    const config = run({ preset: "lsq" }, { epochs: 4, schedule: { name: "step" } });
    const remedy = forRun({ "train.epochs": 8 }, config);
    expect(withChanges(config, remedy?.changes ?? {}).train.schedule.milestones).toEqual([4, 6]);
  });

  it("stays as it is where the settings are not known", () => {
    const remedy = { title: "fix", changes: learned };
    expect(remedyForRun({ layers: [], remedy }, undefined)).toBe(remedy);
  });
});
