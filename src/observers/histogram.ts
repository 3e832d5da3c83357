/**
 * Histogram calibration: torch's `HistogramObserver` (2048 bins, upsampling by 128 where the range grows, and its
 * non-linear search for the range with the least squared error), in torch's float32 arithmetic.
 *
 * torch always searches for 256 levels, whatever the quantizer has; here the number of levels is the quantizer's, and
 * `histogramLevels: 256` is the compatible mode. torch 1.13 also cuts the edges of the histogram to integers
 * (pytorch#83672, corrected later): `integerEdges: true` does the same.
 *
 * The search: from both ends of the histogram, step by 10⁻⁵ of the total count over the side that crosses more bins
 * (the right one on a tie) and stop at the first rise of the error. The error of a bin is its density times the integral
 * of the squared distance to the centres of the levels that it covers.
 *
 * Options: `bins` (2048), `histogramLevels` (the quantizer's), `integerEdges` (false).
 */

import { roundHalfEven } from "../base/rounding.ts";
import type { QuantizerSpec } from "../quantizers/definition.ts";
import {
  type Calibrator,
  type CalibratorDefinition,
  numberOption,
  type Range,
  unobserved,
  widened,
} from "./calibrator.ts";

const { fround } = Math;
const upsampling = 128;
const granularity = 1e-5;

