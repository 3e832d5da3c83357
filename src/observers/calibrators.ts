/** The calibrators that subbyte has, and the initial parameters of a quantizer from them. */
import { ConfigError } from "../errors.ts";
import type { Tensor } from "../ir/tensor.ts";
import { groupTensors, parameterRows, type QuantizerSpec } from "../quantizers/definition.ts";
import { quantizerNamed } from "../quantizers/index.ts";
import type { CalibratorDefinition } from "./calibrator.ts";
import { entropy } from "./entropy.ts";
import { histogram } from "./histogram.ts";
import { mse } from "./mse.ts";
import { deviation, fullRange, percentile } from "./percentile.ts";

/** Every calibrator by its name: the values of the option `initializer`. */
export const calibrators: ReadonlyMap<string, CalibratorDefinition> = new Map(
  [histogram, percentile, mse, entropy, deviation, fullRange].map((definition) => [definition.name, definition]),
);

/** The calibrator of this name. @throws ConfigError listing the names that exist. */
export function calibratorNamed(name: string): CalibratorDefinition {
  const definition = calibrators.get(name);
  if (definition === undefined) {
    throw new ConfigError(`there is no initializer "${name}"`, {
      remedy: `Use one of: ${[...calibrators.keys()].join(", ")}.`,
    });
  }
  return definition;
}

/**
 * The initial parameters of a quantizer: from the range that the option `initializer` finds in the samples, or by the
 * quantizer's own rule (which sees the first sample alone).
 *
 * @param samples One tensor or more, of the shape of the quantized one; weights are one.
 */
export function initialParameters(spec: QuantizerSpec, ...samples: readonly Tensor[]): ReadonlyMap<string, Tensor> {
  const definition = quantizerNamed(spec.quantizer);
  const [first] = samples;
  if (first === undefined) return new Map();
  const { initializer } = spec.options;
  if (typeof initializer !== "string" || definition.initialFromRange === undefined) {
    return definition.initialize(spec, first);
  }
  const chosen = calibratorNamed(initializer);
  const groups = parameterRows(spec, first).map(() => chosen.create(spec, definition));
  for (const sample of samples) {
    for (const [i, row] of parameterRows(spec, sample).entries()) groups[i]?.observe(row);
  }
  const numbers = groups.map((group) => {
    const { min, max } = group.range();
    return definition.initialFromRange?.(spec, min, max) ?? {};
  });
  return groupTensors(spec, first, numbers);
}
