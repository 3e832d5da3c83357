/** A mix and its uniform baseline, trained alike over several seeds: a study of two recipes. */
import type { TrainingConfig } from "../../config/schema/schema.ts";
import { resolveStudyConfig } from "../plan/config.ts";
import type { StudyConfig } from "../plan/schema.ts";
import type { AccuracyMap } from "../result/accuracy-map.ts";
import type { Mix } from "./mixed.ts";

/** One of each recipe of the study, by the recipe's name. */
interface ByRecipe<Item> {
  readonly mixed: Item;
  readonly uniform: Item;
}

/** The configuration of each recipe; null for a baseline that is not trained. */
function configsOf({ config, baseline, uniformConfig }: Mix): ByRecipe<TrainingConfig | null> {
  return { mixed: config, uniform: baseline === null ? null : uniformConfig };
}

/**
 * The study that compares them; without a baseline it trains the mix alone. Seeds are 0 to `seeds` − 1.
 *
 * @example
 * const mix = await mixBits(await loadRun(runFolder), {
 *   budget: { weightBits: 4, activationBits: 4 },
 *   candidates: { weightBits: [3, 4], activationBits: [4] },
 *   samples: 16,
 * });
 * console.log(mixStudy(mix, 3).seeds); // [0, 1, 2]
 */
export function mixStudy(mix: Mix, seeds: number): StudyConfig {
  const { model, data, train, target, from, quantization } = mix.config;
  const recipes = Object.entries(configsOf(mix)).flatMap(([name, config]) =>
    config === null ? [] : [recipeOf(name, config)],
  );
  const document = {
    model,
    data,
    train,
    target,
    // The weights of a model's file are those that its trials begin with.
    float: from === undefined ? null : { from },
    weightBits: [quantization?.weightBits],
    activationBits: [quantization?.activationBits],
    recipes,
    seeds: Array.from({ length: seeds }, (_, seed) => seed),
  };
  return resolveStudyConfig({ name: "mix", text: JSON.stringify(document) });
}

function recipeOf(name: string, { quantization }: TrainingConfig) {
  const {
    weightBits: _weights,
    activationBits: _activations,
    ...rest
  } = quantization ?? { weightBits: 0, activationBits: 0 };
  return { name, ...rest };
}

/** Test accuracy over the seeds. */
export interface TrainedMix {
  readonly mean: number | null;
  /** Sample standard deviation; null with fewer than two seeds. */
  readonly spread: number | null;
  /** Seeds that gave a result. */
  readonly count: number;
}

/** The results of the study for both configurations. */
export function trainedMix(maps: readonly AccuracyMap[]): ByRecipe<TrainedMix | null> {
  const trained = maps.flatMap(({ recipe, rows: [row] }) =>
    row?.[0] === undefined ? [] : [[recipe, row[0]] as const],
  );
  const { mixed, uniform }: Partial<ByRecipe<TrainedMix>> = Object.fromEntries(trained);
  return { mixed: resultOf(mixed), uniform: resultOf(uniform) };
}

function resultOf(cell: TrainedMix | undefined): TrainedMix | null {
  return cell === undefined ? null : { mean: cell.mean, spread: cell.spread, count: cell.count };
}
