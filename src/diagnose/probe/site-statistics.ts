/** From the samples of one quantized tensor to its measurements. */

import {
  cosineSimilarity,
  countsByBin,
  countValues,
  decibels,
  entropyOfCounts,
  kurtosis,
  mean,
  median,
  quantile,
  signalToNoise,
} from "../../base/statistics.ts";
import type { QuantizerSite } from "../../compile/sites.ts";
import { float32Data, float32Tensor } from "../../ir/tensor.ts";
import type { Shape } from "../../ir/types.ts";
import type { GroupParameters } from "../../quantizers/definition.ts";
import { quantizerNamed } from "../../quantizers/index.ts";
import { groupNumbers } from "../../quantizers/integers.ts";
import { learnedChanges } from "./learned-parameters.ts";
import type { SiteMeasurement } from "./measurement.ts";
import { optimalGrid } from "./optimal-grid.ts";
import { type SamplePlan, sampleGroups } from "./sampling.ts";

/** The samples of one tensor in a probe. All hold the same elements, in the same order. */
export interface SiteSamples {
  readonly site: QuantizerSite;
  readonly shape: Shape;
  readonly plan: SamplePlan;
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** The gradient that the quantizer passes on; absent where the loss does not reach it. */
  readonly dx?: Float32Array;
  /** The whole gradient at the quantizer's input, and that of the float network. */
  readonly gradient?: Float32Array;
  readonly floatGradient?: Float32Array;
  /** Extremes of each channel. */
  readonly channelMin: Float32Array;
  readonly channelMax: Float32Array;
  /** The parameters that the quantizer uses, by name: one value for each group, or a list that all groups share. */
  readonly parameters: Readonly<Record<string, Float32Array>>;
  /** s·∂L/∂s summed over the groups, and |∂L/∂s|/s in the mean; absent where there is no trained scale. */
  readonly scaleGradient?: number;
  readonly scaleBalance?: number;
  /** The trained parameters that the run began with, by name. */
  readonly first?: Readonly<Record<string, Float32Array>>;
}

/** In steps: half a step and a margin for float32 rounding. */
const maskedExcess = 0.55;
const histogramBins = 32;
const mostCodes = 64;
/** Rows for which the best grid is searched, and elements of each: more do not change a median. */
const searchedRows = 12;
const searchedElements = 768;

/** Measures a quantizer site from samples of its input, output and gradients. */
export function measureSite(samples: SiteSamples): SiteMeasurement {
  const { site, x, y } = samples;
  const magnitudes = Float32Array.from(x, Math.abs).sort();
  const min = samples.channelMin.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const max = samples.channelMax.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const largest = Math.max(Math.abs(min), Math.abs(max));
  const grids = gridsOf(samples);
  const levels = quantizerNamed(site.spec.quantizer).levels(site.spec);
  const codes = codesOf(samples, grids);
  const counts = countValues(codes);
  const { clipped, high, outside } = againstRange(samples, grids);
  const scale = samples.parameters.scale;
  const zeroPoint = samples.parameters.zero_point;
  const best = searchGrid(samples, grids);
  return {
    name: site.id,
    kind: site.kind,
    min,
    max,
    magnitude: {
      p50: quantile(magnitudes, 0.5),
      p975: quantile(magnitudes, 0.975),
      p999: quantile(magnitudes, 0.999),
      max: largest,
    },
    kurtosis: kurtosis(x),
    ...channelSpread(samples),
    scale: scale === undefined ? Number.NaN : mean(scale),
    zeroPoint: zeroPoint === undefined ? 0 : mean(zeroPoint),
    coverage: high / largest,
    distinctCodes: counts.size,
    entropy: entropyOfCounts(counts.values()),
    deadShare: shareOf(x, (value, i) => value !== 0 && y[i] === 0),
    clippedShare: clipped.length / x.length,
    negativeShare: shareOf(x, (value) => value < 0),
    lostNegativeShare: shareOf(x, (value, i) => value < 0 && (y[i] ?? 0) >= 0 && clipped.includes(i)),
    levelsBelowZero: mean(grids.map((grid) => grid.belowZeroLevel)) / levels,
    sqnr: signalToNoise(x, y),
    optimalSqnr: best.sqnr,
    scaleRatio: best.scaleRatio,
    initialRatio: initialRatio(samples, grids),
    floorShare: floorShare(samples),
    ...scaleChange(samples),
    learned: learnedChanges(site, samples.first ?? {}, samples.parameters),
    deadChannels: deadChannels(samples),
    gradientCosine: cosineOf(samples.gradient, samples.floatGradient),
    outsideCount: outside.length,
    outsideGradientShare:
      samples.dx === undefined || outside.length === 0
        ? Number.NaN
        : outside.filter((i) => samples.dx?.[i] !== 0).length / outside.length,
    scaleBalance: samples.scaleBalance ?? Number.NaN,
    scaleGradient: samples.scaleGradient ?? Number.NaN,
    histogram: countsByBin(x, min, max, histogramBins),
    codes: levels > mostCodes ? [] : codeCounts(counts, grids[0]?.codes),
  };
}

