/** The cells of a study: its grid for every recipe and seed, and the grid again for recipes with fixes. */
import type { ConfigChanges } from "../../config/changes.ts";
import type { Fix } from "../repair/fix/fix.ts";
import { type GridCell, trialConfig } from "./config.ts";
import type { StudyConfig } from "./schema.ts";
import { fixedName, trialName } from "./trial-names.ts";

/** The cells of the grid in the study's order: a whole map for the first seed comes first, its high bits before its low. */
export function gridCells(config: StudyConfig): GridCell[] {
  return config.seeds.flatMap((seed) =>
    config.recipes.flatMap((recipe) =>
      config.weightBits.flatMap((weightBits) =>
        config.activationBits.map((activationBits) => ({ recipe, weightBits, activationBits, seed })),
      ),
    ),
  );
}

/** Returns the name of a trial and of its folder. */
export function trialId({ recipe, ...rest }: GridCell): string {
  return trialName({ ...rest, recipe: recipe.name });
}

/** Returns the grid again for every recipe that a fix helps, with the sufficient changes laid over the recipe. */
export function fixedCells(config: StudyConfig, fixes: readonly Fix[]): GridCell[] {
  return fixes.flatMap((fix) => {
    const changes = sufficientChanges(fix);
    if (Object.keys(changes).length === 0) return [];
    return gridCells(config)
      .filter(({ recipe }) => recipe.name === fix.recipe)
      .map((cell) => ({ ...cell, recipe: { ...cell.recipe, name: fixedName(fix.recipe) }, changes }));
  });
}

/** All cells of a study, the grid's first. */
export function studyCells(config: StudyConfig, fixes: readonly Fix[]): GridCell[] {
  return [...gridCells(config), ...fixedCells(config, fixes)];
}

/** The smallest sufficient set of changes of a fix, later ones laid over earlier ones. */
export function sufficientChanges({ steps }: Fix): ConfigChanges {
  return Object.fromEntries(steps.filter(({ kept }) => kept).flatMap(({ changes }) => Object.entries(changes)));
}

/** The training configuration of a cell. @throws ConfigError when it contradicts itself. */
export function cellConfig(config: StudyConfig, cell: GridCell, from?: string) {
  return trialConfig(config, cell, from, cell.changes);
}
