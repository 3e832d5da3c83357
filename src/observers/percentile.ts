/**
 * Ranges without the farthest values: `percentile` keeps the share p of them, `deviation` those within some standard
 * deviations of the mean (TQT's 3SD), `range` all.
 *
 * `percentile`: max is the p-th percentile of the sample and min the (100 − p)-th, interpolated between neighbours as
 * numpy.percentile does; a sample without negative numbers keeps min = 0. Options: `percentile` (99.9), `deviations` (3).
 */
import { quantile } from "../base/statistics.ts";
import { statisticsOf } from "../quantizers/arithmetic/scalar.ts";
import { type CalibratorDefinition, fromSamples, numberOption, unobserved, widened } from "./calibrator.ts";

const sampleLimit = 1 << 20;

/** Takes the range from a percentile of the magnitudes. */
export const percentile: CalibratorDefinition = {
  name: "percentile",
  options: { percentile: { from: 50, to: 100 } },
  create(spec) {
    const percent = numberOption(spec, "percentile", 99.9);
    return fromSamples(sampleLimit, (values) => {
      const ascending = values.slice().sort();
      const isOneSided = (ascending[0] ?? 0) >= 0;
      return {
        min: isOneSided ? 0 : quantile(ascending, (100 - percent) / 100),
        max: quantile(ascending, percent / 100),
      };
    });
  },
};

/** Takes the range mean ± a number of standard deviations. */
export const deviation: CalibratorDefinition = {
  name: "deviation",
  options: { deviations: { from: 0 } },
  create(spec) {
    const factor = numberOption(spec, "deviations", 3);
    return fromSamples(sampleLimit, (values) => {
      const { min, max, mean, deviation: sigma } = statisticsOf(values);
      return { min: Math.max(min, mean - factor * sigma), max: Math.min(max, mean + factor * sigma) };
    });
  },
};

/** Takes the range of all values. */
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
