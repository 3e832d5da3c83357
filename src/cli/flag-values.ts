/** How flags' texts become values. */

import { InvalidArgumentError, Option } from "@commander-js/extra-typings";

/** Bits of the quantizers that conversion adds unless the flags say otherwise. */
export const defaultResidualBits = 8;

/** Makes the option that chooses a checkpoint of a run. */
export function checkpointOption(description = "which checkpoint of the run") {
  return new Option("--checkpoint <which>", description).choices(["last", "best"] as const).default("last" as const);
}

/** Collects a flag that may be given several times. */
export function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

/** Reads a flag's whole number of at least `minimum`. */
export function wholeNumber(minimum: number): (text: string) => number {
  return wholeNumberBetween(minimum, Number.POSITIVE_INFINITY);
}

/** Reads a flag's whole number from `minimum` to `maximum`. */
export function wholeNumberBetween(minimum: number, maximum: number): (text: string) => number {
  const range = Number.isFinite(maximum) ? `from ${minimum} to ${maximum}` : `of at least ${minimum}`;
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < minimum || value > maximum) {
      throw new InvalidArgumentError(`Expected a whole number ${range}.`);
    }
    return value;
  };
}
