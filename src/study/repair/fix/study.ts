/** The fix search of a study: for each recipe with failing trials, the remedies of its findings. */

import { type FixStep, remediesOf } from "../../../diagnose/remedy/search.ts";
import type { TrialRecord } from "../../plan/record.ts";
import type { StudyConfig } from "../../plan/schema.ts";
import type { LoadedStudy } from "../../result/read-study.ts";
import { failingTrialOf } from "../failing-trial.ts";
import { withFailedLowered } from "./failed-causes.ts";
import { type Fix, readFixes } from "./fix.ts";
import { type FixTrialOptions, fixIn, fixKind } from "./trial.ts";

/** Trainings that are still to come; their number is an estimate. */
export interface ExpectedStage {
  readonly kind: string;
  readonly trainings: number;
  /** Training steps of all of them. */
  readonly steps: number;
  /** Side by side. */
  readonly parallel: number;
}

/** How the fixes of a study are searched, and who is notified. */
export interface FixStudyOptions extends Pick<FixTrialOptions, "signal" | "launch" | "onChange"> {
  readonly fix: NonNullable<StudyConfig["fix"]>;
  /** Before the first remedy of a recipe is tried. */
  readonly onFailingTrial?: (failing: TrialRecord, remedies: number) => void;
  readonly onStep?: (step: FixStep, left: number) => void;
  readonly onFixed?: (fix: Fix) => void;
}

/** Fixes the recipes that are not in fix.json yet. Returns all fixes. */
export async function fixStudy(study: LoadedStudy, options: FixStudyOptions): Promise<readonly Fix[]> {
  const { fix, onFailingTrial, onFixed, ...rest } = options;
  const { config, records, result, paths } = study;
  const made: Fix[] = [];
  for (const { name } of config.recipes) {
    if ((await readFixes(paths.fixes)).some(({ recipe }) => recipe === name)) continue;
    // A remedy that failed for a recipe comes later for the next; earlier fix searches have lowered the records already.
    const failing = failingTrialOf(withFailedLowered(records, made), name, result.reference, fix);
    if (failing === undefined) continue;
    const remedies = remediesOf(failing.findings, fix.remedies);
    onFailingTrial?.(failing, remedies.length);
    const short = fix.epochs === undefined ? {} : { short: { "train.epochs": fix.epochs } };
    // Outside of the optional call, because without a listener its argument would not be evaluated.
    const found = await fixIn(study, { trial: failing.id, remedies, margin: fix.margin, ...short, ...rest });
    made.push(found);
    onFixed?.(found);
  }
  return readFixes(paths.fixes);
}

/** Returns the trainings that fixes may still take, before the failing trials are known. */
export function expectedStages(
  config: StudyConfig,
  stepsOfTrial: number,
  parallel: number,
  fixes: readonly Fix[],
): ExpectedStage[] {
  const { fix } = config;
  if (fix === null) return [];
  const open = config.recipes.filter(({ name }) => !fixes.some(({ recipe }) => recipe === name)).length;
  const cells = config.weightBits.length * config.activationBits.length * config.seeds.length;
  const remap = fix.map ? open * cells : 0;
  return [
    expectedFixes(open * usualRemedies, stepsOfTrial),
    { kind: "fixed", trainings: remap, steps: remap * stepsOfTrial, parallel },
  ].filter(({ trainings }) => trainings > 0);
}

/** Remedies that a fix search usually tries. */
const usualRemedies = 4;

/** Returns the stage of a fix search with this number of trainings, one after the other. */
export function expectedFixes(trainings: number, stepsOfTrial: number): ExpectedStage {
  return { kind: fixKind, trainings, steps: trainings * stepsOfTrial, parallel: 1 };
}
