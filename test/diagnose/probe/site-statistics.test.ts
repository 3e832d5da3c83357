import { describe, expect, it } from "vitest";
import { type QuantizerSite, quantizerSite } from "../../../src/compile/sites.ts";
import { measureSite, type SiteSamples } from "../../../src/diagnose/probe/site-statistics.ts";
import type { QuantizerSpec } from "../../../src/quantizers/definition.ts";

function siteWith(spec: Partial<QuantizerSpec>, kind: QuantizerSite["kind"] = "activation"): QuantizerSite {
  const full = { quantizer: "lsq", bits: 2, quantMin: 0, quantMax: 3, options: {}, ...spec };
  const links = { tensor: "conv1.input", parameters: {}, states: {} };
  return quantizerSite({ id: "conv1.input.quantizer", kind, layer: "conv1", spec: full, ...links });
}

function samplesOf(site: QuantizerSite, x: readonly number[], y: readonly number[], extra: Partial<SiteSamples> = {}) {
  return measureSite({
    site,
    shape: [1, x.length],
    plan: { elements: x.length, stride: 1, count: x.length },
    x: Float32Array.from(x),
    y: Float32Array.from(y),
    channelMin: Float32Array.from(x),
    channelMax: Float32Array.from(x),
    parameters: { scale: Float32Array.of(1) },
    ...extra,
  });
}

