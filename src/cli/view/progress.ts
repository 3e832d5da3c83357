/**
 * Progress on stderr, so that stdout holds nothing but the result.
 *
 * A terminal gets one line that is drawn over itself, at most ten times a second; anything else (a log file, a pipe) gets
 * a plain line every ten seconds. Both get a line at the end of each epoch. `silent` is for --json and --quiet.
 */

import { JobClock, type JobStage } from "./job-clock.ts";
import {
  type EpochReport,
  formatEpochLine,
  formatPlainLine,
  formatTerminalLine,
  type ProgressState,
  type StepReport,
} from "./progress-format.ts";

/** The part of a stream that progress needs; process.stderr is one. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** How progress is shown. */
export interface ProgressOptions {
  readonly stages: readonly JobStage[];
  readonly silent?: boolean;
  readonly stream?: ProgressStream;
  /** A clock in milliseconds. */
  readonly now?: () => number;
}

const terminalInterval = 100;
const plainInterval = 10_000;
const clearLine = "\r\u001b[2K";

/** Shows a job's progress. Call `close` at its end, whatever way it ends, so that the terminal's line is left clean. */
export class Progress {
  private readonly stages: readonly JobStage[];
  private readonly silent: boolean;
  private readonly stream: ProgressStream;
  private readonly now: () => number;
  private readonly clock: JobClock;
  private shownAt: number;
  private lineIsOpen = false;

  constructor(options: ProgressOptions) {
    this.stages = options.stages;
    this.silent = options.silent ?? false;
    this.stream = options.stream ?? process.stderr;
    this.now = options.now ?? (() => performance.now());
    const start = this.now();
    this.clock = new JobClock(options.stages, start);
    // The first terminal line is due at once, the first plain one after an interval: a log needs no line about step 1.
    this.shownAt = this.stream.isTTY === true ? Number.NEGATIVE_INFINITY : start;
  }

  /** Notes a step. Cheap enough to call after every one: it writes only when a line is due. */
  step(report: StepReport): void {
    const now = this.now();
    this.clock.advance(report.stage, report.step, now);
    if (this.silent) return;
    const isTerminal = this.stream.isTTY === true;
    if (now - this.shownAt < (isTerminal ? terminalInterval : plainInterval)) return;
    this.shownAt = now;
    const state = this.state(report, now);
    if (isTerminal) {
      // One column is left free: a line that fills the last one makes some terminals wrap.
      this.stream.write(`${clearLine}${formatTerminalLine(state, (this.stream.columns ?? 80) - 1)}`);
      this.lineIsOpen = true;
    } else {
      this.stream.write(`${formatPlainLine(state)}\n`);
    }
  }

  /** Writes the line that stays when an epoch is over. */
  epoch(report: EpochReport): void {
    this.message(formatEpochLine(this.stageName(report.stage), report));
  }

  /** Writes a line of its own above the progress line: a warning, "resuming at step 120". */
  message(text: string): void {
    if (this.silent) return;
    this.clear();
    this.stream.write(`${text}\n`);
  }

  /** Removes the terminal's line. */
  close(): void {
    this.clear();
  }

  private clear(): void {
    if (this.lineIsOpen) this.stream.write(clearLine);
    this.lineIsOpen = false;
    if (this.stream.isTTY === true) this.shownAt = Number.NEGATIVE_INFINITY;
  }

  private stageName(stage: number): string {
    return this.stages[stage]?.name ?? `stage ${stage + 1}`;
  }

  private state(report: StepReport, now: number): ProgressState {
    return {
      stageName: this.stageName(report.stage),
      report,
      fraction: this.clock.fraction(),
      elapsedSeconds: this.clock.elapsed(now),
      secondsLeft: this.clock.secondsLeft(now),
    };
  }
}
