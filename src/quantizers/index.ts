/** The quantizers that subbyte has. Adding one is adding its file and a line here. */
import { ConfigError } from "../errors.ts";
import { lsq } from "./lsq.ts";
import type { QuantizerDefinition } from "./quantizer.ts";
import { uniform } from "./uniform.ts";

export const quantizers: ReadonlyMap<string, QuantizerDefinition> = new Map(
  [uniform, lsq].map((definition) => [definition.name, definition]),
);

/** The quantizer of this name. @throws ConfigError listing the names that exist. */
export function quantizerNamed(name: string): QuantizerDefinition {
  const definition = quantizers.get(name);
  if (definition === undefined) {
    throw new ConfigError(`there is no quantizer "${name}"`, {
      remedy: `Use one of: ${[...quantizers.keys()].join(", ")}.`,
    });
  }
  return definition;
}
