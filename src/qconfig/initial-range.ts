/** What a quantization asks of calibrators. */
import { calibratorNamed, calibrators } from "../observers/calibrators.ts";
import type { Contradiction, ObserverSpec, QuantizerDefinition, QuantizerOptions } from "../quantizers/quantizer.ts";

/**
 * The options of a quantizer whose observer is a calibrator (`histogram`, `percentile`, …): it looks once, outside of the
 * training step, so it becomes the option `initializer`. Undefined for the observers that move with training.
 */
export function calibratedOptions(
  observer: ObserverSpec | undefined,
  options: QuantizerOptions,
): QuantizerOptions | undefined {
  if (observer === undefined || !calibrators.has(observer.observer)) return undefined;
  return { ...options, ...observer.options, initializer: observer.observer };
}

/** What is wrong with the option `initializer`. @throws ConfigError when there is none of that name. */
export function checkInitializer(
  definition: QuantizerDefinition,
  options: QuantizerOptions,
): Contradiction | undefined {
  const { initializer } = options;
  if (initializer === undefined) return undefined;
  calibratorNamed(String(initializer));
  if (definition.initialFromRange !== undefined) return undefined;
  return {
    message: `the quantizer ${definition.name} has no range that the initializer ${initializer} could choose`,
    remedy: "Leave options.initializer (or the observer of that name) out.",
  };
}
