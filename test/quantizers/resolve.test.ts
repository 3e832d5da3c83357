/** Contradictions are refused before anything runs, with the tensor's name and the fix; and the conventions of torch. */

import { describe, expect, it } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { presetNamed, presets } from "../../src/qconfig/presets.ts";
import { resolveQuantizer, type TensorQuantization } from "../../src/qconfig/tensor-quantization.ts";
import { uniformParameters } from "../../src/quantizers/arithmetic/uniform-parameters.ts";
import { quantizerNamed } from "../../src/quantizers/index.ts";

const base: TensorQuantization = { quantizer: "uniform", bits: 4, signed: true, granularity: "tensor", options: {} };
const facts = {
  name: "layer1.conv.weight",
  type: { dtype: "float32", shape: [8, 6, 3, 3] },
  nonNegative: false,
} as const;

function refusal(change: Partial<TensorQuantization>, nonNegative = false): string {
  try {
    resolveQuantizer({ ...base, ...change }, { ...facts, nonNegative });
  } catch (error) {
    if (error instanceof ConfigError) return error.describe();
    throw error;
  }
  throw new Error(`${JSON.stringify(change)} was accepted`);
}

describe("contradictions", () => {
  const cases: readonly (readonly [string, Partial<TensorQuantization>, RegExp, RegExp])[] = [
    ["unknown quantizer", { quantizer: "magic" }, /no quantizer "magic"/, /uniform, lsq/],
    ["unsigned with a negative range", { signed: false, quantMin: -4, quantMax: 3 }, /cannot start at -4/, /signed/],
    ["an axis that the tensor lacks", { granularity: "channel", channelAxis: 4 }, /no axis 4/, /channelAxis/],
    ["reduce_range leaving one level", { bits: 1, signed: false, reduceRange: true }, /0\.\.0/, /reduceRange off/],
    ["a group that does not divide", { granularity: "group", groupSize: 7 }, /groups of 7/, /groupSize/],
    [
      "APoT bits not divisible by k",
      { quantizer: "apotTorch", signed: false, options: { k: 3 } },
      /not divisible by k = 3/,
      /divisor of 4/,
    ],
    [
      "APoT with a sign and k",
      { quantizer: "apotTorch", options: { k: 2 } },
      /3 bits besides the sign/,
      /divisor of 3/,
    ],
    [
      "too many powers",
      { quantizer: "apotTorch", bits: 5, signed: false, options: { k: 5 } },
      /more powers/,
      /smaller/,
    ],
    ["APoT of one signed bit", { quantizer: "apot", bits: 1 }, /besides the sign/, /2 bits/],
    ["APoT with limits", { quantizer: "apot", quantMin: -3, quantMax: 3 }, /follow from its 4 bits/, /reduceRange out/],
    ["binary of four bits", { quantizer: "binary" }, /1 bit, not 4/, /bits to 1/],
    ["binary without a sign", { quantizer: "binary", bits: 1, signed: false }, /no sign/, /signed to true/],
    ["a binary gradient", { quantizer: "binary", bits: 1, options: { gradient: "swish" } }, /"swish"/, /approxSign/],
    ["ternary of four bits", { quantizer: "ternary" }, /2 bits, not 4/, /bits to 2/],
    ["ternary without a sign", { quantizer: "ternary", bits: 2, signed: false }, /no sign/, /signed to true/],
    [
      "a format of other bits",
      { quantizer: "minifloat", options: { format: "e4m3" } },
      /"e4m3" is no format of 4/,
      /e2m1/,
    ],
    ["a width without a format", { quantizer: "minifloat", bits: 5 }, /no float format of 5/, /8 bits/],
    [
      "FP8 rounding away",
      { quantizer: "minifloat", bits: 8, options: { rounding: "away" } },
      /to even only/,
      /rounding out/,
    ],
    ["N2UQ with a sign", { quantizer: "n2uq", options: { form: "activations" } }, /start at 0/, /float/],
    ["N2UQ of nine bits", { quantizer: "n2uq", bits: 9, signed: false }, /at most 8 bits/, /lsq/],
    ["N2UQ per channel", { quantizer: "n2uq", signed: false, granularity: "channel" }, /whole tensor/, /granularity/],
    [
      "DoReFa weights without a sign",
      { quantizer: "dorefa", signed: false, options: { form: "weights" } },
      /have a sign/,
      /signed/,
    ],
    ["PACT of one signed bit", { quantizer: "pact", bits: 1 }, /no code above 0/, /2 bits/],
    ["TQT with odd limits", { quantizer: "tqt", quantMin: -4, quantMax: 4 }, /power of two/, /quantMax out/],
    [
      "an unknown convention",
      { options: { convention: "torch" } },
      /convention of .* is "torch"/,
      /"classic", "fused"/,
    ],
    [
      "an option that nothing reads",
      { quantizer: "lsq", options: { gradientscale: "none" } },
      /no option "gradientscale"/,
      /gradientScale/,
    ],
    [
      "another quantizer's option",
      { quantizer: "dorefa", options: { normalize: true } },
      /no option "normalize"/,
      /form/,
    ],
    [
      "a word for a number",
      { quantizer: "ewgs", options: { delta: "small" } },
      /delta of .* is "small"/,
      /a number from 0/,
    ],
    [
      "an initializer's option alone",
      { quantizer: "pact", options: { percentile: 99 } },
      /"percentile"/,
      /initializer/,
    ],
    [
      "an initializer's impossible option",
      { quantizer: "pact", options: { initializer: "percentile", percentile: 110 } },
      /percentile of .* is 110/,
      /up to 100/,
    ],
    [
      "an observer's unknown option",
      { observer: { observer: "minMax", options: { averagingConstant: 0.1 } } },
      /observer minMax has no option/,
      /Leave averagingConstant out/,
    ],
    ["a fused bit", { bits: 1, options: { convention: "fused", scheme: "symmetric" } }, /divides by 0/, /three codes/],
    ["a zero point outside", { options: { zeroPoint: 9 } }, /lies outside the codes/, /zeroPoint/],
    [
      "an unknown initializer",
      { quantizer: "lsq", options: { initializer: "median" } },
      /no initializer "median"/,
      /mse/,
    ],
    [
      "an initializer without a range",
      { quantizer: "binary", bits: 1, options: { initializer: "mse" } },
      /no range/,
      /out/,
    ],
    ["an unknown observer", { observer: { observer: "psychic", options: {} } }, /no observer "psychic"/, /minMax/],
    [
      "an observer of a trained scale",
      { quantizer: "lsq", observer: { observer: "minMax", options: {} } },
      /trains/,
      /observer out/,
    ],
  ];
  for (const [name, change, message, remedy] of cases) {
    it(name, () => {
      const text = refusal(change);
      expect(text).toMatch(message);
      expect(text).toMatch(remedy);
    });
  }

  it("groups and channels of activations that depend on the batch", () => {
    const activation = { ...facts, name: "conv1.input", kind: "activation", nonNegative: true } as const;
    const refuse = (change: Partial<TensorQuantization>) => () => resolveQuantizer({ ...base, ...change }, activation);
    expect(refuse({ granularity: "channel" })).toThrow(/axis 0 of an activation/);
    expect(refuse({ granularity: "channel", channelAxis: 1 })).not.toThrow();
    expect(refuse({ quantizer: "lsq", granularity: "group", groupSize: 9 })).toThrow(/every batch size/);
    const blocks = { quantizer: "minifloat", granularity: "group", groupSize: 9, options: { scale: "mx" } } as const;
    expect(refuse(blocks)).not.toThrow();
  });

  it("name the tensor", () => {
    expect(refusal({ quantizer: "binary" })).toContain('tensor "layer1.conv.weight"');
  });
});

