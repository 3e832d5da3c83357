/** On the CPU codes are kept as bytes: the same numbers and gradients, to the last bit, as by rounding floats. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float32Data, float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import type { QuantizerSpec } from "../../src/quantizers/definition.ts";
import { genericTarget } from "../support/graphs/gradient-check.ts";
import { cpuTarget, loadQuantizer, parametersOf, specFor } from "../support/training/quantizer.ts";

type Numbers = Readonly<Record<string, number>>;

/** Values on ties, just beside them, far outside, and between. */
function valuesAround(scale: number, levels: number, nonNegative: boolean): number[] {
  const codes = [0, 1, 2, 3, levels / 2, levels - 2, levels - 1, levels, levels + 1, 3 * levels, 1e6, 1e30];
  const near = codes.flatMap((code) => [code, code + 0.5, code + 0.49999997, code + 0.50000006, code + 0.31]);
  const positive = near.map((code) => Math.fround(code * scale));
  return nonNegative ? positive : [...positive, ...positive.map((value) => -value)];
}

async function expectSame(spec: QuantizerSpec, parameters: Numbers, x: readonly number[]): Promise<void> {
  const shape = [x.length];
  const dy = float32Tensor(
    shape,
    x.map((_, i) => Math.sin(i + 1)),
  );
  const results = [];
  for (const target of [genericTarget, cpuTarget]) {
    const run = await loadQuantizer(spec, shape, target);
    const { y, dx } = await run(float32Tensor(shape, x), parametersOf(parameters), dy);
    results.push([numbers(y), numbers(dx)]);
  }
  expect(results[1]).toEqual(results[0]);
}

/** Without the sign of zeros, which no number that follows shows. */
function numbers(tensor: Tensor): number[] {
  return Array.from(float32Data(tensor), (value) => value + 0);
}

const scales = fc.double({ min: 1e-4, max: 10, noNaN: true }).map(Math.fround);

describe("codes as bytes", () => {
  it("of an affine range: any width, any zero point", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 8 }),
        fc.boolean(),
        fc.boolean(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        scales,
        async (bits, signed, narrow, place, scale) => {
          const whole = specFor("uniform", bits, signed, { scheme: "affine" });
          const spec = narrow && bits > 1 ? { ...whole, quantMin: whole.quantMin + 1 } : whole;
          const zeroPoint = Math.round(spec.quantMin + place * (spec.quantMax - spec.quantMin));
          await expectSame(spec, { scale, zero_point: zeroPoint }, valuesAround(scale, 2 ** bits, false));
        },
      ),
      { numRuns: 40, seed: 1 },
    );
  });

  it("of learned steps: any width, signed, unsigned and after a ReLU", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("lsq", "ewgs", "uniform"),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom("signed", "unsigned", "nonNegative"),
        scales,
        async (quantizer, bits, kind, scale) => {
          const nonNegative = kind === "nonNegative";
          const options = quantizer === "uniform" ? { scheme: "symmetric" } : {};
          const spec = specFor(quantizer, bits, kind === "signed", options, nonNegative ? { nonNegative } : {});
          await expectSame(
            spec,
            quantizer === "uniform" ? { scale, zero_point: 0 } : { scale },
            valuesAround(scale, 2 ** bits, nonNegative),
          );
        },
      ),
      { numRuns: 40, seed: 2 },
    );
  });
});