/** A trained scale over the one that training would begin with on these values. */
function initialRatio({ site: { spec } }: SiteSamples, grids: readonly GroupGrid[]): number {
  const definition = quantizerNamed(spec.quantizer);
  const { channelAxis: _axis, groupSize: _size, ...whole } = spec;
  const ratios = grids
    .filter((_, g) => g % rowStride(grids) === 0)
    .flatMap(({ row, step }) => {
      const sample = float32Tensor([row.length], row);
      if (!definition.parameters(whole, sample).some(({ trainable }) => trainable)) return [];
      const values = [...definition.initialize(whole, sample)].map(
        ([name, value]) => [name, float32Data(value)] as const,
      );
      const scale = definition.integers?.unit(whole, groupNumbers(whole, values, 0), row)?.scale;
      return scale === undefined || scale === 0 ? [] : [step / scale];
    });
  return ratios.length === 0 ? Number.NaN : median(ratios);
}

/** Float32 holds the lower limit itself, so what an update raised to it is equal to it. */
function floorShare({ site, shape, parameters }: SiteSamples): number {
  const { spec } = site;
  const type = { dtype: "float32", shape } as const;
  const shares = quantizerNamed(spec.quantizer)
    .parameters(spec, type)
    .flatMap(({ name, minimum, isList }) => {
      const values = parameters[name];
      if (values === undefined || minimum === undefined || isList === true) return [];
      return [shareOf(values, (value) => value <= Math.fround(minimum))];
    });
  return Math.max(0, ...shares);
}

/** How far the scales of the groups went from what the run began with. */
function scaleChange({ first, parameters: { scale } }: SiteSamples) {
  const firstScale = first?.scale;
  if (firstScale === undefined || scale === undefined || scale.length !== firstScale.length) {
    return { scaleChange: Number.NaN, largestScaleChange: Number.NaN };
  }
  const changes = Float64Array.from(scale, (value, i) => Math.log(Math.abs(value) / Math.abs(firstScale[i] ?? value)));
  return { scaleChange: median(changes), largestScaleChange: Math.max(...changes.map(Math.abs)) };
}

/** A channel whose extremes are equal says nothing: after a ReLU it is dead. */
function deadChannels({ site, channelMin, channelMax }: SiteSamples): number {
  return site.kind === "activation" ? shareOf(channelMax, (high, channel) => high === channelMin[channel]) : 0;
}

function shareOf(values: Float32Array, holds: (value: number, index: number) => boolean): number {
  let count = 0;
  values.forEach((value, i) => {
    if (holds(value, i)) count++;
  });
  return count / values.length;
}

function cosineOf(a: Float32Array | undefined, b: Float32Array | undefined): number {
  return a === undefined || b === undefined ? Number.NaN : cosineSimilarity(a, b);
}

/** The grid of one group of elements, and the places of these in the sample. */
interface GroupGrid {
  readonly places: Int32Array;
  readonly row: Float32Array;
  readonly parameters: GroupParameters;
  /** Distance of two levels; NaN where the quantizer has no unit. */
  readonly step: number;
  readonly low: number;
  readonly high: number;
  /** Levels below 0. */
  readonly below: number;
  /** Levels below the one that 0 is rounded to: an offset within half a step of 0 leaves none. */
  readonly belowZeroLevel: number;
  readonly codes: readonly number[] | undefined;
}

function gridsOf({ site, shape, plan, x, y, parameters }: SiteSamples): GroupGrid[] {
  const definition = quantizerNamed(site.spec.quantizer);
  const codes = definition.integers?.codes(site.spec);
  return sampleGroups(site.spec, shape, plan).flatMap((places, group): GroupGrid[] => {
    if (places.length === 0) return [];
    const row = Float32Array.from(places, (place) => x[place] ?? 0);
    const own = groupNumbers(site.spec, Object.entries(parameters), group);
    const unit = definition.integers?.unit(site.spec, own, row);
    const first = codes?.[0];
    const last = codes?.at(-1);
    if (unit === undefined || codes === undefined || first === undefined || last === undefined) {
      const values = Float32Array.from(places, (place) => y[place] ?? 0).sort();
      const low = values[0] ?? 0;
      const high = values.at(-1) ?? 0;
      const step = (high - low) / Math.max(1, definition.levels(site.spec) - 1);
      return [{ places, row, parameters: own, step, low, high, below: 0, belowZeroLevel: 0, codes: undefined }];
    }
    const value = (code: number) => unit.scale * (code - unit.zeroPoint) + unit.offset;
    const zero = unit.zeroPoint - (unit.scale === 0 ? 0 : unit.offset / unit.scale);
    const below = codes.filter((code) => code < zero).length;
    const belowZeroLevel = codes.filter((code) => code < Math.round(zero)).length;
    const ends = { low: value(first), high: value(last) };
    return [{ places, row, parameters: own, step: unit.scale, ...ends, below, belowZeroLevel, codes }];
  });
}

