/**
 * A torch QConfig given as text: the Python of a forum thread, pasted.
 *
 * The text may be a whole function or a few lines; imports and the calls that prepare a model are read over. Nothing is
 * executed: it is parsed (torch-syntax.ts) and evaluated as configuration (torch-evaluate.ts), or refused with the token
 * that was not understood.
 *
 * @example
 * const { qconfig } = parseTorchConfig({ name: "thread.py", text: "QConfig(activation=…, weight=…)" }, { bits: 4 });
 */

import { didYouMean } from "../../base/nearest-word.ts";
import { ConfigError } from "../../errors.ts";
import type { Placement } from "../config.ts";
import { tensorQuantizationOf } from "./convert.ts";
import { type Evaluated, evaluateStatements } from "./evaluate.ts";
import { parseTorchText } from "./syntax.ts";
import { placeOf, type Token, type TorchSource } from "./tokens.ts";
import { QConfig } from "./torch.ts";
import type { ArgumentPlaces, FormValue } from "./values.ts";

export type { TorchSource } from "./tokens.ts";

/** The source positions of a form's arguments, by their names in torch: `reduce_range` → `thread.py:2:40`. */
export type TorchPlaces = ReadonlyMap<string, string>;

/** The configuration that a piece of Python describes. */
export interface TorchTextConfig {
  readonly qconfig: QConfig;
  /** The placement that the text implies: `fused` if it fuses modules, else torch's eager mode, `everyModule`. */
  readonly placement: Placement;
  readonly places: { readonly activation: TorchPlaces; readonly weight: TorchPlaces };
}

/**
 * Reads a QConfig from Python. Of several the last one counts; without any, single fake-quantize modules are taken as
 * weights if their codes are signed or per channel, and as activations otherwise.
 *
 * @param definitions Values of variables that the text does not assign, or that should be others: `{ bits: 4 }`.
 * @throws ConfigError naming the token that was not understood, with line and column.
 *
 * @example
 * const { placement } = parseTorchConfig({ name: "mine.py", text: torchCode });
 * console.log(placement);
 */
export function parseTorchConfig(
  source: TorchSource,
  definitions: Readonly<Record<string, number>> = {},
): TorchTextConfig {
  const given = new Map(Object.entries(definitions));
  const evaluated = evaluateStatements(source, parseTorchText(source), given);
  const unused = [...given.keys()].find((name) => !evaluated.used.has(name));
  if (unused !== undefined) {
    throw new ConfigError(`nothing in ${source.name} reads ${unused}`, {
      where: `--define ${unused}=${given.get(unused)}`,
      remedy: didYouMean(unused, namesIn(source)) ?? "Leave it out.",
    });
  }
  return { ...chosen(source, evaluated), placement: evaluated.fuses ? "fused" : "everyModule" };
}

function chosen(source: TorchSource, evaluated: Evaluated): Omit<TorchTextConfig, "placement"> {
  const shown = (places: ArgumentPlaces): TorchPlaces =>
    new Map([...places].map(([name, token]: [string, Token]) => [name, placeOf(source, token)]));
  const last = evaluated.qconfigs.at(-1);
  if (last !== undefined) {
    const { activation, weight } = last.places;
    return { qconfig: last.qconfig, places: { activation: shown(activation), weight: shown(weight) } };
  }
  const forWeights = ({ name, value }: { readonly name: string; readonly value: FormValue }): boolean => {
    if (/weight|^w|_w/i.test(name)) return true;
    if (/act|^a|_a/i.test(name)) return false;
    const { granularity, signed } = tensorQuantizationOf(value.form, `${source.name} ${name}`.trim());
    return granularity === "channel" || signed === true;
  };
  const weight = evaluated.forms.findLast(forWeights)?.value;
  const activation = evaluated.forms.findLast((form) => !forWeights(form))?.value;
  if (weight === undefined && activation === undefined) {
    throw new ConfigError("there is no QConfig and no FakeQuantize in it", {
      where: source.name,
      remedy: "Paste the lines that make the QConfig: QConfig(activation=FakeQuantize.with_args(…), weight=…).",
    });
  }
  return {
    qconfig: new QConfig({ activation: activation?.form ?? null, weight: weight?.form ?? null }),
    places: { activation: shown(activation?.places ?? new Map()), weight: shown(weight?.places ?? new Map()) },
  };
}

function namesIn(source: TorchSource): string[] {
  return [...new Set(source.text.match(/[\p{L}_][\p{L}\p{N}_.]*/gu) ?? [])];
}
