/** Calibrators: the ranges that they find, and the initial parameters that follow. */

import { describe, expect, it } from "vitest";
import { quantile } from "../../src/base/statistics.ts";
import { ConfigError } from "../../src/errors.ts";
import { float32Data, float32Tensor } from "../../src/ir/tensor.ts";
import type { Range } from "../../src/observers/calibrator.ts";
import { calibratorNamed, calibrators, initialParameters } from "../../src/observers/calibrators.ts";
import { histogramOf } from "../../src/observers/histogram.ts";
import { quantizationError } from "../../src/observers/mse.ts";
import type { QuantizerSpec } from "../../src/quantizers/definition.ts";
import { quantizerNamed, quantizers } from "../../src/quantizers/index.ts";
import { seeded } from "../support/random.ts";
import { specFor } from "../support/training/quantizer.ts";

function normal(count: number, seed: number): Float32Array {
  const random = seeded(seed);
  return Float32Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(Math.max(random(), 1e-12)));
    return radius * Math.cos(2 * Math.PI * random());
  });
}

const positive = normal(20_000, 3).map((x) => Math.max(x, 0));
const withOutlier = Float32Array.from([...positive, 20]);

function rangeOf(name: string, spec: QuantizerSpec, ...batches: Float32Array[]): Range {
  const calibrator = calibratorNamed(name).create(spec, quantizerNamed(spec.quantizer));
  for (const batch of batches) calibrator.observe(batch);
  return calibrator.range();
}

function errorOf(spec: QuantizerSpec, { min, max }: Range, values: Float32Array): number {
  const definition = quantizerNamed(spec.quantizer);
  const parameters = definition.initialFromRange?.(spec, min, max) ?? {};
  return quantizationError(definition, spec, parameters, values) ?? Number.NaN;
}

describe("calibrators", () => {
  const spec = specFor("uniform", 4, false);

  it("say so when nothing was observed", () => {
    for (const name of calibrators.keys()) {
      const { min, max } = rangeOf(name, spec);
      expect(min > max, name).toBe(true);
    }
    expect(() => calibratorNamed("median")).toThrow(ConfigError);
  });

  it("histogram: the search for the real number of levels cuts the outlier that 256 levels keep", () => {
    const full = errorOf(spec, rangeOf("range", spec, withOutlier), withOutlier);
    const stock = rangeOf("histogram", specFor("uniform", 4, false, { histogramLevels: 256 }), withOutlier);
    const own = rangeOf("histogram", spec, withOutlier);
    expect(stock.max).toBeGreaterThan(19);
    expect(own.max).toBeLessThan(4);
    expect(errorOf(spec, stock, withOutlier)).toBeGreaterThan(0.9 * full);
    expect(errorOf(spec, own, withOutlier)).toBeLessThan(0.3 * full);
  });

  it("mse: no range of a fine grid is better by a hundredth", () => {
    const found = rangeOf("mse", spec, positive);
    const error = errorOf(spec, found, positive);
    for (let max = 1; max < 5; max += 0.05)
      expect(errorOf(spec, { min: 0, max }, positive)).toBeGreaterThan(0.97 * error);
  });

  it("mse: fits the levels of every quantizer that takes a range", () => {
    const values = normal(4000, 9);
    for (const [name, definition] of quantizers) {
      const bits = name === "minifloat" ? 4 : 3;
      const own = specFor(name, bits, true, name === "apot" ? { normalize: false } : { k: 1 });
      if (definition.initialFromRange === undefined) continue;
      const error = errorOf(own, rangeOf("mse", own, values), values);
      expect(error, name).toBeLessThanOrEqual(errorOf(own, rangeOf("range", own, values), values));
      expect(error, name).toBeLessThan(0.12);
    }
  });

  it("percentile: interpolated as numpy.percentile; one-sided samples start at 0", () => {
    const ascending = Float32Array.of(1, 2, 4, 8);
    expect([0, 10, 50, 90, 100].map((p) => quantile(ascending, p / 100))).toEqual(
      [1, 1.3, 3, 6.8, 8].map((v) => expect.closeTo(v, 6)),
    );
    const { min, max } = rangeOf("percentile", specFor("uniform", 4, true, { percentile: 99 }), normal(20_000, 4));
    expect(max).toBeGreaterThan(2.2);
    expect(max).toBeLessThan(2.45);
    expect(min).toBeLessThan(-2.2);
    expect(rangeOf("percentile", spec, positive).min).toBe(0);
  });

  it("deviation: three standard deviations, inside the sample's own range", () => {
    const { min, max } = rangeOf("deviation", spec, normal(20_000, 4));
    expect([min, max]).toEqual([expect.closeTo(-3, 1), expect.closeTo(3, 1)]);
    expect(rangeOf("deviation", spec, Float32Array.of(-1, 1))).toEqual({ min: -1, max: 1 });
  });

  it("entropy: clips the outlier and keeps the bulk", () => {
    const { min, max } = rangeOf("entropy", spec, withOutlier);
    expect(min).toBe(0);
    expect(max).toBeGreaterThan(1.2);
    expect(max).toBeLessThan(6);
    expect(rangeOf("entropy", specFor("uniform", 4, true), normal(20_000, 4)).min).toBeLessThan(-1);
    expect(rangeOf("entropy", spec, Float32Array.of(0, 0))).toEqual({ min: 0, max: 0 });
  });

  it("look at every batch", () => {
    for (const name of calibrators.keys()) {
      const { max } = rangeOf(name, spec, Float32Array.of(0, 1, 0.5), Float32Array.of(2, 4, 3));
      expect(max, name).toBeGreaterThan(1.5);
    }
  });

  it("count equal bins, the last one closed", () => {
    expect(Array.from(histogramOf(Float32Array.of(0, 0.5, 1, 1.5, 2, 3), 4, 0, 2))).toEqual([1, 1, 1, 2]);
    expect(Array.from(histogramOf(Float32Array.of(1, 1), 2, 0, 0))).toEqual([0, 2]);
  });
});

