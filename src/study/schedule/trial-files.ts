/** A trial's files: reading what happened, and writing down that it was stopped or failed. */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ablationFileSchema } from "../../diagnose/ablation-result.ts";
import { SubbyteError } from "../../errors.ts";
import { writeFileAtomic } from "../../io/atomic-file.ts";
import { describeSystemError, systemErrorCode } from "../../io/system-error.ts";
import { type RunPaths, runPaths } from "../../runs/folder.ts";
import { readMetrics } from "../../runs/metrics-log.ts";
import type { EpochPoint, TrialState, TrialTiming } from "../plan/record.ts";
import { findingsFileSchema } from "../result/finding.ts";

/** The paths inside of a trial's folder: a run's, and the study's own. */
export interface TrialPaths extends RunPaths {
  /** How a trial that is no result ended. */
  readonly outcome: string;
  /** The process that ran it last. */
  readonly worker: string;
}

export function trialPaths(folder: string): TrialPaths {
  return {
    ...runPaths(folder),
    outcome: join(folder, "outcome.json"),
    worker: join(folder, "worker.json"),
  };
}

const outcomeSchema = z.object({
  schemaVersion: z.literal(1),
  status: z.enum(["stopped", "failed"]),
  /** Epochs that count; what was trained after them is left out of account. */
  epoch: z.number().nullable(),
  reason: z.string(),
});
/** How a trial ended that is no result. */
export type Outcome = Omit<z.output<typeof outcomeSchema>, "schemaVersion">;

const summarySchema = z.object({
  accuracy: z.number(),
  bestAccuracy: z.number(),
  loss: z.number().nullable(),
  seconds: z.number(),
  imagesPerSecond: z.number(),
});
const workerSchema = z.object({ pid: z.number(), peakMemoryBytes: z.number().nullable() });
/** What a worker says of itself. */
export type WorkerFile = z.output<typeof workerSchema>;

const epochSchema = z.object({
  epoch: z.number(),
  trainLoss: z.coerce.number(),
  trainAccuracy: z.number().nullable().default(null),
  testLoss: z.coerce.number(),
  testAccuracy: z.number(),
});

/** The content of a JSON file that fits a schema; undefined when it is missing or does not. */
async function readJson<Output>(file: string, schema: z.ZodType<Output>): Promise<Output | undefined> {
  try {
    const result = schema.safeParse(JSON.parse(await readFile(file, "utf8")));
    return result.success ? result.data : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The ends of epochs that a run's log tells of. */
export async function readEpochs(metricsFile: string): Promise<EpochPoint[]> {
  const epochs = new Map<number, EpochPoint>();
  for (const record of await readMetrics(metricsFile)) {
    const point = epochSchema.safeParse(record);
    if (point.success) epochs.set(point.data.epoch, point.data);
  }
  return [...epochs.values()];
}

/** What a trial's files say happened. Files that cannot be read or are damaged make a failed trial, not a failed study. */
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
  const [summary, outcome, worker, findings, ablation, epochs] = await Promise.all([
    readJson(paths.summary, summarySchema),
    readJson(paths.outcome, outcomeSchema),
    readJson(paths.worker, workerSchema),
    readJson(paths.findings, findingsFileSchema),
    readJson(
      paths.ablation,
      ablationFileSchema.transform(({ schemaVersion: _version, step: _step, ...rest }) => rest),
    ),
    readEpochs(paths.metrics),
  ]);
  const timing = {
    seconds: summary?.seconds ?? null,
    imagesPerSecond: summary?.imagesPerSecond ?? null,
    peakMemoryBytes: worker?.peakMemoryBytes ?? null,
  };
  const shared = { findings: findings?.findings ?? [], ablation: ablation ?? null, timing };
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

/** Writes down how a trial ended that is no result. */
export async function writeOutcome(paths: TrialPaths, outcome: Outcome): Promise<void> {
  // A worker may die before it has made its folder; what is wrong with the folder is told by the write.
  await mkdir(paths.folder, { recursive: true }).catch(() => undefined);
  await writeFileAtomic(paths.outcome, `${JSON.stringify({ schemaVersion: 1, ...outcome }, undefined, 2)}\n`);
}

/** Makes a failed trial ready for another attempt: its failure is forgotten, and half-written files are removed. */
export async function clearForAttempt(paths: TrialPaths): Promise<void> {
  await rm(paths.outcome, { force: true });
  for (const folder of [paths.folder, paths.checkpoints]) {
    const names = await readdir(folder).catch(() => []);
    const halves = names.filter((name) => name.startsWith(".") && name.endsWith(".tmp"));
    await Promise.all(halves.map((name) => rm(join(folder, name), { force: true })));
  }
}

/** The process that ran a trial last. */
export function readWorkerFile(paths: TrialPaths): Promise<WorkerFile | undefined> {
  return readJson(paths.worker, workerSchema);
}

/** Changes whenever a trial's files do: sizes and times of those that its state is read from. */
export async function trialFingerprint(paths: TrialPaths): Promise<string> {
  const files = [
    paths.config,
    paths.metrics,
    paths.summary,
    paths.outcome,
    paths.worker,
    paths.findings,
    paths.ablation,
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
