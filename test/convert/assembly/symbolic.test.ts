/** Sums of integers times factors, as the conversion carries them: linear operations change factors and offsets alone. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Affine, alongAxis, channelsOf, isClipped, scaledAffine } from "../../../src/convert/assembly/symbolic.ts";

function affine(gains: readonly number[], offset: readonly number[]): Affine {
  return {
    kind: "affine",
    name: "sum",
    shape: [1, gains.length],
    axis: 1,
    terms: [
      { tensor: 0, inputScale: 0.5, gains: Float64Array.from(gains) },
      { tensor: 1, inputScale: 2, gains: Float64Array.from(gains, (gain) => -gain) },
    ],
    offset: Float64Array.from(offset),
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  };
}

/** The value in channel k for these integers of the two terms. */
function realValue({ terms, offset }: Affine, k: number, integers: readonly number[]): number {
  return terms.reduce(
    (sum, { inputScale, gains }, index) => sum + (integers[index] ?? 0) * inputScale * (gains[k] ?? 0),
    offset[k] ?? 0,
  );
}

describe("a scaled sum", () => {
  it("has its factors and offsets multiplied, and the new offset added", () => {
    const result = scaledAffine(affine([1, 3], [10, 20]), { axis: 1, gain: [2, -1], offset: [1, 0.5] }, "norm");
    expect(result.name).toBe("norm");
    expect(result.terms.map(({ gains }) => [...gains])).toEqual([
      [2, -3],
      [-2, 3],
    ]);
    expect([...result.offset]).toEqual([21, -19.5]);
    expect(result.terms.map(({ tensor, inputScale }) => [tensor, inputScale])).toEqual([
      [0, 0.5],
      [1, 2],
    ]);
  });

  it("is the value, scaled: exactly, for small integers", () => {
    const integer = fc.integer({ min: -99, max: 99 });
    fc.assert(
      fc.property(
        fc.tuple(integer, integer, integer, integer, integer, integer),
        ([gain, offset, factor, add, a, b]) => {
          const sum = affine([1, gain], [0, offset]);
          const result = scaledAffine(sum, { axis: 1, gain: [1, factor], offset: [0, add] }, "norm");
          expect(realValue(result, 1, [a, b])).toBe(realValue(sum, 1, [a, b]) * factor + add);
          expect(realValue(result, 0, [a, b])).toBe(realValue(sum, 0, [a, b]));
        },
      ),
    );
  });

  it("has its channels along another axis where all are the same", () => {
    const sum = { ...affine([2, 2], [1, 1]), shape: [1, 2, 3] };
    expect(alongAxis(sum, 1)).toBe(sum);
    const turned = alongAxis(sum, 2);
    expect(turned).toMatchObject({ axis: 2, offset: Float64Array.of(1, 1, 1) });
    expect(turned?.terms.map(({ gains }) => [...gains])).toEqual([
      [2, 2, 2],
      [-2, -2, -2],
    ]);
    expect(alongAxis({ ...affine([2, 3], [1, 1]), shape: [1, 2, 3] }, 2)).toBeUndefined();
    expect(alongAxis({ ...affine([2, 2], [1, 0]), shape: [1, 2, 3] }, 2)).toBeUndefined();
  });

  it("is clipped where either limit is finite, and has one channel where there is no axis for them", () => {
    expect(isClipped(affine([1], [0]))).toBe(false);
    expect(isClipped({ ...affine([1], [0]), low: 0 })).toBe(true);
    expect(isClipped({ ...affine([1], [0]), high: 6 })).toBe(true);
    expect([channelsOf([1, 3, 4, 4]), channelsOf([5]), channelsOf([])]).toEqual([3, 1, 1]);
  });
});
