/** A study from start to end: folder, plan, the float stage, the trials, the result; and its resumption. */

import { join } from "node:path";
import { defined } from "../base/defined.ts";
import type { ConfigSource } from "../config/source.ts";
import { ConfigError, InterruptedError, RuntimeError, SubbyteError } from "../errors.ts";
import { makeFolder, removeTemporaries, writeFileAtomic } from "../io/atomic-file.ts";
import { removeStaleLocks } from "../io/lock.ts";
import { lockName } from "../runs/folder.ts";
import { cellConfig, studyCells, trialId } from "./plan/cells.ts";
import { floatConfig, settleStudyConfig } from "./plan/config.ts";
import {
  addFix,
  createStudyFolder,
  floatRunName,
  lockStudy,
  readStudyConfig,
  type StudyPaths,
  studyPaths,
} from "./plan/folder.ts";
import { planOf, type StudyPlan } from "./plan/plan.ts";
import { keepPlugins } from "./plan/plugins.ts";
import type { PlannedTrial, TrialRecord } from "./plan/record.ts";
import type { StudyConfig } from "./plan/schema.ts";
import { formerTrialIds } from "./plan/trial-names.ts";
import { type AblateStudyOptions, ablateFailingTrials } from "./repair/ablate-study.ts";
import { withFailedLowered } from "./repair/fix/failed-causes.ts";
import { readFixes } from "./repair/fix/fix.ts";
import {
  type ExpectedStage,
  expectedFixes,
  expectedStages,
  type FixStudyOptions,
  fixStudy,
} from "./repair/fix/study.ts";
import { readRecords } from "./result/index.ts";
import { type LoadedStudy, readFloat, readStudy } from "./result/read-study.ts";
import { studyResult } from "./result/result.ts";
import { type Launch, launchWorker } from "./schedule/launch.ts";
import { floatCheckpoint, type PendingRun, scheduledRun } from "./schedule/scheduled-run.ts";
import { runTrials, type ScheduledTrial, type SchedulerOptions, type TrialProgress } from "./schedule/scheduler.ts";
import { readWorkerFile, trialPaths } from "./schedule/trial-files.ts";
import type { WorkerEvent } from "./schedule/worker-protocol.ts";

/** The study to run, and where. */
export interface StudyOptions {
  /** The study's folder. */
  readonly folder: string;
  /** Of a new study, or of the one in the folder; absent: resume the one in the folder. */
  readonly config?: StudyConfig;
  readonly source?: ConfigSource;
  /** Trials side by side in this start; changes no result. */
  readonly parallel?: number;
  /** Fix a study that was made without a fix. */
  readonly fix?: boolean;
  readonly launch?: Launch;
}

/** The trainings that a study is about to run. */
export interface StudyStart extends Pick<LoadedStudy, "paths" | "config" | "plan"> {
  readonly isNew: boolean;
  readonly parallel: number;
  /** The float stage, where one is to be trained, and all trials that can exist. */
  readonly stages: readonly ScheduledTrial[];
  /** The trainings that a fix search may need after them. */
  readonly expected: readonly ExpectedStage[];
}

/** An event of a trial. */
export type StudyEvent = WorkerEvent["kind"] | "begun" | "ended" | "again";

/** Listeners of a running study. */
export interface StudyListeners {
  readonly signal?: AbortSignal;
  readonly onStart?: (start: StudyStart) => void;
  readonly onChange?: (trial: TrialProgress, event: StudyEvent) => void;
  /** More trainings have become known, and what may come after them. */
  readonly onMore?: (stages: readonly ScheduledTrial[], expected: readonly ExpectedStage[]) => void;
  readonly onAblation?: AblateStudyOptions["onAblation"];
  readonly onFailingTrial?: FixStudyOptions["onFailingTrial"];
  readonly onStep?: FixStudyOptions["onStep"];
  readonly onFixed?: FixStudyOptions["onFixed"];
}

/** A study that ran to its end, with its result. */
export interface FinishedStudy extends Omit<LoadedStudy, "plan"> {
  /** Why result.json could not be written; null: it was. */
  readonly unwritten: string | null;
}

/**
 * Runs a study, or resumes the one in the folder: finished trials are not repeated.
 *
 * @throws InterruptedError when the signal stopped it, with how to resume; RuntimeError when the float stage failed, or the first
 * three trials failed with the same message; PluginError for a plugin that changed since the study was started. Any other trial
 * that fails does not throw: the result reports it.
 */
