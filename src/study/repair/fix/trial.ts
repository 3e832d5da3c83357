/** The fix search for one configuration of a study: remedies as trials of their own, kept in the study's folder. */

import { join } from "node:path";
import { defined } from "../../../base/defined.ts";
import type { ConfigChanges } from "../../../config/changes.ts";
import { configToYaml } from "../../../config/config.ts";
import { formerNames } from "../../../config/former-names.ts";
import { type FixStep, laidOver, searchFix } from "../../../diagnose/remedy/search.ts";
import { ConfigError } from "../../../errors.ts";
import { writeFileAtomic } from "../../../io/atomic-file.ts";
import { configHash } from "../../../runs/checkpoint.ts";
import type { Remedy } from "../../../runs/finding.ts";
import { gridCells, trialId } from "../../plan/cells.ts";
import { trialConfig } from "../../plan/config.ts";
import { formerTrialIds } from "../../plan/trial-names.ts";
import type { LoadedStudy } from "../../result/read-study.ts";
import { type Launch, launchWorker } from "../../schedule/launch.ts";
import { floatCheckpoint, scheduledRun } from "../../schedule/scheduled-run.ts";
import { runTrials, type SchedulerOptions } from "../../schedule/scheduler.ts";
import { readTrialState } from "../../schedule/trial-files.ts";
import { failedCauses } from "./failed-causes.ts";
import { encodeFixes, type Fix, readFixes } from "./fix.ts";

/** The trial to fix, the accuracy to reach, and how trainings are started. */
export interface FixTrialOptions {
  /** The failing trial, by its name; it must have finished. */
  readonly trial: string;
  /** In the order of the trials: the remedy of the most likely cause first. */
  readonly remedies: readonly Remedy[];
  /** Changes of every trial of the search, such as fewer epochs. The trial itself is then measured with them too. */
  readonly short?: ConfigChanges;
  /** Accuracy to reach; default: float minus the study's tolerance. */
  readonly goal?: number;
  /** Smallest gain for which a remedy is kept. */
  readonly margin?: number;
  readonly signal?: AbortSignal;
  readonly launch?: Launch;
  readonly onChange?: SchedulerOptions["onChange"];
  readonly onStep?: (step: FixStep, left: number) => void;
}

/** A smaller gain is within the spread over seeds. */
const defaultMargin = 0.005;
/** The kind of the trials of a fix search, and their folder inside of the study's. */
export const fixKind = "fix";
/** Its folder in studies of earlier versions. */
const formerFolder = formerNames.fix;

/**
 * Tries the remedies and adds the fix to fix.json, which the report shows. An interrupted search resumes, because each set
 * of remedies is a run whose name contains the hash of its configuration.
 *
 * @param study A study that this process has locked.
 * @throws ConfigError when there is no such trial, or it has not finished.
 */
export async function fixIn(study: LoadedStudy, options: FixTrialOptions): Promise<Fix> {
  const { paths, config, plan, result } = study;
  const cell = gridCells(config).find((candidate) => trialId(candidate) === options.trial);
  const record = study.records.find(({ id }) => id === options.trial);
  if (cell === undefined || record === undefined || record.accuracy === null) {
    throw new ConfigError(`there is no finished trial ${options.trial}`, {
      where: paths.folder,
      remedy: `Finished trials: ${study.records.flatMap(({ id, accuracy }) => (accuracy === null ? [] : id)).join(", ")}.`,
    });
  }
  const trainingWith = (changes: ConfigChanges) =>
    trainingOrReason(() => trialConfig(config, cell, floatCheckpoint(config), { ...options.short, ...changes }));
  const measure = async (changes: ConfigChanges): Promise<number | string> => {
    const training = trainingWith(changes);
    if (typeof training === "string") return training;
    const hash = configHash(configToYaml(training));
    const former = formerTrialIds(record).map((id) => join(formerFolder, `${id}_${hash}`));
    const { diagnose } = config;
    const name = `${options.trial}_${hash}`;
    const run = { name, kind: fixKind, parent: fixKind, former, training, samples: plan.samples, diagnose };
    const trial = await scheduledRun(paths, run);
    await runTrials({
      folder: paths.folder,
      trials: [trial],
      parallel: 1,
      retries: config.retries,
      earlyStopping: { ...config.earlyStopping, rule: "none" },
      launch: options.launch ?? launchWorker,
      ...defined({ signal: options.signal, onChange: options.onChange }),
    });
    const { accuracy, reason } = await readTrialState(trial.paths);
    return accuracy ?? `the trial failed: ${reason}`;
  };
  const float = result.reference.float;
  const short = options.short === undefined ? record.accuracy : await measure({});
  const search = await searchFix({
    remedies: options.remedies,
    before: typeof short === "number" ? short : record.accuracy,
    goal: options.goal ?? (float === null ? 1 : float - config.tolerance),
    margin: options.margin ?? defaultMargin,
    measure: (remedies) => measure(laidOver(remedies)),
    configurationOf: (remedies) => {
      const training = trainingWith(laidOver(remedies));
      return typeof training === "string" ? training : configToYaml(training);
    },
    ...defined({ onStep: options.onStep }),
  });
  const { recipe, weightBits, activationBits, id } = record;
  const failed = failedCauses(record.findings, search.steps);
  const found: Fix = {
    ...{ recipe, weightBits, activationBits, trial: id, ...search },
    ...(failed.length === 0 ? {} : { failed }),
  };
  const others = (await readFixes(paths.fixes)).filter((known) => known.recipe !== recipe);
  await writeFileAtomic(paths.fixes, encodeFixes([...others, found]));
  return found;
}

/** Returns the reason where a remedy contradicts the configuration: it rules out that remedy and does not end the search. */
function trainingOrReason<Training>(make: () => Training): Training | string {
  try {
    return make();
  } catch (error) {
    if (error instanceof ConfigError) return `invalid: ${error.message}`;
    throw error;
  }
}