describe("measurements of a quantized tensor, against a computation by hand", () => {
  // Codes 0..3 with step 1: the grid reaches 3, half a step further 3.5, a whole one 4.
  const x = [0, 0.4, 0.6, 1.2, 2, 3.2, 3.6, 5];
  const y = [0, 0, 1, 1, 2, 3, 3, 3];
  const measured = samplesOf(siteWith({}), x, y);

  it("extremes, coverage, percentiles", () => {
    expect(measured.min).toBe(0);
    expect(measured.max).toBe(5);
    expect(measured.coverage).toBeCloseTo(3 / 5);
    expect(measured.magnitude.p50).toBeCloseTo(1.6);
    expect(measured.magnitude.max).toBe(5);
  });

  it("codes, entropy", () => {
    expect(measured.codes).toEqual([2, 2, 1, 3]);
    expect(measured.distinctCodes).toBe(4);
    const shares = [2, 2, 1, 3].map((count) => count / 8);
    expect(measured.entropy).toBeCloseTo(-shares.reduce((sum, share) => sum + share * Math.log2(share), 0));
  });

  it("dead, clipped and outside", () => {
    expect(measured.deadShare).toBe(1 / 8);
    expect(measured.clippedShare).toBe(2 / 8);
    expect(measured.outsideCount).toBe(2);
    expect(measured.outsideGradientShare).toBeNaN();
  });

  it("SQNR", () => {
    const signal = x.reduce((sum, value) => sum + value ** 2, 0);
    const noise = x.reduce((sum, value, i) => sum + (value - (y[i] ?? 0)) ** 2, 0);
    expect(measured.sqnr).toBeCloseTo(10 * Math.log10(signal / noise), 4);
    expect(measured.optimalSqnr).toBeGreaterThanOrEqual(measured.sqnr);
  });

  it("the scale over that of the quantizer's own rule, 2·mean|x|/√Qp", () => {
    const own = (2 * x.reduce((sum, value) => sum + value, 0)) / x.length / Math.sqrt(3);
    expect(measured.initialRatio).toBeCloseTo(1 / own, 5);
    const larger = { parameters: { scale: Float32Array.of(30 * own) } };
    expect(samplesOf(siteWith({}), x, y, larger).initialRatio).toBeCloseTo(30, 4);
    const channels = { spec: { channelAxis: 1 }, scale: Float32Array.from(x, (value) => (4 * value) / Math.sqrt(3)) };
    const each = samplesOf(siteWith(channels.spec), x, y, { parameters: { scale: channels.scale } });
    expect(each.initialRatio).toBeCloseTo(2, 4);
    const untrained = { parameters: { scale: Float32Array.of(1), zero_point: Float32Array.of(0) } };
    expect(samplesOf(siteWith({ quantizer: "uniform" }), x, y, untrained).initialRatio).toBeNaN();
  });

  it("a gradient outside of the range gives a missing mask away", () => {
    const dx = new Float32Array(8).fill(1);
    expect(samplesOf(siteWith({}), x, y, { dx }).outsideGradientShare).toBe(1);
    dx[6] = 0;
    expect(samplesOf(siteWith({}), x, y, { dx }).outsideGradientShare).toBe(0.5);
    dx[7] = 0;
    expect(samplesOf(siteWith({}), x, y, { dx }).outsideGradientShare).toBe(0);
  });

  it("cosine to the float gradient", () => {
    const gradient = Float32Array.of(1, 1, 0, 0, 0, 0, 0, 0);
    const floatGradient = Float32Array.of(1, 0, 0, 0, 0, 0, 0, 0);
    expect(samplesOf(siteWith({}), x, y, { gradient, floatGradient }).gradientCosine).toBeCloseTo(Math.SQRT1_2);
  });

  it("levels below 0, and negative values that are lost", () => {
    const signed = samplesOf(siteWith({ quantMin: -2, quantMax: 1 }), [0, 0.4, 1], [0, 0, 1]);
    expect(signed.levelsBelowZero).toBe(0.5);
    const unsigned = samplesOf(siteWith({}), [-2, -0.4, 0, 1], [0, 0, 0, 1]);
    expect(unsigned.levelsBelowZero).toBe(0);
    expect(unsigned.negativeShare).toBe(0.5);
    expect(unsigned.lostNegativeShare).toBe(0.25);
  });

  it("an affine grid has levels below 0 where its zero point is", () => {
    const site = siteWith({ quantizer: "uniform", options: { scheme: "affine" } });
    const parameters = { scale: Float32Array.of(1), zero_point: Float32Array.of(2) };
    const measured = samplesOf(site, [-2, -1, 0, 1], [-2, -1, 0, 1], { parameters });
    expect(measured.levelsBelowZero).toBe(0.5);
    expect(measured.codes).toEqual([1, 1, 1, 1]);
    expect(measured.sqnr).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([1, 2, 3, 4])("an offset within half a scale of 0 leaves no level of %i bits below 0", (bits) => {
    const site = siteWith({ quantizer: "lsq+", bits, quantMax: 2 ** bits - 1 });
    const at = (offset: number) => {
      const parameters = { scale: Float32Array.of(1), offset: Float32Array.of(offset) };
      return samplesOf(site, [0, 1], [offset, 1 + offset], { parameters }).levelsBelowZero;
    };
    for (const offset of [-4e-6, -0.1, -0.49, 0, 0.3]) expect(at(offset), `offset ${offset}`).toBe(0);
    expect(at(-1)).toBe(1 / 2 ** bits);
  });

  it("scales at the lower limit that updates keep", () => {
    const site = siteWith({ quantMin: -2, quantMax: 1, channelAxis: 1 }, "weight");
    const scale = Float32Array.of(2 ** -23, 0.5, 2 ** -22, 2 ** -23);
    expect(samplesOf(site, [1, 1, 1, 1], [0, 1, 0, 0], { parameters: { scale } }).floorShare).toBe(0.5);
    expect(samplesOf(siteWith({}), [1], [1]).floorShare).toBe(0);
  });

  it("channels that differ", () => {
    const channelMin = Float32Array.of(0, 0, -1);
    const channelMax = Float32Array.of(2, 16, 0.5);
    const { channelDisparity, largestChannel, max } = samplesOf(siteWith({}), x, y, { channelMin, channelMax });
    expect(channelDisparity).toBe(8);
    expect(largestChannel).toBe(1);
    expect(max).toBe(16);
  });

  it("a scale of each channel", () => {
    const site = siteWith({ quantMin: -2, quantMax: 1, channelAxis: 0 }, "weight");
    const measured = measureSite({
      site,
      shape: [2, 2],
      plan: { elements: 4, stride: 1, count: 4 },
      x: Float32Array.of(-2, 1, -20, 10),
      y: Float32Array.of(-2, 1, -20, 10),
      channelMin: Float32Array.of(-2, -20),
      channelMax: Float32Array.of(1, 10),
      parameters: { scale: Float32Array.of(1, 10) },
    });
    expect(measured.distinctCodes).toBe(2);
    expect(measured.scale).toBe(5.5);
    expect(measured.clippedShare).toBe(0);
    expect(measured.scaleRatio).toBeCloseTo(1);
  });

  it("a scale too large against the best one", () => {
    const row = Array.from({ length: 64 }, (_, i) => i / 64);
    const step = 8;
    const quantized = row.map((value) => Math.round(value / step) * step);
    const parameters = { scale: Float32Array.of(step) };
    const measured = samplesOf(siteWith({ bits: 4, quantMax: 15 }), row, quantized, { parameters });
    expect(measured.scaleRatio).toBeGreaterThan(80);
    expect(measured.deadShare).toBeCloseTo(63 / 64);
    expect(measured.optimalSqnr - measured.sqnr).toBeGreaterThan(20);
  });
});
