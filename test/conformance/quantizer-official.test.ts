/**
 * Quantizers against the arithmetic of their papers and official repositories: vectors/quantizer-official.json, written by
 * quantizer-official.py with torch's autograd.
 *
 * Values agree to one float32 step of the scale's products (tolerance below) and, element by element, in their codes
 * wherever the input is not within rounding of a threshold; gradients agree to the order of summation.
 */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { float32Data, float32Tensor } from "../../src/ir/tensor.ts";
import { histogramCalibrator } from "../../src/observers/histogram.ts";
import type { QuantizerSpec } from "../../src/quantizers/definition.ts";
import { quantizerNamed } from "../../src/quantizers/index.ts";
import { toCodes } from "../../src/quantizers/integers.ts";
import { apotMagnitudes } from "../../src/quantizers/methods/apot.ts";
import { fromCodes, loadQuantizer, specFor } from "../support/training/quantizer.ts";

interface Case {
  readonly name: string;
  readonly spec: QuantizerSpec;
  readonly shape: readonly number[];
  readonly x: readonly number[];
  readonly dy: readonly number[];
  readonly y: readonly number[];
  readonly dx: readonly number[];
  readonly parameters: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>
  >;
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

const file: {
  readonly torch: string;
  readonly apotLevels: Readonly<Record<string, readonly number[]>>;
  readonly cases: readonly Case[];
  readonly histograms: readonly {
    readonly bits: number;
    readonly batches: readonly (readonly number[])[];
    readonly min: number;
    readonly max: number;
    readonly total: number;
    readonly search_min: number;
    readonly search_max: number;
  }[];
} = JSON.parse(readFileSync(new URL("vectors/quantizer-official.json", import.meta.url), "utf8"));

/** Four float32 steps of the largest value: another order of a few operations. */
const tolerance = 2 ** -21;

/** Quantizers whose every product is with a power of two: nothing is rounded but the value itself. */
const powersOfTwo = new Set(["tqt", "minifloat"]);

/** @param magnitude What errors are relative to, where it is more than the largest expected number. */
function expectClose(
  actual: ArrayLike<number>,
  expected: readonly number[],
  relative: number,
  magnitude = 1e-30,
): void {
  const largest = Math.max(...expected.map(Math.abs), magnitude);
  expect(actual.length).toBe(expected.length);
  for (const [i, want] of expected.entries()) {
    const difference = Math.abs((actual[i] ?? Number.NaN) - Math.fround(want));
    expect(difference <= relative * largest, `element ${i} is ${actual[i]}, the original has ${want}`).toBe(true);
  }
}

describe("quantizers against their originals", () => {
  for (const { name, spec, shape, x, dy, y, dx, parameters, gradients } of file.cases) {
    it(name, async () => {
      const values = float32Tensor(shape, x);
      const kept = new Map(
        Object.entries(parameters).map(([key, tensor]) => [key, float32Tensor(tensor.shape, tensor.values)]),
      );
      expect(quantizerNamed(spec.quantizer).check?.(spec, values)).toBeUndefined();
      const result = await (await loadQuantizer(spec, shape))(values, kept, float32Tensor(shape, dy));
      expectClose(float32Data(result.y), y, powersOfTwo.has(spec.quantizer) ? 0 : tolerance);
      expectClose(float32Data(result.dx), dx, 2e-6);
      // Sums in another order, of terms that may cancel: relative to what is added up.
      const added = dy.reduce((sum, value) => sum + Math.abs(value), 0) / 10;
      for (const [key, expected] of Object.entries(gradients)) {
        expectClose(float32Data(result.gradients[key] ?? float32Tensor([], [Number.NaN])), expected, 1e-5, added);
      }
      if (spec.options.format === "e5m2") return;
      expectClose(float32Data(fromCodes(spec, toCodes(spec, values, kept))), y, tolerance);
    });
  }

  it("levels of additive powers of two", () => {
    for (const [bits, levels] of Object.entries(file.apotLevels)) {
      const own = apotMagnitudes(Number(bits));
      const largest = own.at(-1) ?? 1;
      expect(own.map((level) => Math.fround(level / largest))).toEqual(levels.map(Math.fround));
    }
  });

  for (const [i, { bits, batches, min, max, total, search_min, search_max }] of file.histograms.entries()) {
    it(`histogram over ${batches.length} batches (${i})`, () => {
      const spec = specFor("uniform", bits, false, { integerEdges: true, histogramLevels: 256 });
      const calibrator = histogramCalibrator(spec, 2 ** bits);
      for (const batch of batches) calibrator.observe(Float32Array.from(batch));
      expect([calibrator.observed.min, calibrator.observed.max]).toEqual([Math.fround(min), Math.fround(max)]);
      expect(calibrator.counts.reduce((sum, count) => sum + count, 0)).toBeCloseTo(total, 3);
      const range = calibrator.range();
      expect([range.min, range.max]).toEqual([Math.fround(search_min), Math.fround(search_max)]);
    });
  }
});
