/** The observers that subbyte has. Adding one is adding its file and a line here. */
import { ConfigError } from "../errors.ts";
import { minMax, movingAverageMinMax } from "./min-max.ts";
import type { ObserverDefinition } from "./observer.ts";

export const observers: ReadonlyMap<string, ObserverDefinition> = new Map(
  [minMax, movingAverageMinMax].map((definition) => [definition.name, definition]),
);

/** The observer of this name. @throws ConfigError listing the names that exist. */
export function observerNamed(name: string): ObserverDefinition {
  const definition = observers.get(name);
  if (definition === undefined) {
    throw new ConfigError(`there is no observer "${name}"`, {
      remedy: `Use one of: ${[...observers.keys()].join(", ")}.`,
    });
  }
  return definition;
}
