/** Whether every option of a quantization is one that something reads. */
import { calibratorNamed, calibrators } from "../observers/calibrators.ts";
import { observerNamed } from "../observers/index.ts";
import type { Contradiction, ObserverSpec, QuantizerDefinition, QuantizerOptions } from "../quantizers/definition.ts";
import { optionProblem } from "../quantizers/options.ts";

/**
 * Returns the faults of a quantizer's options, those of its initializer among them, or with its observer's.
 *
 * @throws ConfigError when there is no initializer or observer of that name.
 */
export function checkOptions(
  definition: QuantizerDefinition,
  options: QuantizerOptions,
  observer: ObserverSpec | undefined,
): Contradiction | undefined {
  const { initializer } = options;
  const calibrator = initializer === undefined ? undefined : calibratorNamed(String(initializer));
  const rules = {
    ...definition.options,
    ...(definition.initialFromRange === undefined ? {} : { initializer: [...calibrators.keys()] }),
    ...calibrator?.options,
  };
  if (initializer !== undefined && definition.initialFromRange === undefined) {
    return {
      message: `the quantizer ${definition.name} has no range that the initializer ${initializer} could choose`,
      remedy: "Leave options.initializer (or the observer of that name) out.",
    };
  }
  const owner =
    calibrator === undefined
      ? `the quantizer ${definition.name}`
      : `the quantizer ${definition.name} with the initializer ${calibrator.name}`;
  const problem = optionProblem(owner, rules, options);
  if (problem !== undefined || observer === undefined) return problem;
  const { name, options: known } = observerNamed(observer.observer);
  return optionProblem(`the observer ${name}`, known, observer.options);
}
