/** A run of a study as the scheduler takes it: its job, its length, and where its files say that it stands. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { configToYaml } from "../../config/config.ts";
import type { TrainingConfig } from "../../config/schema/schema.ts";
import { ConfigError } from "../../errors.ts";
import { lastCheckpoint } from "../../runs/checkpoint-names.ts";
import { runPaths } from "../../runs/folder.ts";
import { floatRunName, type StudyPaths } from "../plan/folder.ts";
import type { StudyConfig } from "../plan/schema.ts";
import type { ScheduledTrial } from "./scheduler.ts";
import { readTrialState, trialPaths } from "./trial-files.ts";

/** A run that is to be trained: `parent` is a folder inside of the study's. */
export interface PendingRun {
  readonly name: string;
  /** Runs of one kind take about the same time a step. */
  readonly kind: string;
  readonly parent: string;
  /** Paths inside of the study's folder under which an earlier version kept it. */
  readonly former?: readonly string[];
  readonly training: TrainingConfig;
  /** Training images. */
  readonly samples: number;
  /** Whether it is watched while it trains. */
  readonly diagnose: boolean;
  /** Whether it stops where a finding is certain; absent: no. */
  readonly stopOnFault?: boolean;
}

/** @throws ConfigError when the folder holds a run of another configuration. */
export async function scheduledRun(study: StudyPaths, run: PendingRun): Promise<ScheduledTrial> {
  const { kind, training, samples, diagnose, stopOnFault = false, former = [] } = run;
  const usual = join(run.parent, run.name);
  const kept = [usual, ...former].find((path) => existsSync(join(study.folder, path))) ?? usual;
  const [parent, name] = [dirname(kept), basename(kept)];
  const paths = trialPaths(join(study.folder, kept));
  const config = configToYaml(training);
  const before = await readFile(paths.config, "utf8").catch(() => undefined);
  if (before !== undefined && before !== config) {
    throw new ConfigError("the run has another configuration than the study", {
      where: paths.config,
      remedy: "Undo the change of study.yaml, or move this run's folder away to train it again.",
    });
  }
  const { status, reason, epochs } = await readTrialState(paths);
  const { epochs: totalEpochs, batchSize } = training.train;
  return {
    id: run.name,
    kind,
    job: { kind: "run", parent, name, config, diagnose, ...(stopOnFault ? { stopOnFault } : {}) },
    paths,
    totalSteps: totalEpochs * Math.floor(samples / batchSize),
    totalEpochs,
    status,
    reason,
    accuracies: epochs.map((epoch) => epoch.testAccuracy),
  };
}

/** The checkpoint that trials start from, inside of the study's folder, where workers run, so that a study can be moved. */
export function floatCheckpoint({ float }: StudyConfig): string | undefined {
  if (float === null) return undefined;
  return float.from ?? join(runPaths(floatRunName).checkpoints, lastCheckpoint);
}
