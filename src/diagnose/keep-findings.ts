/** Watching a run and keeping what was found in its folder: findings.json, written before the run's summary. */

import { InputOutputError } from "../errors.ts";
import { writeFileAtomic } from "../io/atomic-file.ts";
import type { KeptAblation } from "../runs/ablation.ts";
import type { Finding } from "../runs/finding.ts";
import { lockRun, type RunPaths, runPaths } from "../runs/folder.ts";
import { readEpochs } from "../runs/record.ts";
import { rewriting } from "../runs/sums.ts";
import type { WatchedTraining } from "../train/loop/recipe.ts";
import { diagnose } from "./diagnose.ts";
import { type RunDiagnosis, readProbeRecords } from "./diagnose-run.ts";
import { factsOf } from "./facts.ts";
import { type RunWatch, type WatchOptions, watchTraining } from "./watch-run.ts";

/** Writes the findings of a run into its folder. @throws InputOutputError when they cannot be written. */
export async function writeFindings(folder: string, findings: readonly Finding[]): Promise<void> {
  await writeFileAtomic(runPaths(folder).findings, `${JSON.stringify({ schemaVersion: 1, findings }, undefined, 2)}\n`);
}

/**
 * Writes what a diagnosis came to into the run's folder.
 *
 * @throws InputOutputError when that cannot be done, ConfigError while another process writes the run.
 */
export async function keepDiagnosis({
  folder,
  step,
  findings,
  ablation,
}: Pick<RunDiagnosis, "folder" | "step" | "findings" | "ablation">): Promise<void> {
  const paths = runPaths(folder);
  const unlock = lockRun(paths);
  try {
    await rewriting(paths, [paths.findings, ...(ablation === undefined ? [] : [paths.ablation])], async () => {
      await writeFindings(folder, findings);
      if (ablation === undefined) return;
      const kept: KeptAblation = { schemaVersion: 1, step, ...ablation };
      await writeFileAtomic(paths.ablation, `${JSON.stringify(kept, undefined, 2)}\n`);
    });
  } finally {
    unlock();
  }
}

/**
 * A watch that also writes findings.json when the training ends, whichever way. The findings are made of the run's
 * files, so that those of a run that was killed and resumed tell of the whole run.
 */
export function watchAndKeep(
  run: WatchedTraining & { readonly paths: RunPaths },
  options: Omit<WatchOptions, "file"> = {},
): RunWatch {
  const { paths, network, recipe } = run;
  const watch = watchTraining(run, { ...options, file: paths.diagnosis, folder: paths.folder });
  const keep = async () => {
    await watch.watcher.release();
    const [records, epochs] = await Promise.all([readProbeRecords(paths.diagnosis), readEpochs(paths.metrics)]);
    const facts = factsOf(network, { ...options, recipe });
    try {
      await writeFindings(paths.folder, diagnose({ ...watch.input(), facts, records, epochs }));
    } catch (error) {
      // On a full disk the run itself says so; findings are extra.
      if (!(error instanceof InputOutputError)) throw error;
    }
  };
  const { watcher } = watch;
  return {
    records: watch.records,
    input: () => watch.input(),
    findings: () => watch.findings(),
    watcher: {
      beforeStep: (step) => watcher.beforeStep(step),
      fault: () => watcher.fault?.(),
      afterStep: (step, loss) => watcher.afterStep(step, loss),
      afterEpoch: (progress) => watcher.afterEpoch(progress),
      afterTraining: (trained) => watcher.afterTraining(trained),
      release: keep,
    },
  };
}
