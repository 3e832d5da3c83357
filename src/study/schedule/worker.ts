/**
 * The process of one trial: one ONNX Runtime session, one run's folder.
 *
 * It receives its job over the channel to its parent and lives no longer than that channel: when the parent is gone, the
 * worker ends at once as if it were killed, which its files tolerate. Ctrl-C reaches every process of a terminal; only the
 * study acts on it, and asks its workers to stop.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { defined } from "../../base/defined.ts";
import { resolveTrainingConfig } from "../../config/config.ts";
import { readRunConfig } from "../../config/file.ts";
import { loadPluginsOf } from "../../config/plugins.ts";
import { diagnoseRun } from "../../diagnose/diagnose-run.ts";
import { earlyLine } from "../../diagnose/early-findings.ts";
import { sourceOfWeights } from "../../diagnose/facts.ts";
import { keepDiagnosis, watchAndKeep } from "../../diagnose/keep-findings.ts";
import { DamagedFileError, FaultError, InterruptedError, SubbyteError } from "../../errors.ts";
import { writeFileWithFolder } from "../../io/atomic-file.ts";
import { describeSystemError, systemErrorCode } from "../../io/system-error.ts";
import { runPaths } from "../../runs/folder.ts";
import { checkSums } from "../../runs/sums.ts";
import { peakMemory } from "../../train/memory.ts";
import { engineOf, type RunListeners, resumeRun, startRun } from "../../train/run.ts";
import { compiledFolder, trialPaths, type WorkerFile } from "./trial-files.ts";
import { stopRequest, type WorkerEvent, type WorkerJob, workerJobSchema } from "./worker-protocol.ts";

/** Test samples of an ablation: an unfused network has many parts, and large losses show on few samples. */
const ablationSamples = 500;

/** Time between two reports of steps, in milliseconds. */
const reportInterval = 100;

function report(event: WorkerEvent): void {
  if (process.connected) process.send?.(event);
}

/** Ends the process without running anything else: unfinished work is repeated from the last checkpoint. */
function endAtOnce(): void {
  process.kill(process.pid, "SIGKILL");
}

async function writeWorkerFile(folder: string, peakMemoryBytes: number | null): Promise<void> {
  const content: WorkerFile = { pid: process.pid, peakMemoryBytes };
  await writeFileWithFolder(trialPaths(folder).worker, `${JSON.stringify(content)}\n`);
}

async function work(job: WorkerJob, signal: AbortSignal): Promise<void> {
  try {
    const accuracy = job.kind === "run" ? await trainRun(job, signal) : await ablateRun(job, signal);
    report({ kind: "finished", accuracy, peakMemoryBytes: peakMemory() });
  } catch (error) {
    if (error instanceof InterruptedError) report({ kind: "interrupted" });
    else report({ kind: "failed", reason: reasonOf(error) });
  }
}

/** Reports a damaged file of the trial. @throws any other error. */
function reportDamage(error: unknown): void {
  if (!(error instanceof DamagedFileError)) throw error;
  report({ kind: "damaged", reason: `${error.where ?? "a file"}: ${error.message}` });
}

type JobOf<Kind extends WorkerJob["kind"]> = Extract<WorkerJob, { kind: Kind }>;

/** Trains. Returns the final accuracy. */
async function trainRun(job: JobOf<"run">, signal: AbortSignal): Promise<number> {
  const folder = join(job.parent, job.name);
  const modelCache = compiledFolder(job.parent);
  await writeWorkerFile(folder, null);
  const source = { name: job.name, text: job.config };
  await loadPluginsOf(source);
  const config = resolveTrainingConfig(source);
  let reportedAt = 0;
  let lastStep = 0;
  const listeners: RunListeners = {
    signal,
    onStart: ({ step, totalSteps, damaged }) => {
      lastStep = step;
      for (const reason of damaged) report({ kind: "damaged", reason });
      report({ kind: "started", step, totalSteps });
    },
    onStep: ({ step, epoch }) => {
      lastStep = step;
      if (performance.now() - reportedAt < reportInterval) return;
      reportedAt = performance.now();
      report({ kind: "step", step, epoch });
    },
    onEpoch: ({ epoch, test }) => report({ kind: "epoch", epoch, step: lastStep, accuracy: test.accuracy }),
    ...(job.diagnose
      ? {
          watch: (run) =>
            watchAndKeep(run, {
              settings: config,
              ...defined({ from: sourceOfWeights(config) }),
              stopOnFault: job.stopOnFault === true,
              onEarly: (findings) => {
                const text = earlyLine(findings);
                if (text !== undefined) report({ kind: "finding", text });
              },
            }).watcher,
        }
      : {}),
  };
  const resumed = existsSync(runPaths(folder).config);
  if (resumed) await checkSums(runPaths(folder)).catch(reportDamage);
  const start = () => startRun({ config, parent: job.parent, name: job.name, existOk: true, modelCache }, listeners);
  const { accuracy } = resumed
    ? await resumeRun(folder, listeners, { modelCache }).catch((error: unknown) => {
        reportDamage(error);
        // Its seed makes the same numbers again; what of the present ones is sound is not known.
        return start();
      })
    : await start();
  await writeWorkerFile(folder, peakMemory());
  return accuracy;
}

/** Runs the ablations. Returns the accuracy with all quantizers. */
async function ablateRun({ parent, name, threads }: JobOf<"ablate">, signal: AbortSignal): Promise<number> {
  const folder = join(parent, name);
  const config = resolveTrainingConfig(await readRunConfig(runPaths(folder).config));
  const { engine, target } = await engineOf({ ...config, threads }, { modelCache: compiledFolder(parent) });
  const diagnosis = await diagnoseRun(folder, {
    engine,
    target,
    // The findings rest on the measurements taken while it trained, as for every other trial.
    probe: false,
    ablate: true,
    ablationSamples,
    onProgress: (step, totalSteps) => {
      if (signal.aborted) throw new InterruptedError("the ablations were stopped");
      report(step === 1 ? { kind: "started", step, totalSteps } : { kind: "step", step, epoch: 0 });
    },
  });
  await keepDiagnosis(diagnosis);
  return diagnosis.ablation?.quantized.accuracy ?? Number.NaN;
}

/** Returns why a job failed. An error that is not thrown on purpose is a bug, so its source position is included. */
function reasonOf(error: unknown): string {
  // The place and the remedy are the trial's own, which a study shows by other means.
  if (error instanceof FaultError) return error.message;
  if (error instanceof SubbyteError) return error.describe();
  // The system's codes are ENOSPC and the like; those of Node.js itself (ERR_…) indicate a wrong call, which is a bug.
  if (/^E[A-Z]+$/.test(systemErrorCode(error) ?? "")) return describeSystemError(error).reason;
  const [head, place] = (error instanceof Error ? (error.stack ?? error.message) : String(error)).split("\n");
  return `an internal error (a bug in subbyte): ${[head, place?.trim()].join(" ").trim()}`;
}

const controller = new AbortController();
process.on("disconnect", endAtOnce);
process.on("SIGINT", () => undefined);
process.on("SIGHUP", () => undefined);
process.on("SIGTERM", () => controller.abort());
if (!process.connected) endAtOnce();
let begun = false;
process.on("message", (message) => {
  if (message === stopRequest) {
    controller.abort();
    return;
  }
  if (begun) return;
  begun = true;
  work(workerJobSchema.parse(message), controller.signal).then(() => {
    // The parent has received all events; without the channel nothing keeps the process alive.
    process.off("disconnect", endAtOnce);
    process.disconnect?.();
  });
});
