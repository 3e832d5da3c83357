/** The calibrators that subbyte has, and the initial parameters of a quantizer from them. */
import { ConfigError } from "../errors.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type GroupParameters, groupTensors, parameterRows, type QuantizerSpec } from "../quantizers/definition.ts";
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
  const [first] = samples;
  if (first === undefined) return new Map();
  const numbers = searchedParameters(spec, samples);
  if (numbers === undefined) return quantizerNamed(spec.quantizer).initialize(spec, first);
  return groupTensors(spec, first, [...numbers]);
}

/**
 * {@link initialParameters} of one sample, with a pause after each group of elements: the search takes seconds for large weights.
 *
 * @param turn Called after each group; lets other work run, or throws to end the search.
 */
export async function initialParametersInTurns(
  spec: QuantizerSpec,
  sample: Tensor,
  turn: () => Promise<void>,
): Promise<ReadonlyMap<string, Tensor>> {
  const numbers = searchedParameters(spec, [sample]);
  if (numbers === undefined) return initialParameters(spec, sample);
  const groups: GroupParameters[] = [];
  for (const group of numbers) {
    groups.push(group);
    await turn();
  }
  return groupTensors(spec, sample, groups);
}

/** The numbers of each group by the spec's `initializer`; undefined where the quantizer's own rule gives them. */
function searchedParameters(spec: QuantizerSpec, samples: readonly Tensor[]): Iterable<GroupParameters> | undefined {
  const definition = quantizerNamed(spec.quantizer);
  const { initializer } = spec.options;
  const fromRange = definition.initialFromRange;
  if (typeof initializer !== "string" || fromRange === undefined) return undefined;
  const chosen = calibratorNamed(initializer);
  const rows = samples.map((sample) => parameterRows(spec, sample));
  return (function* () {
    for (let group = 0; group < (rows[0]?.length ?? 0); group++) {
      const calibrator = chosen.create(spec, definition);
      for (const own of rows) {
        const row = own[group];
        if (row !== undefined) calibrator.observe(row);
      }
      const { min, max } = calibrator.range();
      yield fromRange.call(definition, spec, min, max);
    }
  })();
}