/** `torch.histc`: counts of equal bins between two edges; with equal edges, between the values' own extremes. */
export function histogramOf(values: Float32Array, bins: number, min: number, max: number): Float32Array {
  const counts = new Float32Array(bins);
  let [low, high] = [fround(min), fround(max)];
  if (low === high) ({ min: low, max: high } = widened(unobserved, values));
  if (low === high) [low, high] = [low - 1, high + 1];
  const span = fround(high - low);
  for (const value of values) {
    if (!(value >= low && value <= high)) continue;
    const place = Math.trunc(fround(fround(fround(value - low) * bins) / span));
    const bin = Math.min(place, bins - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

class HistogramCalibrator implements Calibrator {
  readonly #bins: number;
  readonly #levels: number;
  readonly #integerEdges: boolean;
  #counts: Float32Array;
  #observed: Range = unobserved;

  constructor(spec: QuantizerSpec, levels: number) {
    this.#bins = numberOption(spec, "bins", 2048);
    this.#levels = numberOption(spec, "histogramLevels", levels);
    this.#integerEdges = spec.options.integerEdges === true;
    this.#counts = new Float32Array(this.#bins);
  }

  /** The counts so far. */
  get counts(): Float32Array {
    return this.#counts;
  }

  get observed(): Range {
    return this.#observed;
  }

  observe(values: Float32Array): void {
    if (values.length === 0) return;
    const { min, max } = this.#observed;
    if (min >= max) {
      this.#observed = widened(unobserved, values);
      this.#counts = this.#count(values, this.#observed);
      return;
    }
    const both = widened(this.#observed, values);
    const fine = fround(fround(max - min) / fround(this.#bins * upsampling));
    const coarse = Math.ceil(fround(fround(both.max - both.min) / fround(this.#bins * fine)));
    const rest = fround(fround(coarse * fround(this.#bins * fine)) - fround(both.max - both.min));
    const combined = { min: both.min, max: fround(both.max + rest) };
    const start = roundHalfEven(fround(fround(min - combined.min) / fine));
    const counts = this.#count(values, combined);
    if (combined.min === min && combined.max === max) {
      this.#counts = counts.map((count, i) => count + (this.#counts[i] ?? 0));
    } else {
      this.#counts = this.#combine(counts, coarse, start);
    }
    this.#observed = combined;
  }

  #count(values: Float32Array, { min, max }: Range): Float32Array {
    const edge = this.#integerEdges ? Math.trunc : (value: number) => value;
    return histogramOf(values, this.#bins, edge(min), edge(max));
  }

  /** The old counts spread over the new, wider bins, and added to the new ones. */
  #combine(counts: Float32Array, coarse: number, start: number): Float32Array {
    const fineCount = this.#bins * coarse;
    let [integral, before] = [0, 0];
    const combined = new Float32Array(this.#bins);
    for (let i = 0; i < fineCount; i++) {
      const source = Math.floor((i - start) / upsampling);
      if (i >= start && source < this.#bins) integral += this.#counts[source] ?? 0;
      if ((i + 1) % coarse !== 0) continue;
      const bin = (i + 1) / coarse - 1;
      const share = fround((integral - before) / upsampling);
      combined[bin] = fround((counts[bin] ?? 0) + share);
      // torch keeps the shifted integral in float32.
      before = fround(integral);
    }
    return combined;
  }

  range(): Range {
    const { min, max } = this.#observed;
    if (min > max) return unobserved;
    const { start, end } = this.#search();
    const width = fround(fround(max - min) / this.#bins);
    return { min: fround(min + fround(width * start)), max: fround(min + fround(width * (end + 1))) };
  }

  /** `_non_linear_param_search` */
  #search(): { start: number; end: number } {
    const sums = new Float32Array(this.#bins);
    let total = 0;
    for (const [i, count] of this.#counts.entries()) {
      total += count;
      sums[i] = total;
    }
    const below = (bin: number, share: number) => (sums[bin] ?? 0) < fround(share * total);
    const above = (bin: number, share: number) => (sums[bin] ?? 0) > fround(share * total);
    let [alpha, beta] = [0, 1];
    let [start, end] = [0, this.#bins - 1];
    let least = Number.POSITIVE_INFINITY;
    while (alpha < beta) {
      const nextAlpha = alpha + granularity;
      const nextBeta = beta - granularity;
      let [left, right] = [start, end];
      while (left < end && below(left, nextAlpha)) left++;
      while (right > start && above(right, nextBeta)) right--;
      const movesStart = left - start > end - right;
      if (movesStart) alpha = nextAlpha;
      else beta = nextBeta;
      const next = movesStart ? { start: left, end } : { start, end: right };
      if (next.start === start && next.end === end) continue;
      const error = this.#error(next.start, next.end);
      if (error > least) break;
      least = error;
      ({ start, end } = next);
    }
    return { start, end };
  }

  /** `_compute_quantization_error`: the squared error when bins start..end are spread over the levels. */
  #error(start: number, end: number): number {
    const { min, max } = this.#observed;
    const width = (max - min) / this.#bins;
    const levelWidth = (width * (end - start + 1)) / this.#levels;
    if (levelWidth === 0) return 0;
    const [w, lw, half] = [fround(width), fround(levelWidth), fround(levelWidth / 2)];
    const cubed = (x: number) => fround(fround(x * x) * x);
    const integral = (from: number, to: number) => fround(fround(cubed(to) - cubed(from)) / 3);
    const full = integral(-half, half);
    let sum = 0;
    for (let bin = 0; bin < this.#bins; bin++) {
      const count = this.#counts[bin] ?? 0;
      if (count === 0) continue;
      const from = fround((bin - start) * w);
      const to = fround(from + w);
      const levelOfFrom = this.#levelAt(from, lw);
      const levelOfTo = this.#levelAt(to, lw);
      const density = fround(count / w);
      const head = fround(density * integral(fround(from - fround(fround(levelOfFrom + 0.5) * lw)), half));
      const middle = fround(fround(levelOfTo - levelOfFrom - 1) * fround(density * full));
      const centre = fround(fround(levelOfTo * lw) + half);
      const tail = fround(density * integral(-half, fround(to - centre)));
      sum += fround(fround(head + middle) + tail);
    }
    return sum;
  }

  /** The level whose cell holds a distance from the start, by torch's floored division. */
  #levelAt(distance: number, width: number): number {
    const remainder = distance % width;
    let quotient = fround(fround(distance - remainder) / width);
    if (remainder !== 0 && remainder < 0) quotient = fround(quotient - 1);
    let floored = Math.floor(quotient);
    if (fround(quotient - floored) > 0.5) floored++;
    return Math.min(Math.max(floored, 0), this.#levels - 1);
  }
}

/** A calibrator by the squared error of a histogram, with what it has counted. */
export function histogramCalibrator(spec: QuantizerSpec, levels: number): HistogramCalibrator {
  return new HistogramCalibrator(spec, levels);
}

/** Chooses the range by torch's histogram search. */
export const histogram: CalibratorDefinition = {
  name: "histogram",
  options: { bins: { from: 1, whole: true }, histogramLevels: { from: 2, whole: true }, integerEdges: "boolean" },
  create: (spec, definition) => histogramCalibrator(spec, definition.levels(spec)),
};
