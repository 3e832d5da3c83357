/** The names of trials and of their folders, those of earlier versions included. */

import { formerNames } from "../../config/former-names.ts";

/** The identity of a trial in a plan. */
export interface TrialKey {
  readonly recipe: string;
  readonly weightBits: number;
  readonly activationBits: number;
  readonly seed: number;
}

/** Returns the name of a trial and of its folder: `lsq_W4A4_seed0`. */
export function trialName({ recipe, weightBits, activationBits, seed }: TrialKey): string {
  return `${recipe}_W${weightBits}A${activationBits}_seed${seed}`;
}

const fixedSuffix = "-fixed";

/** Returns the names that earlier versions gave to a trial's folder: `lsq_4W4A_seed0`. */
export function formerTrialIds({ recipe, weightBits, activationBits, seed }: TrialKey): string[] {
  const former = recipe.endsWith(fixedSuffix)
    ? [recipe.slice(0, -fixedSuffix.length) + formerNames.fixedSuffix, recipe]
    : [recipe];
  return former.map((name) => `${name}_${weightBits}W${activationBits}A_seed${seed}`);
}

/** Returns the present name of a trial: `lsq_4W4A_seed0` of an earlier version becomes `lsq_W4A4_seed0`. */
export function presentTrialId(id: string): string {
  const [, recipe, weightBits, activationBits, seed] = /^(.+)_(\d+)W(\d+)A_seed(\d+)$/.exec(id) ?? [];
  return recipe === undefined ? id : `${recipe}_W${weightBits}A${activationBits}_seed${seed}`;
}

/** Returns the name of a recipe with its fixes. */
export function fixedName(recipe: string): string {
  return recipe + fixedSuffix;
}
