/** The calibrators that a quantization requests. */
import { calibrators } from "../observers/calibrators.ts";
import type { ObserverSpec, QuantizerOptions } from "../quantizers/definition.ts";

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
