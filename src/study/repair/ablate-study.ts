/** Ablation of the failing trial of each recipe: the cost of parts of its quantizers. */
import { basename } from "node:path";
import { InterruptedError } from "../../errors.ts";
import { removeFile } from "../../io/atomic-file.ts";
import { trialFolder } from "../plan/folder.ts";
import type { TrialRecord } from "../plan/record.ts";
import type { LoadedStudy } from "../result/read-study.ts";
import type { Launch } from "../schedule/launch.ts";
import { trialPaths } from "../schedule/trial-files.ts";
import { failingTrialOf } from "./failing-trial.ts";

/** How the ablations of a study run. */
export interface AblateStudyOptions {
  readonly launch: Launch;
  readonly signal?: AbortSignal;
  /** Before a trial's, and after them: how they ended that gave nothing. */
  readonly onAblation?: (failing: TrialRecord, problem?: string) => void;
}

/**
 * Evaluates each recipe's failing trial with some of its quantizers disabled, unless that was done before. What is found
 * is kept in the trial's folder. A failure is reported; the trial keeps its result.
 *
 * @throws InterruptedError when the signal stopped it.
 */
export async function ablateFailingTrials(study: LoadedStudy, options: AblateStudyOptions): Promise<void> {
  const { config, records, result, paths } = study;
  const { launch, signal, onAblation } = options;
  for (const { name } of config.recipes) {
    const failing = failingTrialOf(records, name, result.reference, config.fix);
    if (failing === undefined || failing.ablation !== null) continue;
    onAblation?.(failing);
    // One that is damaged, or of another version, is made again.
    const folder = trialFolder(paths, failing);
    await removeFile(trialPaths(folder).ablation);
    // It is alone, so that the threads of all trials are its own.
    const job = {
      kind: "ablate",
      parent: "trials",
      name: basename(folder),
      threads: config.threads * config.parallel,
    } as const;
    const worker = launch(paths.folder, job, () => undefined);
    const stop = () => worker.stop();
    signal?.addEventListener("abort", stop);
    const end = await worker.end.finally(() => signal?.removeEventListener("abort", stop));
    if (signal?.aborted === true) throw new InterruptedError("the study was stopped");
    if (end.kind === "failed" || end.kind === "died") onAblation?.(failing, end.reason);
  }
}
