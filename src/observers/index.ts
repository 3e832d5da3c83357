/** The observers that subbyte has. Adding one is adding its file and a line here. */
import { addOnce } from "../base/add-once.ts";
import { ConfigError } from "../errors.ts";
import { minMax, movingAverageMinMax } from "./min-max.ts";
import type { ObserverDefinition } from "./observer.ts";

const registered = new Map(
  [minMax, movingAverageMinMax].map((definition): [string, ObserverDefinition] => [definition.name, definition]),
);

/** Every observer by its name. */
export const observers: ReadonlyMap<string, ObserverDefinition> = registered;

/** Adds an observer from outside. Returns false where another observer has its name. */
export function registerObserver(definition: ObserverDefinition): boolean {
  return addOnce(registered, definition.name, definition);
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
