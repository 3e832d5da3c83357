/**
 * The range with the least squared error, by a search over a grid with the quantizer itself: every candidate is turned
 * into parameters, the sample is encoded and decoded, and the error summed. So it fits evenly and unevenly spaced levels
 * alike, and what it minimises is what the quantizer will do.
 *
 * First both ends shrink together from the full range in `steps` (100) parts; then, where both signs occur, each end is
 * moved by itself around the best place. A quantizer without integers (E5M2) keeps the full range.
 */

import { decode } from "../quantizers/arithmetic/scalar.ts";
import type { GroupParameters, QuantizerDefinition, QuantizerSpec } from "../quantizers/definition.ts";
import { type CalibratorDefinition, fromSamples, numberOption, type Range } from "./calibrator.ts";

const sampleLimit = 4096;

/**
 * The mean squared error of a sample under some parameters; undefined without an integer form.
 *
 * @param limit An error from here on may be returned as any number that is not below the limit.
 */
export function quantizationError(
  { integers }: Pick<QuantizerDefinition, "integers">,
  spec: QuantizerSpec,
  parameters: GroupParameters,
  values: Float32Array,
  limit: number = Number.POSITIVE_INFINITY,
): number | undefined {
  if (integers?.meanSquaredError !== undefined) {
    return integers.meanSquaredError(spec, parameters, values, limit);
  }
  const unit = integers?.unit(spec, parameters, values);
  if (integers === undefined || unit === undefined) return undefined;
  const codes = integers.encode(spec, parameters, values);
  let sum = 0;
  for (let i = 0; i < codes.length; i++) sum += (decode(unit, codes[i] ?? 0) - (values[i] ?? 0)) ** 2;
  return sum / Math.max(values.length, 1);
}

/** Searches for the best range of a sample. */
function search(spec: QuantizerSpec, definition: QuantizerDefinition, values: Float32Array, full: Range): Range {
  const steps = numberOption(spec, "steps", 100);
  const errorOf = (range: Range, limit?: number): number => {
    const parameters = definition.initialFromRange?.(spec, range.min, range.max);
    if (parameters === undefined) return Number.POSITIVE_INFINITY;
    return quantizationError(definition, spec, parameters, values, limit) ?? Number.POSITIVE_INFINITY;
  };
  let best = full;
  let least = errorOf(full);
  const consider = (range: Range): void => {
    const error = errorOf(range, least);
    if (error >= least) return;
    least = error;
    best = range;
  };
  for (let i = steps - 1; i >= 1; i--) consider({ min: (full.min * i) / steps, max: (full.max * i) / steps });
  if (full.min >= 0 || full.max <= 0) return best;
  const around = [-8, -4, -2, -1, 1, 2, 4, 8];
  for (let round = 0; round < 3; round++) {
    for (const part of around) consider({ ...best, max: Math.min(best.max * (1 + part / 32), full.max) });
    for (const part of around) consider({ ...best, min: Math.max(best.min * (1 + part / 32), full.min) });
  }
  return best;
}

/** Chooses the range with the smallest squared error of the quantizer itself, by grid search. */
export const mse: CalibratorDefinition = {
  name: "mse",
  options: { steps: { from: 1, whole: true } },
  create: (spec, definition) => fromSamples(sampleLimit, (values, full) => search(spec, definition, values, full)),
};
