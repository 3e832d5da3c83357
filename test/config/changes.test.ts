import { describe, expect, it } from "vitest";
import { layChanges, settingAt, withChanges } from "../../src/config/changes.ts";
import type { Mapping } from "../../src/config/source.ts";
import { ConfigError } from "../../src/errors.ts";
import { tinyConfig } from "../support/training/tiny-run.ts";

describe("changes of a configuration", () => {
  it("set keys, and take those away that become null", () => {
    const root: Mapping = { train: { epochs: 3 }, quantization: { preset: "lsq", overrides: [] } };
    layChanges(root, { "train.epochs": 5, "quantization.overrides": null, "train.distillation.weight": 0.3 });
    expect(root).toEqual({ train: { epochs: 5, distillation: { weight: 0.3 } }, quantization: { preset: "lsq" } });
    layChanges(root, { quantization: null });
    expect(root.quantization).toBeNull();
  });

  it("resolve to the configuration that --set gives", () => {
    const config = tinyConfig({ quantization: { preset: "thread", overrides: [{ layer: "conv1", bits: 8 }] } });
    const changed = withChanges(config, { "quantization.overrides": null, "train.epochs": 7 });
    expect(changed).toEqual(tinyConfig({ quantization: { preset: "thread" }, train: { ...config.train, epochs: 7 } }));
    expect(() => withChanges(config, { "train.epochs": -1 })).toThrow(ConfigError);
    expect(() => withChanges(config, { "train.epoch": 1 })).toThrow(ConfigError);
  });

  it("are found again at their keys", () => {
    expect(settingAt({ a: { b: 3 } }, "a.b")).toBe(3);
    expect(settingAt({ a: { b: 3 } }, "a.b.c")).toBeUndefined();
    expect(settingAt({ a: null }, "a.b")).toBeUndefined();
  });
});
