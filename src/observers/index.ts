/** The observers that subbyte has. Adding one is adding its file and a line here. */
import { type Addition, additionTo } from "../base/addition.ts";
import { ConfigError } from "../errors.ts";
import { minMax, movingAverageMinMax } from "./min-max.ts";
import type { ObserverDefinition } from "./observer.ts";

const registered = new Map(
  [minMax, movingAverageMinMax].map((definition): [string, ObserverDefinition] => [definition.name, definition]),
);

/** Every observer by its name. */
export const observers: ReadonlyMap<string, ObserverDefinition> = registered;

/** Returns the addition of an observer from outside, by its name. */
export function observerAddition(definition: ObserverDefinition): Addition {
  return additionTo(registered, definition.name, definition);
}

/**
 * The observer of this name. @throws ConfigError listing the names that exist.
 *
 * @example
 * console.log(observerNamed("minMax").name); // minMax
 */
export function observerNamed(name: string): ObserverDefinition {
  const definition = observers.get(name);
  if (definition === undefined) {
    throw new ConfigError(`there is no observer "${name}"`, {
      remedy: `Use one of: ${[...observers.keys()].join(", ")}.`,
    });
  }
  return definition;
}