export async function runStudy(options: StudyOptions, listeners: StudyListeners = {}): Promise<FinishedStudy> {
  const { paths, isNew } = await openFolder(options);
  const unlock = lockStudy(paths);
  try {
    await removeTemporaries(paths.folder, { recursive: true });
    await removeStaleLocks(paths.folder, lockName);
    const config = await readStudyConfig(paths.folder);
    await keepPlugins(paths, config);
    return await new StudyRun(options, listeners, paths, config, isNew).run();
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    throw new InterruptedError(error.message, {
      where: paths.folder,
      remedy: `Resume with: subbyte study --resume ${paths.folder}`,
      cause: error,
    });
  } finally {
    unlock();
  }
}

async function openFolder(options: StudyOptions): Promise<{ readonly paths: StudyPaths; readonly isNew: boolean }> {
  const { folder, config, source } = options;
  if (config !== undefined) return createStudyFolder(folder, settleStudyConfig(config), source);
  const before = await readStudyConfig(folder);
  if (options.fix === true && before.fix === null) await addFix(folder, before);
  return { paths: studyPaths(folder), isNew: false };
}

class StudyRun {
  readonly #options: StudyOptions;
  readonly #listeners: StudyListeners;
  readonly #paths: StudyPaths;
  readonly #config: StudyConfig;
  readonly #isNew: boolean;
  readonly #parallel: number;

  constructor(
    options: StudyOptions,
    listeners: StudyListeners,
    paths: StudyPaths,
    config: StudyConfig,
    isNew: boolean,
  ) {
    this.#options = options;
    this.#listeners = listeners;
    this.#paths = paths;
    this.#config = config;
    this.#isNew = isNew;
    this.#parallel = options.parallel ?? config.parallel;
  }

  async run(): Promise<FinishedStudy> {
    const config = this.#config;
    const paths = this.#paths;
    const plan = await planOf(paths, config);
    await makeFolder(paths.trials);
    const float = await this.#floatStage(plan);
    const grid = await this.#trials(plan, (recipe) => config.recipes.some(({ name }) => name === recipe));
    const stages = float === undefined ? grid : [float, ...grid];
    const expected = expectedStages(config, stepsOf(grid), this.#parallel, await readFixes(paths.fixes));
    this.#listeners.onStart?.({ paths, config, plan, isNew: this.#isNew, parallel: this.#parallel, stages, expected });
    if (float !== undefined) await this.#trainFloat(float);
    const peak = (await readWorkerFile(trialPaths(paths.float)))?.peakMemoryBytes ?? 0;
    const ends = await this.#grid(grid, peak);
    await this.#ablate();
    const fixed = await this.#fix(stepsOf(grid), peak);
    // A fix adds trials to the plan.
    const whole = await planOf(paths, config);
    const fixes = await readFixes(paths.fixes);
    const trials = withFailedLowered(await readRecords(paths, whole.trials), fixes);
    const records = withEnds(trials, [...ends, ...fixed]);
    const result = studyResult(config, whole, await readFloat(paths, config), records, fixes);
    const unwritten = await writeFileAtomic(paths.result, `${JSON.stringify(result, undefined, 1)}\n`).then(
      () => null,
      (error: unknown) => {
        // On a full disk the numbers are still worth having.
        if (error instanceof SubbyteError) return error.describe();
        throw error;
      },
    );
    return { paths, config, result, records, unwritten };
  }

  /** Trains the grid. @throws RuntimeError when its first trials failed alike, with how to resume. */
  async #grid(grid: readonly ScheduledTrial[], peak: number): Promise<readonly TrialProgress[]> {
    try {
      return await this.#schedule(grid, this.#parallel, peak, this.#config.earlyStopping, true);
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      throw new RuntimeError(error.message, {
        where: this.#paths.folder,
        remedy: `Fix the cause, then resume with: subbyte study --resume ${this.#paths.folder}`,
        cause: error,
      });
    }
  }

  /** Measures what the diagnosis of failing trials needs besides the measurements of their training. */
  async #ablate(): Promise<void> {
    if (!this.#config.diagnose) return;
    const { signal, onAblation } = this.#listeners;
    await ablateFailingTrials(await readStudy(this.#paths.folder), {
      launch: this.#options.launch ?? launchWorker,
      ...defined({ signal, onAblation }),
    });
  }

