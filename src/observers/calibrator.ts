/**
 * A calibrator looks at samples of a tensor outside of any graph and returns the range that they should be
 * quantized with. Where an observer moves a range during training, a calibrator chooses the one to start from (trained
 * quantizers) or to stay with (fixed ones).
 *
 * One file for each implements {@link CalibratorDefinition}; calibrators.ts lists them.
 */

import type { QuantizerDefinition, QuantizerSpec } from "../quantizers/definition.ts";
import type { OptionRules } from "../quantizers/options.ts";

/** The smallest and the largest value of a range. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Samples of the elements that share parameters, and what they say. */
export interface Calibrator {
  observe(values: Float32Array): void;
  /** The range so far; min > max where nothing was observed. */
  range(): Range;
}

/** A calibration of initial ranges: it reads samples once, before training. */
export interface CalibratorDefinition {
  readonly name: string;
  /** The options of the quantizer that it reads. */
  readonly options: OptionRules;
  /** A calibrator for one group of elements. */
  create(spec: QuantizerSpec, definition: QuantizerDefinition): Calibrator;
}

/** A number among a spec's options. */
export function numberOption(spec: QuantizerSpec, name: string, fallback: number): number {
  const value = spec.options[name];
  return typeof value === "number" ? value : fallback;
}

/** The range of nothing. */
export const unobserved: Range = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };

/** The extremes of a range and some values. */
export function widened({ min, max }: Range, values: Float32Array): Range {
  let [low, high] = [min, max];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { min: low, max: high };
}

/**
 * Samples kept for a calibrator that needs to see them all: at most `limit` of each observation, at even steps of its
 * sorted values, so that they are distributed as all of them are.
 */
class SampleStore {
  readonly #limit: number;
  #kept: Float32Array[] = [];
  #range: Range = unobserved;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(values: Float32Array): void {
    this.#range = widened(this.#range, values);
    this.#kept.push(thinned(values, this.#limit));
    if (this.#kept.length >= mostObservations) this.#kept = [thinned(this.values, this.#limit)];
  }

  get values(): Float32Array {
    const joined = new Float32Array(this.#kept.reduce((count, { length }) => count + length, 0));
    let at = 0;
    for (const part of this.#kept) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  /** The extremes of everything that was added, kept or not. */
  get range(): Range {
    return this.#range;
  }
}

/**
 * A calibrator that keeps samples and looks at them all in the end.
 *
 * @param limit Elements that are kept of one observation.
 * @param search The range for the samples, at least one, whose extremes are `full`.
 */
export function fromSamples(limit: number, search: (values: Float32Array, full: Range) => Range): Calibrator {
  const store = new SampleStore(limit);
  return {
    observe: (values) => store.add(values),
    range() {
      const { values, range } = store;
      return values.length === 0 ? unobserved : search(values, range);
    },
  };
}

/** Observations that are kept apart before they are thinned together. */
const mostObservations = 16;

/** At most `limit` of the values: the middles of as many equal parts of them in order. */
function thinned(values: Float32Array, limit: number): Float32Array {
  if (values.length <= limit) return values.slice();
  const ascending = values.slice().sort();
  const step = values.length / limit;
  return Float32Array.from({ length: limit }, (_, i) => ascending[Math.floor((i + 0.5) * step)] ?? 0);
}
