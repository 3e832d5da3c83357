/**
 * Ranges without the farthest values: `percentile` keeps the share p of them, `deviation` those within some standard
 * deviations of the mean (TQT's 3SD), `range` all.
 *
 * `percentile`: max is the p-th percentile of the sample and min the (100 − p)-th, interpolated between neighbours as
 * numpy.percentile does; a sample without negative numbers keeps min = 0. Options: `percentile` (99.9), `deviations` (3).
 */
import { statisticsOf } from "../quantizers/arithmetic/scalar.ts";
import {
  type Calibrator,
  type CalibratorDefinition,
  numberOption,
  type Range,
  SampleStore,
  unobserved,
  widened,
} from "./calibrator.ts";

const sampleLimit = 1 << 20;

/** The p-th percentile of ascending values. */
export function percentileOf(ascending: Float32Array, percent: number): number {
  const place = (Math.min(Math.max(percent, 0), 100) / 100) * (ascending.length - 1);
  const below = Math.floor(place);
  const [low, high] = [ascending[below] ?? 0, ascending[Math.min(below + 1, ascending.length - 1)] ?? 0];
  return low + (high - low) * (place - below);
}

/** A calibrator that looks at everything it was shown. */
function collecting(range: (values: Float32Array) => Range): Calibrator {
  const store = new SampleStore(sampleLimit);
  return {
    observe: (values) => store.add(values),
    range: () => (store.values.length === 0 ? unobserved : range(store.values)),
  };
}

export const percentile: CalibratorDefinition = {
  name: "percentile",
  options: { percentile: { from: 50, to: 100 } },
  create(spec) {
    const percent = numberOption(spec, "percentile", 99.9);
    return collecting((values) => {
      const ascending = values.slice().sort();
      const isOneSided = (ascending[0] ?? 0) >= 0;
      return {
        min: isOneSided ? 0 : percentileOf(ascending, 100 - percent),
        max: percentileOf(ascending, percent),
      };
    });
  },
};

export const deviation: CalibratorDefinition = {
  name: "deviation",
  options: { deviations: { from: 0 } },
  create(spec) {
    const factor = numberOption(spec, "deviations", 3);
    return collecting((values) => {
      const { min, max, mean, deviation: sigma } = statisticsOf(values);
      return { min: Math.max(min, mean - factor * sigma), max: Math.min(max, mean + factor * sigma) };
    });
  },
};

export const fullRange: CalibratorDefinition = {
  name: "range",
  options: {},
  create() {
    let range = unobserved;
    return {
      observe(values) {
        range = widened(range, values);
      },
      range: () => range,
    };
  },
};
