/** Overrides of single layers: globs, the order in which they apply, and what is refused. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { showSites } from "../../src/compile/sites.ts";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import { quantizationOf } from "../../src/config/quantization.ts";
import { SubbyteError } from "../../src/errors.ts";
import { makeModel } from "../../src/models/index.ts";
import type { LayerOverride, QuantizationConfig } from "../../src/qconfig/config.ts";
import { matchesGlob } from "../../src/qconfig/glob.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";

const network = makeModel("resnet8", { sampleShape: [1, 8, 8], classes: 10, width: 4 }, randomStream(0, "weights"));
const bits = { weightBits: 3, activationBits: 3 };

function sites(overrides: readonly LayerOverride[], preset = "lsq", extra: Partial<QuantizationConfig> = {}) {
  const quantized = quantize(network, { ...presetNamed(preset, bits), ...extra, overrides });
  return new Map(quantized.sites.map((site) => [site.tensor, site.spec]));
}

function refusal(overrides: readonly LayerOverride[], preset = "lsq"): string {
  try {
    sites(overrides, preset);
  } catch (error) {
    if (error instanceof SubbyteError) return error.describe();
    throw error;
  }
  return "accepted";
}

describe("globs", () => {
  it.each([
    ["layer1.0.conv1", "layer1.0.conv1", true],
    ["layer1.*.conv1", "layer1.0.conv1", true],
    ["layer1.*", "layer1.0.conv1", false],
    ["layer1.**", "layer1.0.conv1", true],
    ["**.conv?", "layer1.0.conv2", true],
    ["**", "/net/conv/Conv", true],
    ["/net/*/Conv", "/net/conv/Conv", true],
    ["/net/*", "/net/conv/Conv", false],
    ["layer1.0", "layer1x0", false],
    ["conv(1)", "conv(1)", true],
    ["layer{3,4}.**", "layer3.0.conv1", true],
    ["layer{3,4}.**", "layer4.1.conv2", true],
    ["layer{3,4}.**", "layer2.0.conv1", false],
    ["layer{3,4}", "layer3,4", false],
    ["{stem,**.conv?}", "layer1.0.conv2", true],
    ["{stem,**.conv?}", "stem", true],
    ["layer{3}", "layer{3}", true],
    ["layer{3}", "layer3", false],
    ["split{a,b}", "split{a,b}", true],
  ])("%s and %s: %s", (glob, name, expected) => {
    expect(matchesGlob(glob, name)).toBe(expected);
  });
});

