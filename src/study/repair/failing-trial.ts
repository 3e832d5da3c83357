/** The choice of the failing trial that represents a recipe: the one to explain and to fix. */

import type { TrialRecord } from "../plan/record.ts";
import type { StudyConfig } from "../plan/schema.ts";
import { outcomeOf, type Reference } from "../result/accuracy-map.ts";

/** How far below float a trial has fallen when nothing else is said. */
export const defaultFall = 0.02;

/** The part of a study's configuration that affects the choice. */
type FixConfig = NonNullable<StudyConfig["fix"]>;

/**
 * The trial of a recipe to fix: the one at the bits that the configuration names; else, of those that fell, the one
 * with the most bits, trials that collapsed before others. undefined: none has fallen.
 */
export function failingTrialOf(
  records: readonly TrialRecord[],
  recipe: string,
  reference: Reference,
  fix: FixConfig | null,
): TrialRecord | undefined {
  const { float } = reference;
  if (float === null) return undefined;
  const fall = fix?.below ?? defaultFall;
  const fallen = records.filter(
    (record) => record.recipe === recipe && record.accuracy !== null && record.accuracy < float - fall,
  );
  const at = fix?.at;
  const named = fallen.find(
    ({ weightBits, activationBits }) => weightBits === at?.weightBits && activationBits === at?.activationBits,
  );
  const collapsed = fallen.filter(({ accuracy }) => outcomeOf(accuracy ?? 0, reference) === "collapsed");
  const most = (candidates: readonly TrialRecord[]) =>
    [...candidates].sort(
      (a, b) => b.activationBits - a.activationBits || b.weightBits - a.weightBits || a.seed - b.seed,
    )[0];
  return named ?? most(collapsed) ?? most(fallen);
}
