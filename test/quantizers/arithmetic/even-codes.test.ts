/** The integers of evenly spaced levels, against their formulas. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clamp, roundHalfEven } from "../../../src/base/rounding.ts";
import {
  affineIntegers,
  allCodes,
  codeCount,
  quotientIntegers,
  scaleIntegers,
} from "../../../src/quantizers/arithmetic/even-codes.ts";
import { decode } from "../../../src/quantizers/arithmetic/scalar.ts";
import type { QuantizerSpec } from "../../../src/quantizers/definition.ts";
import { specFor } from "../../support/training/quantizer.ts";

const { fround } = Math;
const specs = fc
  .record({ bits: fc.integer({ min: 1, max: 8 }), signed: fc.boolean() })
  .map(({ bits, signed }) => specFor("lsq", bits, signed));
const scales = fc.double({ min: 1e-3, max: 10, noNaN: true }).map(fround);
const rows = fc.float32Array({ min: -20, max: 20, noNaN: true, minLength: 1, maxLength: 20 });

function inRange(spec: QuantizerSpec, codes: Int32Array): boolean {
  return codes.every((code) => code >= spec.quantMin && code <= spec.quantMax);
}

describe("codes", () => {
  it("are the integers from the lowest to the highest", () => {
    expect(allCodes(specFor("lsq", 3, true))).toEqual([-4, -3, -2, -1, 0, 1, 2, 3]);
    fc.assert(fc.property(specs, (spec) => allCodes(spec).length === codeCount(spec)));
  });
});

describe("quotientIntegers", () => {
  it("rounds x/s half to even within the range", () => {
    fc.assert(
      fc.property(specs, scales, rows, (spec, scale, row) => {
        const codes = scaleIntegers.encode(spec, { scale }, row);
        expect(inRange(spec, codes)).toBe(true);
        expect([...codes]).toEqual(
          Array.from(row, (x) => roundHalfEven(clamp(fround(x * fround(1 / scale)), spec.quantMin, spec.quantMax)) + 0),
        );
      }),
    );
  });

  it("gives back the codes of the values that it stands for, with an offset and with a lower end of its own", () => {
    const form = quotientIntegers({
      scale: (_spec, { half = 1 }) => 2 * half,
      offset: (_spec, { shift = 0 }) => shift,
      lowest: ({ quantMax }) => -quantMax,
    });
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 6 }), fc.integer({ min: -6, max: 6 }), (bits, shift) => {
        const spec = specFor("lsq", bits, true);
        const parameters = { half: 0.25, shift };
        const unit = form.unit(spec, parameters);
        expect(unit).toEqual({ scale: 0.5, zeroPoint: 0, offset: shift });
        const codes = form.codes(spec);
        expect(codes[0]).toBe(-spec.quantMax);
        if (unit === undefined) return;
        const row = Float32Array.from(codes, (code) => decode(unit, code));
        expect([...form.encode(spec, parameters, row)]).toEqual(codes);
      }),
    );
  });
});

describe("affineIntegers", () => {
  it("adds the zero point after rounding, as torch does", () => {
    const form = affineIntegers((_spec, { zero = 0 }) => zero);
    const spec = specFor("uniform", 3, false);
    // 0.5 and 1.5 are ties before the zero point is added: 0 + 3 and 2 + 3.
    expect([...form.encode(spec, { scale: 1, zero: 3 }, Float32Array.of(0.5, 1.5, -9, 9))]).toEqual([3, 5, 0, 7]);
    expect(form.unit(spec, { scale: 1, zero: 3 })).toEqual({ scale: 1, zeroPoint: 3, offset: 0 });
  });

  it("stands for what the codes decode to", () => {
    const form = affineIntegers((_spec, { zero = 0 }) => zero);
    fc.assert(
      fc.property(specs, fc.double({ min: 0, max: 1, noNaN: true }), (spec, share) => {
        const zero = Math.round(spec.quantMin + share * (spec.quantMax - spec.quantMin));
        const unit = form.unit(spec, { scale: 0.25, zero });
        if (unit === undefined) return;
        const row = Float32Array.from(form.codes(spec), (code) => decode(unit, code));
        expect([...form.encode(spec, { scale: 0.25, zero }, row)]).toEqual(allCodes(spec));
      }),
    );
  });
});
