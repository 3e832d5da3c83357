/**
 * Gradients of quantizers by hand: where they are zero, where they pass, and those of trained parameters against central
 * differences of the straight-through surrogate. (The autograd of the originals is in test/conformance.)
 */

import { describe, expect, it } from "vitest";
import { float32Data, float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import type { QuantizerSpec } from "../../src/quantizers/definition.ts";
import { randomTensor, seeded } from "../support/random.ts";
import { loadQuantizer, parametersOf, specFor } from "../support/training/quantizer.ts";

type Numbers = Readonly<Record<string, number>>;

async function gradientAt(spec: QuantizerSpec, x: readonly number[], parameters: Numbers): Promise<number[]> {
  const run = await loadQuantizer(spec, [x.length]);
  return Array.from(float32Data((await run(float32Tensor([x.length], x), parametersOf(parameters))).dx));
}

describe("where gradients end", () => {
  const clipped: readonly (readonly [QuantizerSpec, Numbers])[] = [
    [specFor("uniform", 4, true), { scale: 0.25, zero_point: 0 }],
    [specFor("lsq", 4, true), { scale: 0.25 }],
    [specFor("lsq+", 4, true), { scale: 0.25, offset: 0.1 }],
    [specFor("learnable", 4, true), { scale: 0.25, zero_point: 0 }],
    [specFor("ewgs", 4, true), { scale: 0.25 }],
    [specFor("tqt", 4, true), { log2_threshold: 1 }],
    [specFor("pact", 4, true), { alpha: 1.75 }],
    [specFor("dorefa", 4, true, { form: "activations" }), {}],
    [specFor("apot", 4, true, { form: "activations" }), { alpha: 1.75 }],
    [specFor("apotTorch", 5, true), { alpha: 1.75 }],
    [specFor("powerOfTwo", 4, true), { alpha: 1.75 }],
    [specFor("minifloat", 4, true), { scale: 0.3 }],
  ];
  for (const [spec, parameters] of clipped) {
    it(`${spec.quantizer}: zero outside, one inside`, async () => {
      const delta = { ...spec, options: { ...spec.options, delta: 0 } };
      expect(await gradientAt(delta, [-9, -3, -0.4, 0, 0.3, 3, 9], parameters)).toEqual([0, 0, 1, 1, 1, 0, 0]);
    });
  }

  it("unsigned codes end at zero", async () => {
    for (const quantizer of ["lsq", "pact", "dorefa", "apot", "powerOfTwo"]) {
      const spec = specFor(quantizer, 4, false, { form: "activations" });
      const parameters: Numbers = quantizer === "lsq" ? { scale: 0.1 } : quantizer === "dorefa" ? {} : { alpha: 1 };
      expect(await gradientAt(spec, [-2, -0.5, 0.5, 1, 2], parameters), quantizer).toEqual([0, 0, 1, 1, 0]);
    }
  });

  it("passes everywhere where the source lets it", async () => {
    const x = [-9, -0.4, 0.1, 9];
    expect(await gradientAt(specFor("ternary", 2, true), x, {})).toEqual([1, 1, 1, 1]);
    expect(await gradientAt(specFor("minifloat", 4, true, { scale: "mx" }), x, {})).toEqual([1, 1, 1, 1]);
    expect(await gradientAt(specFor("apot", 4, true, { normalize: false }), x, { alpha: 1 })).toEqual([1, 1, 1, 1]);
    const binary = (gradient: string) => specFor("binary", 1, true, { scale: "none", gradient });
    expect(await gradientAt(binary("ste"), x, {})).toEqual([1, 1, 1, 1]);
    expect(await gradientAt(binary("steSign"), x, {})).toEqual([0, 1, 1, 0]);
    const slopes = await gradientAt(binary("approxSign"), x, {});
    expect(slopes.map((slope) => Math.round(slope * 1e4) / 1e4)).toEqual([0, 1.2, 1.8, 0]);
  });

  it("EWGS pulls harder on values that were rounded against their gradient", async () => {
    const spec = specFor("ewgs", 2, false, { delta: 0.3 });
    const [below, above] = await gradientAt(spec, [0.9, 1.1], { scale: 1 });
    expect(below).toBeCloseTo(1 + (0.3 * -0.1) / 3, 6);
    expect(above).toBeCloseTo(1 + (0.3 * 0.1) / 3, 6);
  });
});

describe("gradients of trained parameters against differences of the surrogate", () => {
  /** The surrogate s·(clip(v) + residual): what rounding added is held while the parameter moves. */
  function surrogate(spec: QuantizerSpec, x: Float32Array, step: (parameter: number) => number, at: number) {
    const base = step(at);
    const clip = (v: number) => Math.min(Math.max(v, spec.quantMin), spec.quantMax);
    const residual = Array.from(x, (value) => {
      const v = clip(value / base);
      return Math.round(v) - v;
    });
    return (parameter: number): number[] =>
      Array.from(x, (value, i) => step(parameter) * (clip(value / step(parameter)) + (residual[i] ?? 0)));
  }

  function difference(f: (parameter: number) => number[], at: number, dy: Float32Array): number {
    const h = 1e-5;
    const [high, low] = [f(at + h), f(at - h)];
    return high.reduce((sum, value, i) => sum + ((value - (low[i] ?? 0)) / (2 * h)) * (dy[i] ?? 0), 0);
  }

  const shape = [50];
  const x: Tensor = randomTensor(seeded(5), shape, { low: -3, high: 3 });
  const dy: Tensor = randomTensor(seeded(6), shape, { low: -1, high: 1 });

  const cases: readonly {
    spec: QuantizerSpec;
    name: string;
    at: number;
    step: (parameter: number) => number;
    factor: number;
  }[] = [
    ...["lsq", "ewgs", "lsq+"].flatMap((quantizer) =>
      [true, false].map((signed) => {
        const spec = specFor(quantizer, 3, signed, { offset: false });
        return {
          spec,
          name: "scale",
          at: 0.37,
          step: (s: number) => s,
          factor: 1 / Math.sqrt(50 * spec.quantMax),
        };
      }),
    ),
    { spec: specFor("lsq", 3, true, { gradientScale: "none" }), name: "scale", at: 0.37, step: (s) => s, factor: 1 },
  ];
  for (const { spec, name, at, step, factor } of cases) {
    it(`${spec.quantizer} ${spec.quantMin}..${spec.quantMax} ${JSON.stringify(spec.options)}`, async () => {
      const { gradients } = await (await loadQuantizer(spec, shape))(x, parametersOf({ [name]: at }), dy);
      const expected = difference(
        surrogate(spec, float32Data(x), step, Math.fround(at)),
        Math.fround(at),
        float32Data(dy),
      );
      expect(float32Data(gradients[name] ?? x)[0]).toBeCloseTo(expected * factor, 3);
    });
  }

  it("PACT adds its decay to the gradient of the threshold", async () => {
    const gradientOf = async (decay: number) => {
      const spec = specFor("pact", 4, false, { decay });
      const { gradients } = await (await loadQuantizer(spec, shape))(x, parametersOf({ alpha: 2 }), dy);
      return float32Data(gradients.alpha ?? x)[0] ?? Number.NaN;
    };
    expect((await gradientOf(0.25)) - (await gradientOf(0))).toBeCloseTo(0.5, 5);
  });

  it("powers of two: the threshold's gradient is the level's residual inside and the bound outside", async () => {
    const spec = specFor("powerOfTwo", 3, true);
    const values = float32Tensor([4], [0.3, -0.9, 5, -5]);
    const run = await loadQuantizer(spec, [4]);
    for (const [i, expected] of [0.25 - 0.3, -1 + 0.9, 1, -1].entries()) {
      const only = float32Tensor(
        [4],
        [0, 1, 2, 3].map((place) => (place === i ? 1 : 0)),
      );
      const { gradients } = await run(values, parametersOf({ alpha: 1 }), only);
      expect(float32Data(gradients.alpha ?? x)[0]).toBeCloseTo(expected, 5);
    }
  });
});
