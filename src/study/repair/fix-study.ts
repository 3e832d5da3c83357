/** The cure of a study: for each recipe whose trials fell, the remedies that its findings ask for. */

import { curedPlaces } from "../plan/cells.ts";
import type { TrialRecord } from "../plan/record.ts";
import type { StudyConfig } from "../plan/schema.ts";
import type { LoadedStudy } from "../result/read-study.ts";
import { patientOf, remediesOf } from "./failing-trial.ts";
import type { Cure, CureStep } from "./fix.ts";
import { readCures } from "./fix.ts";
import { type CureTrialOptions, cureIn, cureKind } from "./fix-trial.ts";

/** Trainings that are still to come and whose number is only guessed. */
export interface ExpectedStage {
  readonly kind: string;
  readonly trainings: number;
  /** Of all of them. */
  readonly steps: number;
  /** Side by side. */
  readonly parallel: number;
}

export interface CureStudyOptions extends Pick<CureTrialOptions, "signal" | "launch" | "onChange"> {
  readonly cure: NonNullable<StudyConfig["cure"]>;
  /** Before the first remedy of a recipe is tried. */
  readonly onPatient?: (patient: TrialRecord, remedies: number) => void;
  readonly onStep?: (step: CureStep, left: number) => void;
  readonly onCured?: (cure: Cure) => void;
}

/** Cures the recipes that are not in cure.json yet. Gives all cures that there are. */
export async function cureStudy(study: LoadedStudy, options: CureStudyOptions): Promise<readonly Cure[]> {
  const { cure, onPatient, onCured, ...rest } = options;
  const { config, records, result, paths } = study;
  for (const { name } of config.recipes) {
    if ((await readCures(paths.cure)).some(({ recipe }) => recipe === name)) continue;
    const patient = patientOf(records, name, result.reference, cure);
    if (patient === undefined) continue;
    const remedies = remediesOf(patient, cure.remedies);
    onPatient?.(patient, remedies.length);
    const short = cure.epochs === undefined ? {} : { short: { "train.epochs": cure.epochs } };
    // Not inside of the optional call: without a listener that would not even be evaluated.
    const found = await cureIn(study, { trial: patient.id, remedies, margin: cure.margin, ...short, ...rest });
    onCured?.(found);
  }
  return readCures(paths.cure);
}

/** What a cure may still take, before it is known what has to be cured. */
export function expectedStages(
  config: StudyConfig,
  stepsOfTrial: number,
  parallel: number,
  cures: readonly Cure[],
): ExpectedStage[] {
  const { cure } = config;
  if (cure === null) return [];
  const open = config.recipes.filter(({ name }) => !cures.some(({ recipe }) => recipe === name)).length;
  const cells = config.weightBits.length * config.activationBits.length * config.seeds.length;
  const remap = cure.map ? open * cells : 0;
  return [
    expectedCure(open * usualRemedies, stepsOfTrial),
    { kind: "cured", trainings: remap, steps: remap * stepsOfTrial, parallel },
  ].filter(({ trainings }) => trainings > 0);
}

/** Remedies that a cure usually tries. */
const usualRemedies = 4;

/** So many trials of a cure, one after the other. */
export function expectedCure(trainings: number, stepsOfTrial: number): ExpectedStage {
  return { kind: cureKind, trainings, steps: trainings * stepsOfTrial, parallel: 1 };
}

/** Whether a cure leaves a grid to be trained again. */
export function hasCuredMap(config: StudyConfig, cures: readonly Cure[]): boolean {
  return config.cure?.map === true && curedPlaces(config, cures).length > 0;
}
