/** The files of a trial: reads its state, and writes that it was stopped or failed. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { SubbyteError } from "../../errors.ts";
import { makeFolder, removeFile, removeTemporaries, writeFileAtomic } from "../../io/atomic-file.ts";
import { describeSystemError } from "../../io/system-error.ts";
import { type RunPaths, runPaths } from "../../runs/folder.ts";
import { readJson, readRunRecord } from "../../runs/record.ts";
import type { TrialState, TrialTiming } from "../plan/record.ts";

/** The paths inside of a trial's folder: a run's, and the study's own. */
export interface TrialPaths extends RunPaths {
  /** How a trial without a result ended. */
  readonly outcome: string;
  /** The process that ran it last. */
  readonly worker: string;
}

/** Returns the paths inside a trial's folder; creates nothing. */
export function trialPaths(folder: string): TrialPaths {
  return {
    ...runPaths(folder),
    outcome: join(folder, "outcome.json"),
    worker: join(folder, "worker.json"),
  };
}

/** The folder next to a study's trials for graphs that are optimised once for all of them. */
export function compiledFolder(parent: string): string {
  return join(parent, ".compiled");
}

const outcomeSchema = z.object({
  schemaVersion: z.literal(1),
  status: z.enum(["stopped", "failed"]),
  /** Epochs that count; later ones are ignored. */
  epoch: z.number().nullable(),
  reason: z.string(),
});
/** How a trial without a result ended. */
export type Outcome = Omit<z.output<typeof outcomeSchema>, "schemaVersion">;

const workerSchema = z.object({ pid: z.number(), peakMemoryBytes: z.number().nullable() });
/** The process and the memory of a worker. */
export type WorkerFile = z.output<typeof workerSchema>;

/** Reads the state of a trial from its files. Unreadable or damaged files make a failed trial, not a failed study. */
export async function readTrialState(paths: TrialPaths): Promise<TrialState & { readonly timing: TrialTiming }> {
  try {
    return await readFiles(paths);
  } catch (error) {
    const reason = error instanceof SubbyteError ? error.describe() : describeSystemError(error).reason;
    const timing = { seconds: null, imagesPerSecond: null, peakMemoryBytes: null };
    const none = { accuracy: null, bestAccuracy: null, loss: null, epochs: [], findings: [], ablation: null };
    return { status: "failed", reason, ...none, timing };
  }
}

async function readFiles(paths: TrialPaths): Promise<TrialState & { readonly timing: TrialTiming }> {
  const [{ summary, epochs, findings, ablation }, outcome, worker] = await Promise.all([
    readRunRecord(paths),
    readJson(paths.outcome, outcomeSchema),
    readJson(paths.worker, workerSchema),
  ]);
  const timing = {
    seconds: summary?.seconds ?? null,
    imagesPerSecond: summary?.imagesPerSecond ?? null,
    peakMemoryBytes: worker?.peakMemoryBytes ?? null,
  };
  const shared = { findings, ablation, timing };
  const none = { accuracy: null, bestAccuracy: null, loss: null };
  if (outcome !== undefined) {
    const { status, reason, epoch } = outcome;
    const counted = epoch === null ? epochs : epochs.filter((point) => point.epoch <= epoch);
    return { status, reason, ...none, epochs: counted, ...shared };
  }
  if (summary !== undefined) {
    const { accuracy, bestAccuracy, loss } = summary;
    return { status: "finished", reason: null, accuracy, bestAccuracy, loss, epochs, ...shared };
  }
  const begun = epochs.length > 0 || existsSync(paths.config);
  return { status: begun ? "unfinished" : "waiting", reason: null, ...none, epochs, ...shared };
}

/** Writes how a trial without a result ended. */
export async function writeOutcome(paths: TrialPaths, outcome: Outcome): Promise<void> {
  // A worker may die before it has created its folder. Where the folder cannot be created, the write reports the reason.
  await makeFolder(paths.folder).catch(() => undefined);
  await writeFileAtomic(paths.outcome, `${JSON.stringify({ schemaVersion: 1, ...outcome }, undefined, 2)}\n`);
}

/** Prepares a failed trial for another attempt: removes its outcome and partially written files. */
export async function clearForAttempt(paths: TrialPaths): Promise<void> {
  await removeFile(paths.outcome);
  const folders = [paths.folder, paths.checkpoints, compiledFolder(dirname(paths.folder))];
  await Promise.all(folders.map((folder) => removeTemporaries(folder)));
}

/** Reads which process ran a trial last. */
export function readWorkerFile(paths: TrialPaths): Promise<WorkerFile | undefined> {
  return readJson(paths.worker, workerSchema);
}

/** Returns a text that changes with a trial's files: sizes and times of those that its state is read from. */
export async function trialFingerprint(paths: TrialPaths): Promise<string> {
  const files = [
    paths.config,
    paths.metrics,
    paths.summary,
    paths.outcome,
    paths.worker,
    paths.findings,
    paths.ablation,
    paths.sums,
  ];
  const parts = await Promise.all(
    files.map((file) =>
      stat(file, { bigint: true }).then(
        ({ size, mtimeNs, ino }) => `${size}:${mtimeNs}:${ino}`,
        () => "-",
      ),
    ),
  );
  return parts.join(" ");
}
