/** The integers of trained quantizers: codes worked out by hand, and grids that have none refused. */
import { describe, expect, it } from "vitest";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { activationForm, integerWeight } from "../../src/convert/grid.ts";
import { UnsupportedError } from "../../src/errors.ts";
import { float32Scalar, float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import type { QuantizationConfig } from "../../src/qconfig/config.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { seededParameters } from "../support/random.ts";

/** The sites of a fully connected layer of two outputs and four inputs, and the values of all parameters. */
function sitesOf(config: QuantizationConfig, weights: readonly number[], parameters: Readonly<Record<string, Tensor>>) {
  const builder = new NetworkBuilder("layer", seededParameters(1));
  const network = builder.finish(builder.linear("fc", builder.input("data", [4]), 2));
  const { sites, parameters: all } = quantize(network, config);
  const [activation, weight] = ["activation", "weight"].map((kind) => sites.find((site) => site.kind === kind));
  if (activation === undefined || weight === undefined) throw new Error("the layer has quantizers");
  const values = new Map(all.map(({ name, value }) => [name, parameters[name] ?? value]));
  return { activation, weight, values, tensor: float32Tensor([2, 4], weights) };
}

const lsq: QuantizationConfig = {
  ...presetNamed("lsq", { weightBits: 4, activationBits: 4 }),
  firstLayer: "same",
  lastLayer: "same",
};
const scales = {
  "fc.weight.quantizer.scale": float32Tensor([2], [0.5, 2]),
  "fc.input.quantizer.scale": float32Scalar(0.25),
};
const weights = [0.2, 0.3, -1.3, 9, 3, -1, 40, -99];

describe("integer weights", () => {
  it("are the nearest codes, halves to even, within the range, by channel", () => {
    const { weight, tensor, values } = sitesOf(lsq, weights, scales);
    const made = integerWeight(weight, tensor, values);
    // 0.4, 0.6, −2.6, 18 and 1.5, −0.5, 20, −49.5.
    expect([...made.codes].map((code) => code + 0)).toEqual([0, 1, -3, 7, 2, 0, 7, -8]);
    expect([...made.scales]).toEqual([0.5, 2]);
    expect([made.low, made.high, made.levels.length]).toEqual([-8, 7, 16]);
    expect(made.name).toBe("fc.weight");
    expect(made.shape).toEqual([2, 4]);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e-45])("have no scale of %d", (scale) => {
    const broken = { ...scales, "fc.weight.quantizer.scale": float32Tensor([2], [0.5, scale]) };
    const { weight, tensor, values } = sitesOf(lsq, weights, broken);
    expect(() => integerWeight(weight, tensor, values)).toThrow(UnsupportedError);
    expect(() => integerWeight(weight, tensor, values)).toThrow(/its scale 1 is/);
  });
});

describe("the form of activations", () => {
  it("is the quantizer's range and scale", () => {
    const { activation, values } = sitesOf(lsq, weights, scales);
    const { quantMin, quantMax } = activation.spec;
    expect(activationForm(activation, values)).toEqual({
      kind: "codes",
      low: quantMin,
      high: quantMax,
      scale: 0.25,
      zeroPoint: 0,
    });
  });

  it("has one scale", () => {
    const { weight, values } = sitesOf(lsq, weights, scales);
    expect(() => activationForm(weight, values)).toThrow(/it has a scale for each channel/);
  });
});
