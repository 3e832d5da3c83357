/**
 * Laws that every quantizer keeps, by random tensors and parameters through ONNX Runtime: the values are those that the
 * codes stand for (the scalar form agrees with the graph to the bit), no more of them than `levels` says, in order, and
 * unchanged when quantized again.
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float32Data, float32Tensor } from "../../src/ir/tensor.ts";
import { decode } from "../../src/quantizers/arithmetic/scalar.ts";
import type { QuantizerSpec } from "../../src/quantizers/definition.ts";
import { quantizerNamed, quantizers } from "../../src/quantizers/index.ts";
import { gridOf, toCodes } from "../../src/quantizers/integers.ts";
import { cpuTarget, fromCodes, loadQuantizer, specFor } from "../support/training/quantizer.ts";
import { describeSpec, laws, parametersFor, shape, size, values } from "./law-specs.ts";

/** The indices of the elements that share parameters. */
function groupsOf(spec: QuantizerSpec): number[][] {
  const key = (i: number) => {
    if (spec.groupSize !== undefined) return Math.floor(i / spec.groupSize);
    if (spec.channelAxis === undefined) return 0;
    return spec.channelAxis === 0 ? Math.floor(i / 15) : i % 15;
  };
  const groups = new Map<number, number[]>();
  for (let i = 0; i < size; i++) groups.set(key(i), [...(groups.get(key(i)) ?? []), i]);
  return [...groups.values()];
}

const plain = (value: number) => value + 0;

describe("laws of quantizers", () => {
  it("cover every quantizer", () => {
    expect(new Set(laws.map(({ spec }) => spec.quantizer))).toEqual(new Set(quantizers.keys()));
  });

  for (const { spec, summed = false, notIdempotent, withoutIntegers = false } of laws) {
    it(describeSpec(spec), async () => {
      const definition = quantizerNamed(spec.quantizer);
      expect(definition.check?.(spec, { dtype: "float32", shape })).toBeUndefined();
      const run = await loadQuantizer(spec, shape);
      const onCpu = await loadQuantizer(spec, shape, cpuTarget);
      const groups = groupsOf(spec);
      await fc.assert(
        fc.asyncProperty(
          values,
          fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 16 }),
          async (numbers, parts) => {
            const x = float32Tensor(shape, numbers);
            const parameters = parametersFor(spec, parts);
            const result = await run(x, parameters);
            const y = float32Data(result.y);
            const other = await onCpu(x, parameters);
            expect(Array.from(float32Data(other.y), plain)).toEqual(Array.from(y, plain));
            expect(Array.from(float32Data(other.dx), plain)).toEqual(Array.from(float32Data(result.dx), plain));
            for (const group of groups) {
              const order = group.toSorted((a, b) => (float32Data(x)[a] ?? 0) - (float32Data(x)[b] ?? 0));
              const ordered = order.map((i) => y[i] ?? Number.NaN);
              expect(ordered.every((value, i) => i === 0 || value >= (ordered[i - 1] ?? 0))).toBe(true);
              expect(new Set(ordered.map(plain)).size).toBeLessThanOrEqual(definition.levels(spec));
            }
            if (notIdempotent === undefined) {
              const again = float32Data((await run(float32Tensor(shape, y.slice()), parameters)).y);
              if (summed)
                expect(again.every((value, i) => Math.abs(value - (y[i] ?? 0)) <= 1e-5 * Math.abs(value))).toBe(true);
              else expect(Array.from(again, plain)).toEqual(Array.from(y, plain));
            }
            if (withoutIntegers) return;
            const coded = toCodes(spec, x, parameters);
            const decoded = float32Data(fromCodes(spec, coded));
            if (summed) {
              // A value within rounding of a threshold may fall to either side of it: one in a thousand here, if any.
              const apart = decoded.filter(
                (value, i) => Math.abs(value - (y[i] ?? 0)) > 1e-5 * Math.max(1, Math.abs(value)),
              );
              expect(apart.length).toBeLessThanOrEqual(1);
            } else {
              expect(Array.from(decoded, plain)).toEqual(Array.from(y, plain));
            }
            const allowed = new Set(definition.integers?.codes(spec));
            expect(coded.codes.every((code) => allowed.has(code))).toBe(true);
            const recoded = toCodes(spec, float32Tensor(shape, decoded), parameters);
            if (notIdempotent === undefined && !summed) expect(recoded.codes).toEqual(coded.codes);
          },
        ),
        { numRuns: 12 },
      );
    });
  }

  it("the grid of the parameters is that of the codes", () => {
    const spec = specFor("lsq+", 3, true, {}, { channelAxis: 0 });
    const parameters = parametersFor(spec, [0.1, 0.7, 0.4]);
    const x = float32Tensor(
      shape,
      Array.from({ length: size }, (_, i) => Math.sin(i)),
    );
    const grid = gridOf(spec, parameters);
    expect(grid).toEqual(toCodes(spec, x, parameters).grid);
    expect(grid?.units.length).toBe(4);
    expect(grid?.codes).toEqual([-4, -3, -2, -1, 0, 1, 2, 3]);
  });

  it("a number of levels is the number of codes, and their values differ", () => {
    for (const { spec, withoutIntegers = false } of laws) {
      if (withoutIntegers) continue;
      const definition = quantizerNamed(spec.quantizer);
      const codes = definition.integers?.codes(spec) ?? [];
      expect(codes.length, describeSpec(spec)).toBe(definition.levels(spec));
      const unit = { scale: Math.fround(0.3), zeroPoint: 0, offset: 0 };
      expect(codes.every((code, i) => i === 0 || decode(unit, code) > decode(unit, codes[i - 1] ?? 0))).toBe(true);
    }
  });
});
