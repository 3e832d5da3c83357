/** Bounds of a layer's sums: worked out by hand, and kept and attained by random codes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TensorForm } from "../../src/convert/integer-network.ts";
import { centred, codeBounds, largest, layerBounds, sumBounds } from "../../src/convert/ranges.ts";
import { codesForm, weightOf } from "../support/convert/integer-operations.ts";

describe("bounds of a layer's sums", () => {
  it("take each weight's sign with the end of the range that suits it", () => {
    // Codes of 0..15 with the zero point 5 are −5..10 when centred.
    const bounds = layerBounds(weightOf([2, 2], [1, -2, 3, 0]), codesForm(5));
    expect([...bounds.low]).toEqual([1 * -5 - 2 * 10, 3 * -5]);
    expect([...bounds.high]).toEqual([1 * 10 + 2 * 5, 3 * 10]);
    expect([...bounds.magnitude]).toEqual([30, 30]);
  });

  it("hold the 0 of padding, also where no code is 0", () => {
    const form: TensorForm = { kind: "codes", low: 6, high: 15, scale: 1, zeroPoint: 5 };
    expect(centred(form)).toEqual({ low: 0, high: 10 });
    expect(centred({ ...form, zeroPoint: 20 })).toEqual({ low: -14, high: 0 });
  });

  it("of sums of codes are multiples of the range", () => {
    const bounds = sumBounds(2, 4, codesForm(5));
    expect([[...bounds.low], [...bounds.high], [...bounds.magnitude]]).toEqual([
      [-20, -20],
      [40, 40],
      [40, 40],
    ]);
    expect(codeBounds(1, codesForm(5))).toEqual(sumBounds(1, 1, codesForm(5)));
    expect(largest(Float64Array.of(-3, 2, 1))).toBe(2);
    expect(largest(new Float64Array(0))).toBe(0);
  });

  it("are kept by all codes, and attained by some", () => {
    const weights = fc.array(fc.integer({ min: -7, max: 7 }), { minLength: 1, maxLength: 12 });
    const codes = fc.array(fc.integer({ min: 0, max: 15 }), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(weights, codes, fc.integer({ min: 0, max: 15 }), (row, drawn, zeroPoint) => {
        const bounds = layerBounds(weightOf([1, row.length], row), codesForm(zeroPoint));
        const sum = (codeOf: (w: number, i: number) => number) =>
          row.reduce((total, w, i) => total + w * (codeOf(w, i) - zeroPoint), 0);
        const any = sum((_, i) => drawn[i] ?? 0);
        expect(any).toBeGreaterThanOrEqual(bounds.low[0] ?? Number.NaN);
        expect(any).toBeLessThanOrEqual(bounds.high[0] ?? Number.NaN);
        expect(sum((w) => (w > 0 ? 15 : 0))).toBe((bounds.high[0] ?? Number.NaN) + 0);
        expect(sum((w) => (w > 0 ? 0 : 15))).toBe((bounds.low[0] ?? Number.NaN) + 0);
        expect(bounds.magnitude[0]).toBeGreaterThanOrEqual(Math.max(-(bounds.low[0] ?? 0), bounds.high[0] ?? 0));
      }),
    );
  });
});
