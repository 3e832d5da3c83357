/** Integer multipliers and a shift in place of float factors: the nearest ones, with as many bits as fit. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fixedFactors } from "../../src/convert/fixed-point.ts";
import type { Requantize } from "../../src/convert/integer-network.ts";
import { codesForm } from "../support/convert/integer-operations.ts";

/** One term for each list of multipliers, at an output scale of 1. */
function requantize(gains: readonly (readonly number[])[], offset?: readonly number[]): Requantize {
  return {
    op: "Requantize",
    name: "x",
    output: 1,
    axis: 1,
    low: 0,
    high: 15,
    terms: gains.map((each) => ({ input: 0, shift: 0, inputScale: 1, gains: Float32Array.from(each) })),
    ...(offset === undefined ? {} : { offset: Float32Array.from(offset) }),
  };
}

describe("fixed-point factors", () => {
  it("use 30 bits for the largest multiplier", () => {
    const factors = fixedFactors(requantize([[0.5, -0.25], [0.125]], [1.5, -0.5]), codesForm(0), []);
    // 0.5 = 2^29 / 2^30.
    expect(factors.shift).toBe(30);
    expect(factors.multipliers.map((each) => [...each])).toEqual([[2 ** 29, -(2 ** 28)], [2 ** 27]]);
    expect([...(factors.offset ?? [])]).toEqual([3n * 2n ** 29n, -(2n ** 29n)]);
  });

  it("shift by 1 to 60 bits, whatever the multipliers", () => {
    expect(fixedFactors(requantize([[0]]), codesForm(0), [])).toEqual({ shift: 30, multipliers: [Int32Array.of(0)] });
    expect(fixedFactors(requantize([[2 ** -60]]), codesForm(0), [])).toEqual({
      shift: 60,
      multipliers: [Int32Array.of(1)],
    });
    expect(fixedFactors(requantize([[2 ** 28]]), codesForm(0), [])).toEqual({
      shift: 1,
      multipliers: [Int32Array.of(2 ** 29)],
    });
  });

  it("divide by the output's scale", () => {
    const { shift, multipliers } = fixedFactors(requantize([[1]]), codesForm(0, 2), []);
    expect(multipliers).toEqual([Int32Array.of(2 ** (shift - 1))]);
  });

  it("are the nearest integers", () => {
    const multiplier = fc.double({ min: 2 ** -20, max: 2 ** 10, noNaN: true }).map(Math.fround);
    const signed = fc.tuple(multiplier, fc.boolean()).map(([value, negative]) => (negative ? -value : value));
    fc.assert(
      fc.property(fc.array(signed, { minLength: 1, maxLength: 4 }), (gains) => {
        const { shift, multipliers } = fixedFactors(requantize([gains]), codesForm(0), []);
        const [found] = multipliers;
        expect(found).toHaveLength(gains.length);
        gains.forEach((gain, k) => {
          // A float32 times a power of two is exact.
          expect(Math.abs((found?.[k] ?? Number.NaN) - gain * 2 ** shift)).toBeLessThanOrEqual(0.5);
        });
        const most = Math.max(...(found ?? []).map(Math.abs));
        expect(most).toBeGreaterThanOrEqual(2 ** 29);
        expect(most).toBeLessThanOrEqual(2 ** 30);
      }),
    );
  });
});
