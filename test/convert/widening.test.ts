/** Layers whose sums pass 2^24, cut by input channels: every weight once, and every part below. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { IntegerConv, IntegerGemm, TensorForm } from "../../src/convert/integer-network.ts";
import { floatBound, layerBounds } from "../../src/convert/ranges.ts";
import { layerParts } from "../../src/convert/widening.ts";
import { UnsupportedError } from "../../src/errors.ts";
import { weightOf } from "../support/convert/integer-operations.ts";

const wide = (high: number): TensorForm => ({ kind: "wide", low: 0, high, scale: 1, zeroPoint: 0 });

function gemm(features: number, codes: readonly number[]): IntegerGemm {
  const weight = weightOf([features, codes.length / features], codes);
  return { op: "IntegerGemm", name: "fc", input: 0, output: 1, weight };
}

describe("a layer in parts", () => {
  it("is whole where float32 holds its sums", () => {
    const layer = gemm(1, [7, 7]);
    expect(layerParts(layer, wide(2 ** 20))).toEqual([{ first: 0, count: 2, weight: layer.weight }]);
    // 2 · 7 · 2^20 is below 2^24; 3 · 7 · 2^20 is not.
    expect(layerParts(gemm(1, [7, 7, 7]), wide(2 ** 20)).map(({ first, count }) => [first, count])).toEqual([
      [0, 1],
      [1, 2],
    ]);
  });

  it("has the kernel of each channel in one part", () => {
    const codes = Array.from({ length: 2 * 2 * 3 }, (_, i) => i + 1);
    const conv: IntegerConv = {
      op: "IntegerConv",
      name: "conv",
      input: 0,
      output: 1,
      group: 1,
      weight: weightOf([2, 2, 1, 3], codes),
      kernel: [1, 3],
      strides: [1, 1],
      dilations: [1, 1],
      pads: [0, 0, 0, 0],
    };
    const parts = layerParts(conv, wide(2 ** 19));
    expect(parts.map(({ weight }) => [weight.shape, [...weight.codes]])).toEqual([
      [
        [2, 1, 1, 3],
        [1, 2, 3, 7, 8, 9],
      ],
      [
        [2, 1, 1, 3],
        [4, 5, 6, 10, 11, 12],
      ],
    ]);
    expect(() => layerParts({ ...conv, group: 2 }, wide(2 ** 19))).toThrow(UnsupportedError);
  });

  it("has every weight once, and parts below 2^24 or of one channel", () => {
    const rows = fc.integer({ min: 1, max: 3 });
    fc.assert(
      fc.property(
        rows,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 15, max: 24 }),
        fc.infiniteStream(fc.integer({ min: -7, max: 7 })),
        (features, channels, bits, stream) => {
          const codes = [...stream.take(features * channels)];
          const input = wide(2 ** bits);
          const parts = layerParts(gemm(features, codes), input);
          let next = 0;
          const joined = Array.from({ length: features }, (): number[] => []);
          for (const { first, count, weight } of parts) {
            expect(first).toBe(next);
            next += count;
            expect(weight.shape).toEqual([features, count]);
            for (const [k, row] of joined.entries()) row.push(...weight.codes.subarray(k * count, (k + 1) * count));
            const { low, high } = layerBounds(weight, input);
            const reach = Math.max(...high, ...low.map((each) => -each));
            expect(reach < floatBound || count === 1).toBe(true);
          }
          expect(next).toBe(channels);
          expect(joined.flat()).toEqual(codes);
        },
      ),
    );
  });
});
