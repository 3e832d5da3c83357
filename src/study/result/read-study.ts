/** A study's folder read back: what was planned, what came of it so far, what it says. Runs nothing. */
import { stat } from "node:fs/promises";
import { runPaths } from "../../runs/folder.ts";
import { checkSums } from "../../runs/sums.ts";
import { readStudyConfig, type StudyPaths, studyPaths } from "../plan/folder.ts";
import { planOf, type StudyPlan } from "../plan/plan.ts";
import type { FloatRecord, TrialRecord } from "../plan/record.ts";
import type { StudyConfig } from "../plan/schema.ts";
import { withFailedLowered } from "../repair/fix/failed-causes.ts";
import { readFixes } from "../repair/fix/fix.ts";
import { readTrialState, trialPaths } from "../schedule/trial-files.ts";
import { readRecords } from "./index.ts";
import { type StudyResult, studyResult } from "./result.ts";

/** A study as its files tell it, finished or not. */
export interface LoadedStudy {
  readonly paths: StudyPaths;
  readonly config: StudyConfig;
  readonly plan: StudyPlan;
  readonly records: readonly TrialRecord[];
  readonly result: StudyResult;
}

/**
 * @throws ConfigError when the folder holds no study, or one of another version.
 *
 * @example
 * const read = (folder: string) => readStudy(folder); // a folder that `study` or `subbyte study` wrote
 * console.log(typeof read); // function
 */
export async function readStudy(folder: string): Promise<LoadedStudy> {
  const paths = studyPaths(folder);
  const config = await readStudyConfig(folder);
  const plan = await planOf(paths, config);
  const fixes = await readFixes(paths.fixes);
  const records = withFailedLowered(await readRecords(paths, plan.trials), fixes);
  const result = studyResult(config, plan, await readFloat(paths, config), records, fixes);
  return { paths, config, plan, records, result };
}

/** The float training that the trials start from; null where there is none, or nothing is known of it. */
export async function readFloat(paths: StudyPaths, config: StudyConfig): Promise<FloatRecord | null> {
  if (config.float === null) return null;
  const folder = config.float.from ?? paths.float;
  const isFolder = await stat(folder).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  if (!isFolder) return null;
  // Without its number, every score would be compared with nothing.
  await checkSums(runPaths(folder));
  const { accuracy, epochs } = await readTrialState(trialPaths(folder));
  return accuracy === null ? null : { accuracy, epochs };
}
