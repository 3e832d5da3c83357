/** A mix and its uniform baseline, trained alike over several seeds: a study of two recipes. */
import type { TrainingConfig } from "../../config/schema/schema.ts";
import { resolveStudyConfig } from "../plan/config.ts";
import type { StudyConfig } from "../plan/schema.ts";
import type { AccuracyMap } from "../result/accuracy-map.ts";
import type { Mix } from "./mixed.ts";

const mixedRecipe = "mixed";
const uniformRecipe = "uniform";

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
  const recipes = [
    recipeOf(mixedRecipe, mix.config),
    ...(mix.baseline === null ? [] : [recipeOf(uniformRecipe, mix.uniformConfig)]),
  ];
  const document = {
    model,
    data,
    train,
    target,
    float: { from },
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

/** What the study says of the two. */
export function trainedMix(maps: readonly AccuracyMap[]): {
  readonly mixed: TrainedMix | null;
  readonly uniform: TrainedMix | null;
} {
  const of = (recipe: string) => {
    const cell = maps.find((map) => map.recipe === recipe)?.rows[0]?.[0];
    return cell === undefined ? null : { mean: cell.mean, spread: cell.spread, count: cell.count };
  };
  return { mixed: of(mixedRecipe), uniform: of(uniformRecipe) };
}
