/** What `subbyte study --dry-run` finds by opening the data and the model and running a few steps. */

import { ConfigError } from "../../../errors.ts";
import { cellConfig, gridCells } from "../../../study/plan/cells.ts";
import { floatConfig } from "../../../study/plan/config.ts";
import type { StudyConfig } from "../../../study/plan/schema.ts";
import { checkTraining, type TrainingCheck } from "../../training-check.ts";
import { checkLines } from "../../view/check-text.ts";
import { formatDuration } from "../../view/progress-format.ts";

/** What a study would work on, and what it would take. */
export interface StudyCheck {
  /** null where no float network is trained. */
  readonly float: TrainingCheck | null;
  /** The first trial that is possible; null where every cell is impossible. */
  readonly trial: TrainingCheck | null;
  /** The float training and all trials, each with the time of the first one. */
  readonly seconds: number;
}

/** @throws ConfigError and whatever else starting the float training would throw. */
export async function checkStudy(config: StudyConfig): Promise<StudyCheck> {
  const training = floatConfig(config);
  const float = training === undefined ? null : await checkTraining(training);
  const trial = await checkTrial(config);
  const seconds = (float?.seconds ?? 0) + (trial?.seconds ?? 0) * gridCells(config).length;
  return { float, trial, seconds };
}

/** The plan names cells that contradict themselves; here the next one stands for all. */
async function checkTrial(config: StudyConfig): Promise<TrainingCheck | null> {
  for (const cell of gridCells(config)) {
    try {
      return await checkTraining({ ...cellConfig(config, cell), threads: 0 });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
  }
  return null;
}

/** Returns the data, the model and the time of the study, and the bits of its first trial. */
export function studyCheckLines({ float, trial, seconds }: StudyCheck, columns: number | undefined): string[] {
  const check = trial ?? float;
  return [
    ...(check === null ? [] : checkLines(check, columns)),
    ...(float === null ? [] : [`float training: about ${formatDuration(float.seconds)}`]),
    `whole study: about ${formatDuration(seconds)}, less where trials share the cores well`,
  ];
}