describe("overrides", () => {
  it("give layers other bits, for weights, activations or both", () => {
    const changed = sites([
      { layer: "layer1.0.conv1", bits: 8 },
      { layer: "layer2.0.conv1", weight: { bits: 2 } },
      { layer: "layer2.0.conv2", bits: 6, activation: { bits: 5 } },
    ]);
    expect(changed.get("layer1.0.conv1.weight")).toMatchObject({ quantMin: -128, quantMax: 127, bits: 8 });
    expect(changed.get("layer1.0.conv1.input")).toMatchObject({ quantMin: 0, quantMax: 255 });
    expect(changed.get("layer2.0.conv1.weight")).toMatchObject({ quantMin: -2, quantMax: 1 });
    expect(changed.get("layer2.0.conv1.input")).toMatchObject({ quantMax: 7 });
    expect(changed.get("layer2.0.conv2.weight")).toMatchObject({ quantMax: 31 });
    expect(changed.get("layer2.0.conv2.input")).toMatchObject({ quantMax: 31 });
  });

  it("go over earlier ones field by field, and over the first and last layer's rule", () => {
    const changed = sites([
      { operator: "Conv", bits: 5, weight: { options: { gradientScale: "none" } } },
      { layer: "conv1", weight: { bits: 6 } },
    ]);
    expect(changed.get("conv1.weight")).toMatchObject({ bits: 6, options: { gradientScale: "none" } });
    expect(changed.get("conv1.input")).toMatchObject({ bits: 5 });
    expect(changed.get("fc.weight")).toMatchObject({ bits: 8 });
  });

  it("leave layers in float, and quantize what a rule left in float", () => {
    const changed = sites(
      [
        { layer: "**.downsample.0", weight: "float", activation: "float" },
        { layer: "fc", bits: 4 },
      ],
      "lsq",
      { lastLayer: "float" },
    );
    expect([...changed.keys()].filter((name) => name.includes("downsample"))).toEqual([]);
    expect(changed.get("fc.weight")).toMatchObject({ bits: 4, quantMax: 7 });
    expect(changed.get("fc.input")).toMatchObject({ bits: 4, quantMax: 15 });
  });

  it("change the quantizer, which then has options and parameters of its own", () => {
    const changed = sites([{ layer: "layer1.0.conv2", activation: { quantizer: "lsq" } }], "minmax");
    expect(changed.get("layer1.0.conv2.input")).toEqual({
      quantizer: "lsq",
      bits: 3,
      quantMin: 0,
      quantMax: 7,
      nonNegative: true,
      options: {},
    });
    expect(changed.get("layer1.0.conv1.input")?.quantizer).toBe("uniform");
  });

  it("reach modules and the data with the placement everyModule, and the skip branch", () => {
    const changed = sites(
      [
        { operator: "BatchNormalization", activation: "float" },
        { layer: "images", activation: { bits: 8, reduceRange: false } },
      ],
      "thread",
    );
    expect([...changed.keys()].filter((name) => name.includes("bn"))).toEqual([]);
    expect(changed.get("images")).toMatchObject({ quantMin: 0, quantMax: 255 });
    expect(changed.get("conv1.output")).toMatchObject({ quantMax: 3 });
    const skip = sites([{ operator: "Add", activation: { bits: 5 } }], "lsq", { residualBits: 8 });
    expect(skip.get("layer1.0.add.skip")).toMatchObject({ bits: 5 });
  });

  it("come from a training configuration", () => {
    const text = "quantization: { weightBits: 3, overrides: [{ layer: fc, weight: float, activation: { bits: 6 } }] }";
    const { quantization } = resolveTrainingConfig({ name: "t.yaml", text });
    if (quantization === null) throw new Error("it is quantized");
    const shown = showSites(quantize(network, quantizationOf(quantization)));
    expect(shown).toContain("fc.input.quantizer float32[1,16] lsq 0..63 per tensor");
    expect(shown).not.toContain("fc.weight");
  });

  it.each<readonly [string, readonly LayerOverride[], string]>([
    ["no such layer", [{ layer: "layer1.0.conv3", bits: 8 }], "Did you mean layer1.0.conv1?"],
    ["a glob without a match", [{ layer: "stage*", bits: 8 }], "no layer is called stage*"],
    ["no such operator", [{ operator: "conv", bits: 8 }], "Did you mean Conv?"],
    ["a module that is no layer here", [{ operator: "Relu", bits: 8 }], "There are: Conv, Gemm."],
    ["no target", [{ bits: 8 }], "override 1: it names neither"],
    ["no change", [{ layer: "fc" }], "it changes nothing"],
    [
      "a mistake in the second",
      [
        { layer: "fc", bits: 8 },
        { layer: "fd", bits: 8 },
      ],
      "override 2",
    ],
    ["bits out of range", [{ layer: "fc", bits: 17 }], 'tensor "fc.input": 17 bits'],
  ])("are refused: %s", (_name, overrides, words) => {
    expect(refusal(overrides)).toContain(words);
  });

  it.each([
    ["quantization: { overrides: [{ layer: fc, bitz: 3 }] }", "Did you mean quantization.overrides.0.bits?"],
    [
      "quantization: { overrides: [{ layer: fc, weight: { sined: true } }] }",
      "unknown key quantization.overrides.0.weight.sined",
    ],
    ["quantization: { overrides: [{ layer: fc, weight: 3 }] }", "float"],
    ["quantization: { overrides: [{ bits: 3 }] }", "expected a layer"],
  ])("are checked in the file: %s", (text, words) => {
    expect(() => resolveTrainingConfig({ name: "t.yaml", text })).toThrow();
    try {
      resolveTrainingConfig({ name: "t.yaml", text });
    } catch (error) {
      if (!(error instanceof SubbyteError)) throw error;
      expect(error.describe()).toContain(words);
    }
  });
});
