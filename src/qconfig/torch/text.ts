/**
 * A torch QConfig given as text: the Python of a forum thread, pasted, or a whole training script.
 *
 * Nothing is executed. The text is parsed (python/parse/parse.ts) and evaluated over values of which some are not known
 * (python/run.ts): functions are called, loops run, and of a condition that is not decided both branches. What the
 * configuration depends on is known, or is refused with its line.
 *
 * @example
 * const { qconfig } = parseTorchConfig({ name: "thread.py", text: "QConfig(activation=…, weight=…)" }, { bits: 4 });
 */

import { didYouMean } from "../../base/nearest-word.ts";
import { ConfigError } from "../../errors.ts";
import type { Placement } from "../config.ts";
import { chooseQConfig, type ModuleQConfig, type ReadingNote } from "./choose.ts";
import { placeOf, type TorchSource } from "./python/source.ts";
import { type Definitions, Script } from "./script.ts";
import type { QConfig } from "./torch.ts";
import type { ArgumentPlaces } from "./values.ts";

export type { ModuleQConfig, ReadingNote } from "./choose.ts";
export type { TorchSource } from "./python/source.ts";

/** The source positions of a form's arguments, by their names in torch: `reduce_range` → `thread.py:2:40`. */
export type TorchPlaces = ReadonlyMap<string, string>;

/** The configuration that a piece of Python describes. */
export interface TorchTextConfig {
  readonly qconfig: QConfig;
  /** The placement that the text implies: `fused` if it fuses modules, else torch's eager mode, `everyModule`. */
  readonly placement: Placement;
  readonly places: { readonly activation: TorchPlaces; readonly weight: TorchPlaces };
  /** QConfigs of single modules; see `torchQuantization`. */
  readonly modules: readonly ModuleQConfig[];
  /** Whether only linear layers are quantized, as torchao does. */
  readonly linearOnly: boolean;
  /** What was not evaluated or is taken for something near to it, with the line. */
  readonly notes: readonly ReadingNote[];
}

/**
 * Reads a QConfig from Python: the one that a model is prepared with or given, else the only one. Without any, single
 * fake-quantize modules are taken as weights if their codes are signed or per channel, and as activations otherwise.
 *
 * @param definitions Values of variables that the text does not assign, or that should be others: `{ bits: 4 }`.
 * @throws ConfigError naming what is not understood, or the QConfigs of which each could count, with line and column.
 *
 * @example
 * const { placement } = parseTorchConfig({ name: "mine.py", text: torchCode });
 * console.log(placement);
 */
export function parseTorchConfig(source: TorchSource, definitions: Definitions = {}): TorchTextConfig {
  const script = new Script(source, definitions);
  script.run();
  const { qconfig, places, modules, linearOnly, notes } = chooseQConfig(script);
  const unused = Object.keys(definitions).find((name) => !script.used.has(name));
  if (unused !== undefined) {
    throw new ConfigError(`nothing in ${source.name} reads ${unused}`, {
      where: `--define ${unused}=${definitions[unused]}`,
      remedy: didYouMean(unused, namesIn(source)) ?? "Leave it out.",
    });
  }
  const shown = (of: ArgumentPlaces): TorchPlaces => new Map([...of].map(([name, at]) => [name, placeOf(source, at)]));
  return {
    qconfig,
    placement: script.fusions.length > 0 ? "fused" : "everyModule",
    places: { activation: shown(places.activation), weight: shown(places.weight) },
    modules,
    linearOnly,
    notes,
  };
}

function namesIn(source: TorchSource): string[] {
  return [...new Set(source.text.match(/[\p{L}_][\p{L}\p{N}_.]*/gu) ?? [])];
}
