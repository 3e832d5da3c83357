/** Terms of requantizations: sums of codes that float32 holds exactly, and biases that are fine enough. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Affine } from "../../src/convert/assembly/symbolic.ts";
import type { TensorForm } from "../../src/convert/integer-network.ts";
import { layerBounds } from "../../src/convert/ranges.ts";
import { biasedTerm, exactSum, floatOffsetSum } from "../../src/convert/scaling.ts";
import { UnsupportedError } from "../../src/errors.ts";
import { codesForm, weightOf } from "../support/convert/integer-operations.ts";

const f32 = Math.fround;

function affine(
  terms: readonly { readonly scale: number; readonly gains: readonly number[] }[],
  offset: readonly number[],
): Affine {
  return {
    kind: "affine",
    name: "sum",
    shape: [1, offset.length],
    axis: 1,
    terms: terms.map(({ scale, gains }, tensor) => ({ tensor, inputScale: scale, gains: Float64Array.from(gains) })),
    offset: Float64Array.from(offset),
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  };
}

describe("a sum with its offset in float32", () => {
  it("has the offset in units of the step, and one gain where all are equal", () => {
    const parts = floatOffsetSum(
      affine(
        [
          { scale: 0.5, gains: [3, 3] },
          { scale: 2, gains: [1, 4] },
        ],
        [1, -3],
      ),
      0.25,
    );
    expect(parts).toEqual({
      terms: [
        { input: 0, shift: 0, inputScale: 0.5, gains: Float32Array.of(3) },
        { input: 1, shift: 0, inputScale: 2, gains: Float32Array.of(1, 4) },
      ],
      offset: Float32Array.of(4, -12),
    });
    expect(floatOffsetSum(affine([{ scale: 1, gains: [1] }], [0]), 1)).not.toHaveProperty("offset");
  });

  it("is refused where a factor is not finite", () => {
    expect(() => floatOffsetSum(affine([{ scale: 1, gains: [1e30] }], [0]), 1e-30)).toThrow(UnsupportedError);
    expect(() => floatOffsetSum(affine([{ scale: 1, gains: [1] }], [Number.NaN]), 1)).toThrow(/offset/);
  });
});

describe("a sum of codes", () => {
  const scale = fc.double({ min: 2 ** -7, max: 1, noNaN: true }).map(f32);
  const code = fc.integer({ min: 0, max: 15 });
  const zeroPoint = fc.integer({ min: 0, max: 15 });

  it("has multipliers with which float32 rounds nothing", () => {
    fc.assert(
      fc.property(
        fc.tuple(scale, scale, scale),
        fc.tuple(zeroPoint, zeroPoint, zeroPoint),
        fc.tuple(code, code),
        ([a, b, out], [za, zb, zo], [qa, qb]) => {
          const parts = exactSum(
            affine(
              [
                { scale: a, gains: [1] },
                { scale: b, gains: [1] },
              ],
              [0],
            ),
            [codesForm(za, a), codesForm(zb, b)],
            codesForm(zo, out),
          );
          const [ma, mb] = parts.terms.map(({ multiplier }) => multiplier);
          // 4-bit codes and these scales always leave room.
          if (ma === undefined || mb === undefined) throw new Error("the multipliers were left as they are");
          const [ta, tb] = [(qa - za) * ma, (qb - zb) * mb];
          expect([f32(ta), f32(tb), f32(ta + tb)]).toEqual([ta, tb, ta + tb]);
          // In the other order of QLinearAdd, which works on stored codes, too.
          expect(f32(f32(qa * ma) + f32(qb * mb))).toBe(qa * ma + qb * mb);
          expect(parts).not.toHaveProperty("offset");
          // Both multipliers are rounded to one unit, half of which is the error.
          const unit = unitOf(ma, mb);
          expect(Math.abs(ma - f32(a / out))).toBeLessThanOrEqual(Math.max(unit / 2, unit - f32(a / out)));
          expect(Math.abs(mb - f32(b / out))).toBeLessThanOrEqual(Math.max(unit / 2, unit - f32(b / out)));
        },
      ),
    );
  });

  it("keeps its multipliers where the output's step is far too small", () => {
    const parts = exactSum(
      affine(
        [
          { scale: 1, gains: [1] },
          { scale: 1, gains: [1] },
        ],
        [0],
      ),
      [codesForm(0), codesForm(0)],
      codesForm(0, 2 ** -40),
    );
    expect(parts.terms.map(({ multiplier }) => multiplier)).toEqual([undefined, undefined]);
  });
});

/** The largest power of two of which both are multiples. */
function unitOf(a: number, b: number): number {
  let unit = 2 ** 20;
  while (!Number.isInteger(a / unit) || !Number.isInteger(b / unit)) unit /= 2;
  return unit;
}

describe("a layer's term with its bias", () => {
  const weight = weightOf([1, 2], [7, -3]);
  const input = codesForm(0);
  const layer = { weight, input, bounds: layerBounds(weight, input) };

  function term(gain: number, offset: number, output: TensorForm) {
    const sum = affine([{ scale: 0.5, gains: [gain] }], [offset]);
    const [source] = sum.terms;
    if (source === undefined) throw new Error("the sum has a term");
    return biasedTerm(sum, source, layer, output);
  }

  it("has the bias in units of the accumulator", () => {
    // One unit of the accumulator is 0.5 · 0.25 = 0.125, an eighth of a step: the shift makes it 2^−3 / 2^3 = 2^−6.
    const { term: made, constant } = term(0.25, 3, codesForm(0));
    expect(constant).toEqual([]);
    expect(made).toEqual({
      input: 0,
      shift: 3,
      inputScale: 0.5,
      gains: Float32Array.of(2 ** -5),
      bias: Int32Array.of(192),
    });
  });

  it("has no shift without a bias", () => {
    expect(term(0.25, 0, codesForm(0)).term).toEqual({
      input: 0,
      shift: 0,
      inputScale: 0.5,
      gains: Float32Array.of(0.25),
    });
  });

  it("makes a channel constant that cannot move the output", () => {
    expect(term(2 ** -20, 3, codesForm(0)).constant).toEqual([0]);
    // 200 steps above the highest code, whatever the accumulator.
    expect(term(0.25, 300, codesForm(0)).constant).toEqual([0]);
    expect(term(0.25, 3, codesForm(0)).constant).toEqual([]);
  });

  it("rounds the bias by half a unit of the shifted accumulator at most, and keeps the layer's own product", () => {
    const gain = fc.double({ min: 2 ** -6, max: 2, noNaN: true });
    fc.assert(
      fc.property(
        gain,
        fc.double({ min: -8, max: 8, noNaN: true }),
        fc.integer({ min: -45, max: 105 }),
        (g, offset, accumulator) => {
          const { term: made, constant } = term(g, offset, codesForm(0));
          fc.pre(constant.length === 0);
          const unit = made.inputScale * (made.gains[0] ?? Number.NaN);
          expect(unit * 2 ** made.shift).toBe(0.5 * f32(g));
          const value = (accumulator * 2 ** made.shift + (made.bias?.[0] ?? 0)) * unit;
          expect(Math.abs(value - (accumulator * 0.5 * f32(g) + offset))).toBeLessThanOrEqual(0.5001 * unit);
        },
      ),
    );
  });
});
