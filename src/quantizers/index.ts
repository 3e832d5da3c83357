/** The quantizers that subbyte has. Adding one is adding its file and a line here. */
import { type Addition, additionTo } from "../base/addition.ts";
import { ConfigError } from "../errors.ts";
import type { QuantizerDefinition } from "./definition.ts";
import { apot } from "./methods/apot.ts";
import { apotTorch } from "./methods/apot-torch.ts";
import { binary } from "./methods/binary.ts";
import { dorefa } from "./methods/dorefa.ts";
import { ewgs } from "./methods/ewgs.ts";
import { learnable } from "./methods/learnable.ts";
import { lsq } from "./methods/lsq.ts";
import { lsqPlus } from "./methods/lsq-plus.ts";
import { minifloat } from "./methods/minifloat.ts";
import { n2uq } from "./methods/n2uq/n2uq.ts";
import { pact } from "./methods/pact.ts";
import { powerOfTwo } from "./methods/power-of-two.ts";
import { ternary } from "./methods/ternary.ts";
import { tqt } from "./methods/tqt.ts";
import { uniform } from "./methods/uniform.ts";

const definitions: readonly QuantizerDefinition[] = [
  uniform,
  lsq,
  lsqPlus,
  learnable,
  pact,
  dorefa,
  tqt,
  ewgs,
  n2uq,
  apot,
  apotTorch,
  powerOfTwo,
  binary,
  ternary,
  minifloat,
];

const registered = new Map(definitions.map((definition) => [definition.name, definition]));

/** Every quantizer by its name. */
export const quantizers: ReadonlyMap<string, QuantizerDefinition> = registered;

/** Returns the addition of a quantizer from outside, by its name. */
export function quantizerAddition(definition: QuantizerDefinition): Addition {
  return additionTo(registered, definition.name, definition);
}

/**
 * The quantizer of this name. @throws ConfigError listing the names that exist.
 *
 * @example
 * console.log(quantizerNamed("lsq").levels({ quantizer: "lsq", bits: 4, quantMin: -8, quantMax: 7, options: {} })); // 16
 */
export function quantizerNamed(name: string): QuantizerDefinition {
  const definition = quantizers.get(name);
  if (definition === undefined) {
    throw new ConfigError(`there is no quantizer "${name}"`, {
      remedy: `Use one of: ${[...quantizers.keys()].join(", ")}.`,
    });
  }
  return definition;
}
