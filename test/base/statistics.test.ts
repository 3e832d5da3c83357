import { describe, expect, it } from "vitest";
import {
  cosineSimilarity,
  countsByBin,
  countValues,
  entropyOfCounts,
  kurtosis,
  median,
  normalDivergence,
  quantile,
  rootMeanSquare,
  signalToNoise,
} from "../../src/base/statistics.ts";
import { gridNoise, optimalGrid } from "../../src/diagnose/probe/optimal-grid.ts";
import { groupOfElement, planSample, sampleGroups, takeSample } from "../../src/diagnose/probe/sampling.ts";

describe("statistics of a sample, against a computation by hand", () => {
  it("quantiles lie between the two nearest values", () => {
    expect(quantile([0, 10, 20, 30], 0.5)).toBe(15);
    expect(quantile([0, 10, 20, 30], 0.9)).toBeCloseTo(27);
    expect(median([3, 1, 2])).toBe(2);
    expect(quantile([], 0.5)).toBeNaN();
  });

  it("root mean square, cosine", () => {
    expect(rootMeanSquare([3, 4])).toBeCloseTo(Math.sqrt(12.5));
    expect(cosineSimilarity([1, 0], [1, 1])).toBeCloseTo(Math.SQRT1_2);
    expect(cosineSimilarity([1, 2], [-1, -2])).toBeCloseTo(-1);
    expect(cosineSimilarity([0, 0], [1, 1])).toBeNaN();
  });

  it("kurtosis: 1 for two equal points, 1.7 for five evenly spaced ones", () => {
    expect(kurtosis([-1, 1])).toBe(1);
    // Mean 0, second moment 10/5 = 2, fourth (16 + 1 + 0 + 1 + 16)/5 = 6.8; 6.8/4.
    expect(kurtosis([-2, -1, 0, 1, 2])).toBeCloseTo(1.7);
  });

  it("entropy in bits", () => {
    expect(entropyOfCounts([1, 1, 1, 1])).toBe(2);
    expect(entropyOfCounts([5, 0])).toBe(0);
    expect(entropyOfCounts([3, 1])).toBeCloseTo(0.75 * Math.log2(4 / 3) + 0.25 * 2);
  });

  it("SQNR in dB", () => {
    // Signal 1 + 4, noise 0.01 + 0.04: a factor of 100.
    expect(signalToNoise([1, 2], [1.1, 1.8])).toBeCloseTo(20);
    expect(signalToNoise([1], [1])).toBe(Number.POSITIVE_INFINITY);
  });

  it("histograms count what lies outside at the ends", () => {
    expect(countsByBin([-5, 0.1, 0.6, 0.9, 7], 0, 1, 2)).toEqual([2, 3]);
    expect(countValues([2, 1, 2])).toEqual(
      new Map([
        [2, 2],
        [1, 1],
      ]),
    );
  });

  it("divergence of normal distributions: 0 for equal ones, 1/2 for a shift of one deviation", () => {
    const unit = { mean: 0, variance: 1 };
    expect(normalDivergence(unit, unit)).toBeCloseTo(0);
    expect(normalDivergence({ mean: 1, variance: 1 }, unit)).toBeCloseTo(0.5, 4);
    expect(normalDivergence({ mean: 0, variance: 4 }, unit)).toBeCloseTo(0.5 * (4 - 1 - Math.log(4)), 4);
  });
});

describe("samples", () => {
  it("take at most as many elements as asked for, with a stride that shares no factor with their number", () => {
    expect(planSample(100, 200)).toEqual({ elements: 100, stride: 1, count: 100 });
    // ⌈4096/1000⌉ = 5, which shares no factor with 4096.
    expect(planSample(4096, 1000)).toEqual({ elements: 4096, stride: 5, count: 820 });
    // 4 and 6 share factors with 36, 5 does not.
    expect(planSample(36, 9)).toEqual({ elements: 36, stride: 5, count: 8 });
    expect([...takeSample([0, 1, 2, 3, 4, 5, 6], { elements: 7, stride: 3, count: 3 })]).toEqual([0, 3, 6]);
  });

  it("know the parameters that an element belongs to", () => {
    expect([0, 5, 6, 23].map(groupOfElement({ channelAxis: 1 }, [2, 2, 6]))).toEqual([0, 0, 1, 1]);
    expect([0, 3, 4].map(groupOfElement({ groupSize: 4 }, [2, 4]))).toEqual([0, 0, 1]);
    const spec = { quantizer: "lsq", bits: 4, quantMin: -8, quantMax: 7, channelAxis: 0, options: {} };
    const groups = sampleGroups(spec, [2, 3], { elements: 6, stride: 1, count: 6 });
    expect(groups.map((places) => [...places])).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
  });
});

describe("the grid that loses least", () => {
  it("has no noise where every value is a level", () => {
    const grid = { quantMin: 0, quantMax: 3, affine: false };
    expect(optimalGrid([0, 0.5, 1, 1.5], grid)).toEqual({ step: 0.5, noise: 0 });
    expect(gridNoise([0, 0.5, 1.2], grid, 0.5, 0)).toBeCloseTo(0.04);
  });

  it("leaves an outlier outside", () => {
    const row = [...Array.from({ length: 3999 }, (_, i) => i / 3999), 3];
    const best = optimalGrid(row, { quantMin: 0, quantMax: 15, affine: false });
    const full = gridNoise(row, { quantMin: 0, quantMax: 15, affine: false }, 3 / 15, 0);
    expect(best?.step).toBeLessThan(0.15);
    expect(best?.noise).toBeLessThan(full);
  });

  it("is at most the full range, affine and symmetric", () => {
    const row = Array.from({ length: 401 }, (_, i) => -1 + i / 100);
    expect(optimalGrid(row, { quantMin: 0, quantMax: 15, affine: true })?.step).toBeCloseTo(4 / 15);
    expect(optimalGrid(row, { quantMin: -8, quantMax: 7, affine: false })?.step).toBeLessThanOrEqual(3 / 7);
    expect(optimalGrid([0, 0], { quantMin: 0, quantMax: 3, affine: false })).toBeUndefined();
  });
});