  /** Searches fixes for failing trials and trains the grid again with them. */
  async #fix(steps: number, peak: number): Promise<readonly TrialProgress[]> {
    const config = this.#config;
    const { signal, onChange, onMore, onFailingTrial, onStep, onFixed } = this.#listeners;
    if (config.fix === null) return [];
    const [, again] = expectedStages(config, steps, this.#parallel, []);
    const expect = (remedies: number) =>
      onMore?.([], [expectedFixes(remedies, steps), ...(again === undefined ? [] : [again])]);
    await fixStudy(await readStudy(this.#paths.folder), {
      fix: config.fix,
      launch: this.#options.launch ?? launchWorker,
      ...defined({ signal, onChange, onFixed }),
      onFailingTrial: (failing, remedies) => {
        expect(remedies);
        onFailingTrial?.(failing, remedies);
      },
      onStep: (step, left) => {
        expect(left);
        onStep?.(step, left);
      },
    });
    const plan = await planOf(this.#paths, config);
    const trials = config.fix.map
      ? await this.#trials(plan, (recipe) => !config.recipes.some(({ name }) => name === recipe))
      : [];
    onMore?.(trials, []);
    return this.#schedule(trials, this.#parallel, peak, config.earlyStopping);
  }

  #schedule(
    trials: readonly ScheduledTrial[],
    parallel: number,
    peakMemoryBytes: number,
    earlyStopping: SchedulerOptions["earlyStopping"],
    stopsAlike = false,
  ): Promise<readonly TrialProgress[]> {
    const { signal, onChange } = this.#listeners;
    return runTrials({
      folder: this.#paths.folder,
      trials,
      parallel,
      retries: this.#config.retries,
      earlyStopping,
      stopsAlike,
      launch: this.#options.launch ?? launchWorker,
      peakMemoryBytes,
      ...defined({ signal, onChange }),
    });
  }

  async #floatStage(plan: StudyPlan): Promise<ScheduledTrial | undefined> {
    const training = floatConfig(this.#config);
    if (training === undefined) return undefined;
    return this.#scheduled({ name: floatRunName, kind: "float", parent: ".", training }, plan.samples);
  }

  /** Every possible trial of these recipes, in the state of its files. */
  async #trials(plan: StudyPlan, has: (recipe: string) => boolean): Promise<ScheduledTrial[]> {
    const fixes = await readFixes(this.#paths.fixes);
    const cells = new Map(studyCells(this.#config, fixes).map((cell) => [trialId(cell), cell]));
    const possible = plan.trials.filter((trial) => trial.impossible === null && has(trial.recipe));
    return Promise.all(
      possible.map((planned) => {
        const cell = cells.get(planned.id);
        if (cell === undefined) throw missingCell(planned, this.#paths);
        const training = cellConfig(this.#config, cell, floatCheckpoint(this.#config));
        const former = formerTrialIds(planned).map((id) => join("trials", id));
        return this.#scheduled(
          { name: planned.id, kind: planned.recipe, parent: "trials", former, training },
          plan.samples,
        );
      }),
    );
  }

  #scheduled(run: Omit<PendingRun, "samples" | "diagnose" | "stopOnFault">, samples: number) {
    const { diagnose, stopOnFault } = this.#config;
    return scheduledRun(this.#paths, { ...run, samples, diagnose, stopOnFault });
  }

  async #trainFloat(stage: ScheduledTrial): Promise<void> {
    const [end] = await this.#schedule([stage], 1, 0, { ...this.#config.earlyStopping, rule: "none" });
    if (end?.status === "finished") return;
    throw new RuntimeError(`the float stage failed: ${end?.reason ?? "for an unknown reason"}`, {
      where: stage.paths.folder,
      remedy: `Fix the cause, then resume with: subbyte study --resume ${this.#paths.folder}`,
    });
  }
}

/** Steps of a trial of the grid. */
function stepsOf(trials: readonly ScheduledTrial[]): number {
  return trials[0]?.totalSteps ?? 0;
}

/** Returns the records with the failures that could not be written to files. */
function withEnds(records: readonly TrialRecord[], ends: readonly TrialProgress[]): TrialRecord[] {
  const byId = new Map(ends.map((end) => [end.trial.id, end]));
  return records.map((record) => {
    const end = byId.get(record.id);
    if (end === undefined || (end.status === record.status && end.reason === record.reason)) return record;
    const isResult = end.status === "finished";
    return {
      ...record,
      status: end.status,
      reason: end.reason,
      ...(isResult ? {} : { accuracy: null, bestAccuracy: null, loss: null }),
    };
  });
}

function missingCell({ id }: PlannedTrial, { plan }: StudyPaths): ConfigError {
  const remedy = "Remove it: it is created again.";
  return new ConfigError(`the plan has a trial ${id} that the configuration does not have`, { where: plan, remedy });
}