/** Returns the code of each element; without integers, its value, which is as good for counting. */
function codesOf({ site, y }: SiteSamples, grids: readonly GroupGrid[]): Float64Array {
  const integers = quantizerNamed(site.spec.quantizer).integers;
  const codes = Float64Array.from(y);
  if (integers === undefined) return codes;
  for (const { places, row, parameters } of grids) {
    integers.encode(site.spec, parameters, row).forEach((code, i) => {
      codes[places[i] ?? 0] = code;
    });
  }
  return codes;
}

function codeCounts(counts: ReadonlyMap<number, number>, codes: readonly number[] | undefined): number[] {
  if (codes !== undefined) return codes.map((code) => counts.get(code) ?? 0);
  return [...counts].sort(([a], [b]) => a - b).map(([, count]) => count);
}

/**
 * Places outside of the grid: by more than half a step (clipped), and clearly by more, where no definition of the
 * straight-through mask lets a gradient pass: torch's takes the rounded code, which is inside up to half a step outside.
 */
function againstRange({ x }: SiteSamples, grids: readonly GroupGrid[]) {
  const clipped: number[] = [];
  const outside: number[] = [];
  let high = 0;
  for (const grid of grids) {
    high = Math.max(high, Math.abs(grid.low), Math.abs(grid.high));
    for (const place of grid.places) {
      const value = x[place] ?? 0;
      const excess = Math.max(value - grid.high, grid.low - value);
      if (excess > 0.5 * grid.step) clipped.push(place);
      if (excess > maskedExcess * grid.step) outside.push(place);
    }
  }
  return { clipped, outside, high };
}

/** Every how many groups are looked at, where a median over them is enough. */
function rowStride(grids: readonly GroupGrid[]): number {
  return Math.max(1, Math.ceil(grids.length / searchedRows));
}

function searchGrid({ site, y }: SiteSamples, grids: readonly GroupGrid[]) {
  const { quantMin, quantMax } = site.spec;
  const stride = rowStride(grids);
  let signal = 0;
  let noise = 0;
  const ratios: number[] = [];
  for (let g = 0; g < grids.length; g += stride) {
    const grid = grids[g];
    if (grid === undefined) continue;
    const every = Math.max(1, Math.ceil(grid.row.length / searchedElements));
    const row = grid.row.filter((_, i) => i % every === 0);
    const affine = quantMin === 0 && grid.below > 0;
    const best = optimalGrid(row, {
      quantMin,
      quantMax,
      affine: affine || (quantMin < 0 && isShifted(grid, quantMin)),
    });
    if (best === undefined) continue;
    for (const value of row) signal += value * value;
    // The present grid may be better than any candidate: then it counts as the best.
    const present = row.reduce((sum, value, i) => sum + (value - (y[grid.places[i * every] ?? 0] ?? 0)) ** 2, 0);
    noise += Math.min(best.noise, present);
    ratios.push(best.noise <= present ? grid.step / best.step : 1);
  }
  return { sqnr: signal === 0 ? Number.NaN : decibels(signal, noise), scaleRatio: median(ratios) };
}

/** Returns whether the level of 0 is elsewhere than in a symmetric grid. */
function isShifted(grid: GroupGrid, quantMin: number): boolean {
  return Math.abs(grid.below + quantMin) > 0.5;
}

function channelSpread({ channelMin, channelMax }: SiteSamples) {
  const magnitudes = Float64Array.from(channelMin, (low, channel) =>
    Math.max(Math.abs(low), Math.abs(channelMax[channel] ?? 0)),
  );
  let largestChannel = 0;
  magnitudes.forEach((value, channel) => {
    if (value > (magnitudes[largestChannel] ?? 0)) largestChannel = channel;
  });
  const middle = median(magnitudes);
  return { channelDisparity: (magnitudes[largestChannel] ?? 0) / middle, largestChannel };
}
