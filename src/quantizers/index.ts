/** The quantizers that subbyte has. Adding one is adding its file and a line here. */
import { ConfigError } from "../errors.ts";
import { apot } from "./apot.ts";
import { apotTorch } from "./apot-torch.ts";
import { binary } from "./binary.ts";
import { dorefa } from "./dorefa.ts";
import { ewgs } from "./ewgs.ts";
import { learnable } from "./learnable.ts";
import { lsq } from "./lsq.ts";
import { lsqPlus } from "./lsq-plus.ts";
import { minifloat } from "./minifloat.ts";
import { n2uq } from "./n2uq.ts";
import { pact } from "./pact.ts";
import { powerOfTwo } from "./power-of-two.ts";
import type { QuantizerDefinition } from "./quantizer.ts";
import { ternary } from "./ternary.ts";
import { tqt } from "./tqt.ts";
import { uniform } from "./uniform.ts";

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

/** Every quantizer by its name. */
export const quantizers: ReadonlyMap<string, QuantizerDefinition> = new Map(
  definitions.map((definition) => [definition.name, definition]),
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
