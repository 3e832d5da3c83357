/** Which part of the quantizers costs what, for the trial of each recipe that stands for what went wrong with it. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { InterruptedError } from "../../errors.ts";
import type { TrialRecord } from "../plan/record.ts";
import type { LoadedStudy } from "../result/read-study.ts";
import type { Launch } from "../schedule/launch.ts";
import { trialPaths } from "../schedule/trial-files.ts";
import { patientOf } from "./failing-trial.ts";

/** How the ablations of a study run. */
export interface AblateStudyOptions {
  readonly launch: Launch;
  readonly signal?: AbortSignal;
  /** Before a trial's, and after them: how they ended that gave nothing. */
  readonly onAblation?: (patient: TrialRecord, problem?: string) => void;
}

/**
 * Evaluates each recipe's patient with parts of its quantizers switched off, unless that was done before. What is found
 * is kept in the trial's folder. A failure is told and is no failure of the trial, which has its result.
 *
 * @throws InterruptedError when the signal stopped it.
 */
export async function ablatePatients(study: LoadedStudy, options: AblateStudyOptions): Promise<void> {
  const { config, records, result, paths } = study;
  const { launch, signal, onAblation } = options;
  for (const { name } of config.recipes) {
    const patient = patientOf(records, name, result.reference, config.cure);
    if (patient === undefined || patient.ablation !== null) continue;
    onAblation?.(patient);
    // One that is damaged, or of another version, is made again.
    await rm(trialPaths(join(paths.trials, patient.id)).ablation, { force: true });
    // It is alone, so that the threads of all trials are its own.
    const job = {
      kind: "ablate",
      parent: "trials",
      name: patient.id,
      threads: config.threads * config.parallel,
    } as const;
    const worker = launch(paths.folder, job, () => undefined);
    const stop = () => worker.stop();
    signal?.addEventListener("abort", stop);
    const end = await worker.end.finally(() => signal?.removeEventListener("abort", stop));
    if (signal?.aborted === true) throw new InterruptedError("the study was stopped");
    if (end.kind === "failed" || end.kind === "died") onAblation?.(patient, end.reason);
  }
}
