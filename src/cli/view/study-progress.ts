/** The one progress display of a whole study: what is done, what runs, how long it will take. On stderr, as Progress. */
import { WorkClock } from "../../base/work-clock.ts";
import type { ExpectedStage } from "../../study/repair/fix/study.ts";
import { fixKind } from "../../study/repair/fix/trial.ts";
import type { StudyEvent, StudyStart } from "../../study/run-study.ts";
import { reasonOfAny, type TrialEnd } from "../../study/schedule/alike.ts";
import type { ScheduledTrial, TrialProgress } from "../../study/schedule/scheduler.ts";
import { type Line, type OutputStream, StatusLine } from "../output.ts";
import { oneLine } from "./printable.ts";
import { formatAccuracy, formatBar, formatDuration } from "./progress-format.ts";
import { displayWidth } from "./text-width.ts";

/** A step with quantizers in relation to a float one, and how much of a further core a training uses; both roughly. */
const quantizedCost = 1.7;
const parallelGain = 0.7;
/** Steps of a recipe before its speed is trusted: the first ones of a process are slow. */
const fewestSteps = 12;
const terminalInterval = 100;
const plainInterval = 10_000;

/** Where the progress of a study is shown. */
export interface StudyProgressOptions {
  readonly silent?: boolean;
  readonly stream?: OutputStream;
  /** A clock in milliseconds. */
  readonly now?: () => number;
}

