/**
 * Progress on stderr, so that stdout holds nothing but the result.
 *
 * A terminal gets one line that is drawn over itself, at most ten times a second; anything else (a log file, a pipe) gets
 * a plain line every ten seconds. Both get a line at the end of each epoch. `silent` is for --json and --quiet.
 */

import { WorkClock } from "../../base/work-clock.ts";
import { type Line, type OutputStream, StatusLine } from "../output.ts";
import { fractionDone, type JobStage, stageCost, stagesLeft } from "./job-stages.ts";
import {
  type EpochReport,
  formatEpochLine,
  formatPlainLine,
  formatTerminalLine,
  type ProgressState,
  type SampleWord,
  type StepReport,
} from "./progress-format.ts";

/** How progress is shown. */
export interface ProgressOptions {
  readonly stages: readonly JobStage[];
  /** Default: images. */
  readonly samples?: SampleWord;
  readonly silent?: boolean;
  readonly stream?: OutputStream;
  /** A clock in milliseconds. */
  readonly now?: () => number;
}

/** A stage changes its speed within seconds: the machine gets another job, observers are frozen. */
const memorySeconds = 20;
const terminalInterval = 100;
const plainInterval = 10_000;

/** Shows a job's progress. Call `close` at its end, whatever way it ends, so that the terminal's line is left clean. */
export class Progress {
  private readonly stages: readonly JobStage[];
  private readonly samples: SampleWord;
  private readonly silent: boolean;
  private readonly status: StatusLine;
  private readonly now: () => number;
  private readonly clock = new WorkClock<JobStage>({ cost: stageCost, memorySeconds });
  private readonly startedAt: number;
  private shownAt: number;

  constructor(options: ProgressOptions) {
    this.stages = options.stages;
    this.samples = options.samples ?? "images";
    this.silent = options.silent ?? false;
    this.status = new StatusLine(options.stream);
    this.now = options.now ?? (() => performance.now());
    this.startedAt = this.now();
    // The first terminal line is due at once, the first plain one after an interval: a log needs no line about step 1.
    this.shownAt = this.status.isTerminal ? Number.NEGATIVE_INFINITY : this.startedAt;
  }

  /** Notes a step. Cheap enough to call after every one: it writes only when a line is due. */
  step(report: StepReport): void {
    const now = this.now();
    this.measure(report, now);
    if (this.silent) return;
    const { isTerminal, columns } = this.status;
    if (now - this.shownAt < (isTerminal ? terminalInterval : plainInterval)) return;
    this.shownAt = now;
    const state = this.state(report, now);
    this.status.show(isTerminal ? formatTerminalLine(state, columns) : formatPlainLine(state));
  }

  private measure({ stage, step }: StepReport, now: number): void {
    const present = this.stages[stage];
    if (present === undefined) return;
    if (stage > 0) this.clock.forget(String(stage - 1));
    this.clock.note(String(stage), present, step, now);
  }

  /** Writes the line that stays when an epoch is over. */
  epoch(report: EpochReport): void {
    this.message(formatEpochLine(this.stageName(report.stage), report, this.samples));
  }

  /** Writes lines of their own above the progress line: a warning, "resuming at step 120". */
  message(...lines: readonly Line[]): void {
    if (this.silent) return;
    this.status.message(...lines);
    this.showAgain();
  }

  /** Removes the terminal's line. */
  close(): void {
    this.status.clear();
    this.showAgain();
  }

  /** The line that was removed is due at once. */
  private showAgain(): void {
    if (this.status.isTerminal) this.shownAt = Number.NEGATIVE_INFINITY;
  }

  private stageName(stage: number): string {
    return this.stages[stage]?.name ?? `stage ${stage + 1}`;
  }

  private state(report: StepReport, now: number): ProgressState {
    return {
      stageName: this.stageName(report.stage),
      samples: this.samples,
      report,
      fraction: fractionDone(this.stages, report.stage, report.step),
      elapsedSeconds: (now - this.startedAt) / 1000,
      secondsLeft: this.clock.secondsLeft(stagesLeft(this.stages, report.stage, report.step), 1),
    };
  }
}
