/** The places of a study: the cells of its grid for every recipe and seed, and those of the recipes that were cured. */
import type { Cure } from "../repair/fix.ts";
import { type ConfigChanges, type TrialPlace, trialConfig } from "./config.ts";
import type { StudyConfig } from "./schema.ts";

/** The places of the grid in the study's order: a whole map for the first seed comes first, its high bits before its low. */
export function gridPlaces(config: StudyConfig): TrialPlace[] {
  return config.seeds.flatMap((seed) =>
    config.recipes.flatMap((recipe) =>
      config.weightBits.flatMap((weightBits) =>
        config.activationBits.map((activationBits) => ({ recipe, weightBits, activationBits, seed })),
      ),
    ),
  );
}

/** The name of a trial and of its folder. */
export function trialId({ recipe, weightBits, activationBits, seed }: TrialPlace): string {
  return `${recipe.name}_${weightBits}W${activationBits}A_seed${seed}`;
}

/** What a recipe is called once it is cured. */
export function curedName(recipe: string): string {
  return `${recipe}-cured`;
}

/** The grid again for every recipe that a cure helps, with what suffices laid over the recipe. */
export function curedPlaces(config: StudyConfig, cures: readonly Cure[]): TrialPlace[] {
  return cures.flatMap((cure) => {
    const changes = sufficientChanges(cure);
    if (Object.keys(changes).length === 0) return [];
    return gridPlaces(config)
      .filter(({ recipe }) => recipe.name === cure.recipe)
      .map((place) => ({ ...place, recipe: { ...place.recipe, name: curedName(cure.recipe) }, changes }));
  });
}

/** All places of a study, the grid's first. */
export function studyPlaces(config: StudyConfig, cures: readonly Cure[]): TrialPlace[] {
  return [...gridPlaces(config), ...curedPlaces(config, cures)];
}

/** The smallest set of changes of a cure that suffices, later ones laid over earlier ones. */
export function sufficientChanges({ steps }: Cure): ConfigChanges {
  return Object.fromEntries(steps.filter(({ kept }) => kept).flatMap(({ changes }) => Object.entries(changes)));
}

/** The training configuration of a place. @throws ConfigError when it contradicts itself. */
export function placeConfig(config: StudyConfig, place: TrialPlace, from?: string) {
  return trialConfig(config, place, from, place.changes);
}