describe("conventions of torch", () => {
  it("an observer that is a calibrator becomes the initializer", () => {
    const observer = { observer: "histogram", options: { bins: 512 } };
    const spec = resolveQuantizer({ ...base, observer, options: { scheme: "affine" } }, facts);
    expect(spec.observer).toBeUndefined();
    expect(spec.options).toEqual({ scheme: "affine", bins: 512, initializer: "histogram" });
  });

  it("before 1.12 reduceRange halved the observer's eight bits and left the codes", () => {
    const asked = { ...base, signed: false, reduceRange: true, options: { convention: "pre-1.12" } };
    const spec = resolveQuantizer(asked, { ...facts, nonNegative: true });
    expect([spec.quantMin, spec.quantMax]).toEqual([0, 15]);
    const { scale, zeroPoint } = uniformParameters(spec, 0, 1);
    expect(scale).toBe(Math.fround(1 / 127));
    expect(zeroPoint).toBe(0);
    // So 15 of 127 steps of the observed range are representable: the thread's other cause.
    expect(15 * scale).toBeCloseTo(0.118, 3);
    expect(quantizerNamed("uniform").levels(spec)).toBe(16);
  });

  it("classic halves the codes themselves: 4 bits are 8 levels", () => {
    const spec = resolveQuantizer({ ...base, signed: false, reduceRange: true }, facts);
    expect(quantizerNamed("uniform").levels(spec)).toBe(8);
  });

  it("levels that the name of a width hides", () => {
    const levels = (change: Partial<TensorQuantization>) => {
      const spec = resolveQuantizer({ ...base, ...change }, facts);
      return quantizerNamed(spec.quantizer).levels(spec);
    };
    expect(levels({ quantizer: "apotTorch", options: { signedLevels: "torch", k: 2 } })).toBe(39);
    expect(levels({ quantizer: "apot" })).toBe(15);
    expect(levels({ quantizer: "powerOfTwo" })).toBe(15);
    expect(levels({ quantizer: "powerOfTwo", bits: 8 })).toBe(31);
    expect(levels({ quantizer: "ternary", bits: 2 })).toBe(3);
    expect(levels({ quantizer: "pact" })).toBe(15);
    expect(levels({ quantizer: "dorefa" })).toBe(16);
    expect(levels({ quantizer: "minifloat" })).toBe(15);
    expect(levels({ quantizer: "minifloat", bits: 8 })).toBe(253);
  });
});

describe("presets", () => {
  it("resolve for weights and for activations of a ReLU", () => {
    for (const name of Object.keys(presets)) {
      const config = presetNamed(name, { weightBits: 4, activationBits: 4 });
      for (const [quantization, nonNegative] of [
        [config.weight, false],
        [config.activation, true],
      ] as const) {
        if (quantization === null) continue;
        const spec = resolveQuantizer(quantization, { ...facts, nonNegative });
        expect(quantizerNamed(spec.quantizer).levels(spec), name).toBeGreaterThan(1);
      }
    }
    expect(Object.keys(presets)).toEqual([
      "thread",
      "minmax",
      "lsq",
      "lsq+",
      "pact",
      "dorefa",
      "tqt",
      "ewgs",
      "apot",
      "n2uq",
      "binary",
      "fp4",
    ]);
  });
});