/** Shows a study's progress. Call `close` at its end, whatever way it ends. */
export class StudyProgress {
  readonly #silent: boolean;
  readonly #status: StatusLine;
  readonly #now: () => number;
  readonly #held: { readonly ended: TrialEnd; readonly line: string }[] = [];
  #mayHold = true;
  readonly #clock = new WorkClock<string>({
    cost: (kind) => (kind === "float" ? 1 : this.#trialCost),
    fewestSteps,
  });
  readonly #trials = new Map<string, TrialProgress>();
  readonly #startedAt: number;
  #expected: readonly ExpectedStage[] = [];
  #parallel = 1;
  #trialCost = 1;
  #shownAt: number;

  constructor(options: StudyProgressOptions = {}) {
    this.#silent = options.silent ?? false;
    this.#status = new StatusLine(options.stream);
    this.#now = options.now ?? (() => performance.now());
    this.#startedAt = this.#now();
    this.#shownAt = this.#status.isTerminal ? Number.NEGATIVE_INFINITY : this.#startedAt;
  }

  /** Says what the study will do. */
  start({ plan, paths, isNew, parallel, stages, expected }: StudyStart): void {
    this.#parallel = parallel;
    this.#expected = expected;
    // The float network has all threads; a trial has its share of them, and quantizers.
    this.#trialCost = quantizedCost * parallel ** parallelGain;
    for (const trial of stages) this.#trials.set(trial.id, atStart(trial));
    const impossible = plan.trials.filter((trial) => trial.impossible !== null);
    this.#mayHold = stages.every(
      ({ kind, status }) => kind === "float" || (status !== "finished" && status !== "stopped"),
    );
    const done = stages.filter(({ status }) => status === "finished" || status === "stopped").length;
    this.message(
      `${isNew ? "study" : "resuming the study"} in ${paths.folder}: ${stages.length} trainings, ${done} of them done, ${parallel} at a time`,
    );
    for (const trial of impossible) this.message(`${trial.id} is impossible: ${oneLine(trial.impossible ?? "")}`);
  }

  /** More trainings have become known, and what may come after them. */
  more(stages: readonly ScheduledTrial[], expected: readonly ExpectedStage[]): void {
    for (const trial of stages) this.#trials.set(trial.id, atStart(trial));
    this.#expected = expected;
  }

  /** Notes what happened to a trial. */
  change(trial: TrialProgress, event: StudyEvent): void {
    const { id, kind } = trial.trial;
    const now = this.#now();
    this.#trials.set(id, trial);
    if (event === "damaged") {
      this.message(
        `note: ${labelOf(trial.trial)} is trained again, because a file is damaged: ${oneLine(trial.damage ?? "")}`,
      );
      return;
    }
    if (event === "finding") {
      this.message(findingLine(trial));
      return;
    }
    if (event === "ended" || event === "again") {
      this.#clock.forget(id);
      this.#tellEnd(trial, event);
      return;
    }
    if (event === "begun") this.#clock.begin(id, kind, trial.step, now);
    else this.#clock.note(id, kind, trial.step, now);
    this.#show(now);
  }

  /**
   * Writes how a trial ended. The first failures of one kind wait for another end: where all trials fail alike, the study stops with
   * their message, which is then said once.
   */
  #tellEnd(trial: TrialProgress, event: StudyEvent): void {
    const line = this.#endLine(trial, event);
    const { status, reason } = trial;
    if (trial.trial.kind === "float") {
      // A failed float stage ends the study, with its message.
      if (event !== "ended" || status !== "failed") this.message(line);
      return;
    }
    const ended = { id: trial.trial.id, status, reason };
    const [before] = this.#held;
    const isHeld = event === "ended" && status === "failed" && this.#mayHold;
    if (isHeld && (before === undefined || reasonOfAny(before.ended) === reasonOfAny(ended))) {
      this.#held.push({ ended, line });
      return;
    }
    this.#mayHold = false;
    for (const held of this.#held.splice(0)) this.message(held.line);
    this.message(line);
  }

  /** Writes lines of their own above the progress line. */
  message(...lines: readonly Line[]): void {
    if (this.#silent) return;
    this.#status.message(...lines);
    this.#showAgain();
  }

  close(): void {
    this.#status.clear();
    this.#showAgain();
  }

  /** The line that was removed is due at once. */
  #showAgain(): void {
    if (this.#status.isTerminal) this.#shownAt = Number.NEGATIVE_INFINITY;
  }

  #endLine(trial: TrialProgress, event: StudyEvent): string {
    const head = `[${this.#done()}/${this.#count()}] ${labelOf(trial.trial)}`;
    if (event === "again") return `${head}: ${oneLine(trial.reason ?? "")}; starting again from its last checkpoint`;
    if (trial.status === "finished") return `${head}: ${formatAccuracy(trial.accuracy ?? undefined)}`;
    return `${head} ${trial.status}: ${oneLine(trial.reason ?? "")}`;
  }

  /** All trainings, those that are only expected included. */
  #count(): number {
    return this.#trials.size + this.#expected.reduce((sum, { trainings }) => sum + trainings, 0);
  }

  #done(): number {
    return [...this.#trials.values()].filter(isOver).length;
  }

  #show(now: number): void {
    if (this.#silent) return;
    const { isTerminal, columns } = this.#status;
    if (now - this.#shownAt < (isTerminal ? terminalInterval : plainInterval)) return;
    this.#shownAt = now;
    const all = [...this.#trials.values()];
    const expected = this.#expected.reduce((sum, { steps }) => sum + steps, 0);
    const total = expected + all.reduce((sum, { trial }) => sum + trial.totalSteps, 0);
    const left = all
      .filter((trial) => !isOver(trial))
      .map(({ trial, step }) => ({ kind: trial.kind, stepsLeft: trial.totalSteps - step }));
    const toDo = left.reduce((sum, { stepsLeft }) => sum + stepsLeft, expected);
    const fraction = total === 0 ? 1 : (total - toDo) / total;
    const running = all.filter((trial) => trial.isRunning && !isOver(trial));
    const parts = [
      `${this.#done()}/${this.#count()} trainings`,
      `left ${formatDuration(this.#secondsLeft())}`,
      `elapsed ${formatDuration((now - this.#startedAt) / 1000)}`,
      ...running.map(({ trial, step }) => `${labelOf(trial)} ${Math.floor((100 * step) / trial.totalSteps)}%`),
    ];
    if (!isTerminal) {
      this.#status.show(`${Math.floor(100 * fraction)}% ${parts.join(", ")}`);
      return;
    }
    let line = `${formatBar(fraction, 12)} ${String(Math.floor(100 * fraction)).padStart(3)}%`;
    for (const part of parts) if (displayWidth(`${line}  ${part}`) <= columns) line += `  ${part}`;
    this.#status.show(line);
  }

  /** The float stage runs alone, before all others. */
  #secondsLeft(): number | undefined {
    const open = [...this.#trials.values()].filter((trial) => !isOver(trial));
    const timed = (kind: (name: string) => boolean) =>
      open
        .filter(({ trial }) => kind(trial.kind))
        .map(({ trial, step, isRunning }) => ({ kind: trial.kind, stepsLeft: trial.totalSteps - step, isRunning }));
    const float = this.#clock.secondsLeft(
      timed((kind) => kind === "float"),
      1,
    );
    const trials = this.#clock.secondsLeft(
      timed((kind) => kind !== "float"),
      this.#parallel,
    );
    const expected = this.#expected.map(({ kind, trainings, steps, parallel }) =>
      this.#clock.secondsLeft(
        Array.from({ length: trainings }, () => ({ kind, stepsLeft: steps / trainings })),
        parallel,
      ),
    );
    return [float, trials, ...expected].reduce(
      (sum, part) => (sum === undefined || part === undefined ? undefined : sum + part),
      0,
    );
  }
}

/** Returns the line about what a running trial showed for certain. */
export function findingLine({ trial, finding = "" }: TrialProgress): string {
  return `${labelOf(trial)}, ${oneLine(finding)}`;
}

/** The name of a fix trial ends with a digest of its configuration, which is not shown. */
function labelOf({ id, kind }: ScheduledTrial): string {
  return kind === fixKind ? `fix for ${id.replace(/_[0-9a-f]{16}$/, "")}` : id;
}

function isOver({ status }: TrialProgress): boolean {
  return status !== "waiting" && status !== "unfinished";
}

function atStart(trial: ScheduledTrial): TrialProgress {
  const epoch = trial.accuracies.length;
  const isDone = trial.status === "finished" || trial.status === "stopped";
  return {
    trial,
    status: trial.status === "failed" ? "unfinished" : trial.status,
    reason: trial.reason,
    isRunning: false,
    step: isDone ? trial.totalSteps : Math.floor((trial.totalSteps * epoch) / trial.totalEpochs),
    epoch,
    accuracy: trial.accuracies.at(-1) ?? null,
  };
}
