/** The initial values of trained parameters. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { float32Data, float32Tensor } from "../../../src/ir/tensor.ts";
import {
  alphaFromRange,
  initializeGroups,
  lsqScale,
  positiveParameter,
  scaleFromRange,
  smallestScale,
  startFromRange,
} from "../../../src/quantizers/arithmetic/learned.ts";
import { specFor } from "../../support/training/quantizer.ts";

const ends = fc.tuple(fc.double({ min: -100, max: 0, noNaN: true }), fc.double({ min: 0, max: 100, noNaN: true }));

describe("scaleFromRange", () => {
  it("is the smallest scale whose codes reach both ends", () => {
    fc.assert(
      fc.property(ends, fc.integer({ min: 2, max: 8 }), ([min, max], bits) => {
        const spec = specFor("lsq", bits, true);
        const { scale = 0 } = scaleFromRange(spec, min, max);
        expect(scale * spec.quantMin).toBeLessThanOrEqual(min + 1e-9);
        expect(scale * spec.quantMax).toBeGreaterThanOrEqual(max - 1e-9);
        const isTight = scale * spec.quantMin > min - 1e-5 || scale * spec.quantMax < max + 1e-5;
        expect(isTight || scale === smallestScale).toBe(true);
      }),
    );
  });

  it("does not count an end that has no codes of its sign", () => {
    expect(scaleFromRange(specFor("lsq", 4, false), -50, 15)).toEqual({ scale: 1 });
    expect(scaleFromRange(specFor("lsq", 4, false), -50, 0)).toEqual({ scale: smallestScale });
  });
});

describe("alphaFromRange", () => {
  it("is the largest magnitude, or the upper end of a range without a sign", () => {
    expect(alphaFromRange(specFor("pact", 4, true), -3, 2)).toEqual({ alpha: 3 });
    expect(alphaFromRange(specFor("pact", 4, false), -3, 2)).toEqual({ alpha: 2 });
    expect(alphaFromRange(specFor("pact", 4, false), 0, 0)).toEqual({ alpha: smallestScale });
  });
});

describe("lsqScale", () => {
  it("is 2·mean|x|/√Qp", () => {
    expect(lsqScale(specFor("lsq", 3, true), Float32Array.of(-1, 2, -3, 6))).toBe((2 * 3) / Math.sqrt(3));
    expect(lsqScale(specFor("lsq", 3, true), new Float32Array(0))).toBe(smallestScale);
  });
});

describe("starts of groups", () => {
  const sample = float32Tensor([2, 3], [1, -2, 3, -40, 50, 6]);

  it("follow the extremes of each group", () => {
    const spec = specFor("pact", 4, true, {}, { channelAxis: 0 });
    const { initialize, initialFromRange } = startFromRange(alphaFromRange);
    const alpha = initialize(spec, sample).get("alpha");
    expect(alpha?.shape).toEqual([2]);
    expect(alpha === undefined ? [] : [...float32Data(alpha)]).toEqual([3, 50]);
    expect(initialFromRange(spec, -4, 1)).toEqual({ alpha: 4 });
  });

  it("are nothing where a group has no numbers", () => {
    expect(initializeGroups(specFor("lsq", 4, true), sample, () => ({})).size).toBe(0);
  });

  it("have the shape of the parameter that is kept for them", () => {
    const spec = specFor("lsq", 4, true, {}, { channelAxis: 1 });
    const parameter = positiveParameter("scale", spec, { dtype: "float32", shape: [2, 3] });
    const start = initializeGroups(spec, sample, (row) => ({ scale: lsqScale(spec, row) })).get("scale");
    expect(parameter).toMatchObject({ shape: [3], trainable: true, initial: 1, minimum: smallestScale });
    expect(start?.shape).toEqual(parameter.shape);
  });
});
