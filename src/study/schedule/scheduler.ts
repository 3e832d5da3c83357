/**
 * Runs trials in parallel until all have ended: starts workers as slots become free, restarts those that died, ends those
 * that the early-stopping rule stops.
 *
 * Its state can always be read again from the trials' files, so it may be killed at any moment.
 */
import { freemem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { defined } from "../../base/defined.ts";
import { ConfigError, InterruptedError, RuntimeError } from "../../errors.ts";
import { isAlive } from "../../io/processes.ts";
import { hasFiniteNumbers, readEpochs } from "../../runs/record.ts";
import type { TrialStatus } from "../plan/record.ts";
import type { StudyConfig } from "../plan/schema.ts";
import { failedAlike } from "./alike.ts";
import { decideStops } from "./early-stopping.ts";
import { isWorkerOf, type Launch, type RunningWorker, type WorkerEnd } from "./launch.ts";
import { clearForAttempt, type Outcome, readWorkerFile, type TrialPaths, writeOutcome } from "./trial-files.ts";
import type { WorkerEvent, WorkerJob } from "./worker-protocol.ts";

/** A trial to schedule. */
export interface ScheduledTrial {
  readonly id: string;
  /** Trials of one kind take about the same time for a step. */
  readonly kind: string;
  readonly job: WorkerJob;
  readonly paths: TrialPaths;
  readonly totalSteps: number;
  readonly totalEpochs: number;
  /** From its files. */
  readonly status: TrialStatus;
  readonly reason: string | null;
  readonly accuracies: readonly number[];
}

/** The present state of a trial. */
export interface TrialProgress {
  readonly trial: ScheduledTrial;
  readonly status: TrialStatus;
  readonly reason: string | null;
  readonly isRunning: boolean;
  readonly step: number;
  readonly epoch: number;
  readonly accuracy: number | null;
  /** The damaged file for which it is trained again; absent: none is known. */
  readonly damage?: string;
  /** Of an event "finding": the line about it. */
  readonly finding?: string;
}

/** The trials to schedule, and how. */
export interface SchedulerOptions {
  readonly folder: string;
  readonly trials: readonly ScheduledTrial[];
  readonly parallel: number;
  readonly retries: number;
  readonly earlyStopping: StudyConfig["earlyStopping"];
  readonly launch: Launch;
  readonly signal?: AbortSignal;
  /** Largest peak memory of a worker so far, in bytes; 0 where unknown. */
  readonly peakMemoryBytes?: number;
  readonly freeMemory?: () => number;
  /** Whether no more trials start once the first ones have failed for one reason. */
  readonly stopsAlike?: boolean;
  readonly onChange?: (trial: TrialProgress, what: WorkerEvent["kind"] | "begun" | "ended" | "again") => void;
}

/** Longest wait for an orphan of an earlier study, in milliseconds; it ends itself as soon as it notices. */
const orphanPatience = 30_000;
/** Free memory required before another worker starts, relative to the largest peak so far. */
const memoryMargin = 1.2;

class Slot {
  readonly trial: ScheduledTrial;
  status: TrialStatus;
  reason: string | null;
  step = 0;
  epoch: number;
  attempts = 0;
  accuracies: number[];
  worker: RunningWorker | undefined;
  isRunning = false;
  damage: string | undefined;

  constructor(trial: ScheduledTrial) {
    this.trial = trial;
    // A trial that failed earlier is tried again: there may be enough disk space or memory now.
    this.status = trial.status === "failed" ? "unfinished" : trial.status;
    this.reason = trial.reason;
    this.accuracies = [...trial.accuracies];
    this.epoch = trial.accuracies.length;
    this.step = Math.floor((trial.totalSteps * this.epoch) / Math.max(1, trial.totalEpochs));
  }

  get isOpen(): boolean {
    return this.status === "waiting" || this.status === "unfinished";
  }

  progress(): TrialProgress {
    const { trial, status, reason, isRunning, step, epoch, damage } = this;
    const accuracy = this.accuracies.at(-1) ?? null;
    return { trial, status, reason, isRunning, step, epoch, accuracy, ...defined({ damage }) };
  }
}

/**
 * Runs all trials.
 *
 * @throws InterruptedError when the signal asked to stop, after every worker has saved and ended; RuntimeError when the first
 *   trials failed alike.
 */
export async function runTrials(options: SchedulerOptions): Promise<readonly TrialProgress[]> {
  return new Scheduler(options).run();
}

class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #slots: readonly Slot[];
  readonly #pending = new Set<Promise<void>>();
  #peakMemory: number;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#slots = options.trials.map((trial) => new Slot(trial));
    this.#peakMemory = options.peakMemoryBytes ?? 0;
  }

  async run(): Promise<readonly TrialProgress[]> {
    const { signal } = this.#options;
    const stopAll = () => {
      for (const slot of this.#slots) slot.worker?.stop();
    };
    signal?.addEventListener("abort", stopAll);
    try {
      this.#stopEarly();
      for (;;) {
        if (signal?.aborted !== true) while (this.#mayStart()) this.#startNext();
        if (this.#pending.size === 0) break;
        await Promise.race(this.#pending);
      }
    } finally {
      signal?.removeEventListener("abort", stopAll);
      for (const slot of this.#slots) slot.worker?.kill();
    }
    if (signal?.aborted === true) throw new InterruptedError("the study was stopped");
    this.#throwAlike();
    return this.#slots.map((slot) => slot.progress());
  }

  #mayStart(): boolean {
    if (this.#alike().length > 0) return false;
    const running = this.#slots.filter((slot) => slot.isRunning).length;
    if (running >= this.#options.parallel || !this.#slots.some((slot) => slot.isOpen && !slot.isRunning)) return false;
    if (running === 0) return true;
    const free = this.#options.freeMemory ?? freemem;
    return free() >= this.#peakMemory * memoryMargin;
  }

  /** The trials that failed for one reason, where that stops the study. */
  #alike() {
    if (this.#options.stopsAlike !== true) return [];
    return failedAlike(this.#slots.map(({ trial: { id }, status, reason }) => ({ id, status, reason })));
  }

  #throwAlike(): void {
    const [first, ...others] = this.#alike();
    const left = this.#slots.filter((slot) => slot.isOpen).length;
    if (first === undefined || left === 0) return;
    const rest = left === 1 ? "the last one was not started" : `the other ${left} were not started`;
    throw new RuntimeError(
      `the first ${others.length + 1} trials failed with the same message, and ${rest}: ${first.reason ?? ""}`,
    );
  }

  #startNext(): void {
    const slot = this.#slots.find((candidate) => candidate.isOpen && !candidate.isRunning);
    if (slot === undefined) return;
    slot.isRunning = true;
    const attempt = this.#attempt(slot)
      .catch((error: unknown) => this.#fail(slot, error instanceof Error ? error.message : String(error)))
      .finally(() => {
        slot.isRunning = false;
        slot.worker = undefined;
        this.#pending.delete(attempt);
      });
    this.#pending.add(attempt);
  }

  async #attempt(slot: Slot): Promise<void> {
    const { folder, launch, signal } = this.#options;
    slot.attempts++;
    await waitForOrphan(slot.trial);
    await clearForAttempt(slot.trial.paths);
    if (signal?.aborted === true || !slot.isOpen) return;
    slot.status = "unfinished";
    slot.reason = null;
    this.#options.onChange?.(slot.progress(), "begun");
    slot.worker = launch(folder, slot.trial.job, (event) => this.#hear(slot, event));
    const end = await slot.worker.end;
    slot.worker = undefined;
    await this.#settle(slot, end);
    this.#stopEarly();
  }

  #hear(slot: Slot, event: WorkerEvent): void {
    if (slot.status === "stopped") return;
    if (event.kind === "damaged") {
      // The first damaged file is the reason.
      if (slot.damage !== undefined) return;
      slot.damage = event.reason;
    }
    if (event.kind === "started" || event.kind === "step" || event.kind === "epoch") slot.step = event.step;
    if (event.kind === "epoch") {
      slot.epoch = event.epoch;
      slot.accuracies[event.epoch - 1] = event.accuracy;
    }
    const finding = event.kind === "finding" ? { finding: event.text } : {};
    this.#options.onChange?.({ ...slot.progress(), ...finding }, event.kind);
    if (event.kind === "epoch") this.#stopEarly();
  }

  async #settle(slot: Slot, end: WorkerEnd): Promise<void> {
    if (slot.status === "stopped") return;
    const { signal, retries, onChange } = this.#options;
    if (end.kind === "finished") {
      this.#peakMemory = Math.max(this.#peakMemory, end.peakMemoryBytes);
      const epochs = (await readEpochs(slot.trial.paths.metrics)).filter(hasFiniteNumbers);
      if (epochs.length > 0) slot.accuracies = epochs.map((point) => point.testAccuracy);
      slot.status = "finished";
      slot.step = slot.trial.totalSteps;
      onChange?.(slot.progress(), "ended");
      return;
    }
    if (signal?.aborted === true) return;
    if (end.kind === "failed") return this.#fail(slot, end.reason);
    const reason = end.kind === "died" ? end.reason : "another process asked it to stop";
    if (slot.attempts > retries) return this.#fail(slot, `${reason} (${slot.attempts} attempts)`);
    slot.reason = reason;
    onChange?.(slot.progress(), "again");
  }

  async #fail(slot: Slot, reason: string): Promise<void> {
    slot.status = "failed";
    slot.reason = reason;
    this.#options.onChange?.(slot.progress(), "ended");
    await this.#write(slot, { status: "failed", epoch: null, reason });
  }

  /** A full disk must not end the study: a reason that cannot be written is still reported at the end. */
  async #write(slot: Slot, outcome: Outcome): Promise<void> {
    await writeOutcome(slot.trial.paths, outcome).catch((error: unknown) => {
      slot.reason = `${outcome.reason}; and writing that failed: ${error instanceof Error ? error.message : String(error)}`;
    });
  }

  #stopEarly(): void {
    const { earlyStopping, onChange } = this.#options;
    if (earlyStopping.rule === "none") return;
    const { stopped } = decideStops(
      earlyStopping,
      this.#slots.map((slot) => ({
        id: slot.trial.id,
        accuracies: slot.accuracies,
        totalEpochs: slot.trial.totalEpochs,
        ended: !slot.isOpen,
      })),
    );
    for (const slot of this.#slots) {
      const decision = stopped.get(slot.trial.id);
      if (decision === undefined || (!slot.isOpen && slot.status !== "finished")) continue;
      slot.status = "stopped";
      slot.reason = decision.reason;
      slot.accuracies = slot.accuracies.slice(0, decision.epoch);
      slot.epoch = decision.epoch;
      slot.worker?.kill();
      onChange?.(slot.progress(), "ended");
      const written = this.#write(slot, { status: "stopped", epoch: decision.epoch, reason: decision.reason }).finally(
        () => this.#pending.delete(written),
      );
      this.#pending.add(written);
    }
  }
}

/** Waits until the worker of a killed study has ended, so that no two processes write one run. */
async function waitForOrphan(trial: ScheduledTrial): Promise<void> {
  const before = await readWorkerFile(trial.paths);
  if (before === undefined) return;
  const deadline = Date.now() + orphanPatience;
  while (before.pid !== process.pid && isAlive(before.pid) && isWorkerOf(before.pid, trial.job.name) !== false) {
    if (Date.now() > deadline) {
      // Where the system does not show what a process runs, its id may belong to another process by now.
      if (isWorkerOf(before.pid, trial.job.name) === undefined) return;
      throw new ConfigError(`process ${before.pid} still runs this trial`, { remedy: "Stop that process." });
    }
    await sleep(50);
  }
}