describe("initial parameters", () => {
  const weights = float32Tensor([2, 4], [0.1, -0.2, 0.3, 0.1, 4, -8, 2, 1]);

  it("follow the quantizer's own rule without an initializer", () => {
    const spec = specFor("lsq", 4, true, {}, { channelAxis: 0 });
    expect(initialParameters(spec, weights)).toEqual(quantizerNamed("lsq").initialize(spec, weights));
  });

  it("have a range for each channel with one", () => {
    const spec = specFor("lsq", 4, true, { initializer: "range" }, { channelAxis: 0 });
    const scale = initialParameters(spec, weights).get("scale");
    const expected = [0.3 / 7, 8 / 8].map(Math.fround);
    expect(Array.from(float32Data(scale ?? weights))).toEqual(expected);
  });

  it("are the same for a tensor in one sample or in two", () => {
    const spec = specFor("pact", 4, false, { initializer: "range" });
    const halves = [float32Tensor([4], [1, 2, 3, 0]), float32Tensor([4], [5, 0, 1, 2])];
    expect(float32Data(initialParameters(spec, ...halves).get("alpha") ?? weights)).toEqual(Float32Array.of(5));
    expect(initialParameters(spec).size).toBe(0);
  });

  it("have the shapes that the network keeps, for every quantizer", () => {
    for (const [name, definition] of quantizers) {
      const bits = name === "binary" ? 1 : name === "ternary" ? 2 : 4;
      for (const more of [{}, { channelAxis: 0 }, { groupSize: 2 }]) {
        const spec = specFor(name, bits, true, { k: 1, format: bits === 4 ? "e2m1" : "" }, more);
        const parameters = initialParameters(spec, weights);
        const shapes = Object.fromEntries([...parameters].map(([key, tensor]) => [key, tensor.shape]));
        const wanted = definition.parameters(spec, weights).map(({ name: key, shape }) => [key, shape] as const);
        expect(shapes, name).toEqual(Object.fromEntries(wanted));
        for (const tensor of parameters.values()) expect(float32Data(tensor).every(Number.isFinite), name).toBe(true);
      }
    }
  });

  it("survive a tensor of zeros", () => {
    const zeros = float32Tensor([2, 4], new Float32Array(8));
    for (const initializer of [undefined, ...calibrators.keys()]) {
      for (const [name, definition] of quantizers) {
        const spec = specFor(name, 4, true, { k: 1, ...(initializer === undefined ? {} : { initializer }) });
        for (const tensor of initialParameters(spec, zeros).values()) {
          expect(float32Data(tensor).every(Number.isFinite), `${name} ${initializer}`).toBe(true);
        }
        const scales = definition.parameters(spec, zeros).filter(({ minimum }) => minimum !== undefined);
        for (const { name: key, minimum = 0 } of scales) {
          const values = float32Data(initialParameters(spec, zeros).get(key) ?? zeros);
          expect(
            values.every((value) => value >= Math.fround(minimum)),
            `${name} ${key}`,
          ).toBe(true);
        }
      }
    }
  });
});

describe("the mean squared error in one pass", () => {
  it("equals that of encoding and decoding to the last bit, and a limit changes nothing below it", () => {
    const random = seeded(17);
    let compared = 0;
    for (const [name, definition] of quantizers) {
      const { integers, initialFromRange } = definition;
      if (integers?.meanSquaredError === undefined || initialFromRange === undefined) continue;
      const { meanSquaredError: _fast, ...slow } = integers;
      for (let round = 0; round < 40; round++) {
        const signed = round % 2 === 0;
        const spec = specFor(name, 1 + (round % 8), signed, { k: 1 });
        const size = [1, 7, 63, 64, 65, 500][round % 6] ?? 1;
        const values = normal(size, 100 + round).map((x) => (signed ? x : Math.abs(x)) * 10 ** (6 * random() - 3));
        const reach = Math.max(...values.map(Math.abs)) * (0.01 + 1.2 * random());
        const parameters = initialFromRange(spec, signed ? -reach * random() : 0, reach);
        const expected = quantizationError({ integers: slow }, spec, parameters, values) ?? Number.NaN;
        const where = `${name} ${round}`;
        expect(quantizationError(definition, spec, parameters, values), where).toBe(expected);
        expect(quantizationError(definition, spec, parameters, values, expected * 1.01), where).toBe(expected);
        // NaN stays NaN, and is not below any limit either.
        const limited = quantizationError(definition, spec, parameters, values, expected / 2) ?? 0;
        expect(limited < expected / 2, where).toBe(false);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(200);
  });
});
