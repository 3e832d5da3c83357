/** The progress of `subbyte mix` on stderr: a line that is drawn over itself, or in a log a line now and then. */
import { WorkClock } from "../../../base/work-clock.ts";
import type { MixProgress } from "../../../study/mixed/measure.ts";
import { StatusLine } from "../../output.ts";
import { formatDuration } from "../../view/progress-format.ts";

const terminalInterval = 100;
const plainInterval = 10_000;

/** How progress is shown. */
export interface MixStatusOptions {
  readonly silent: boolean;
  /** Whether a log gets a line for each change. */
  readonly verbose: boolean;
  readonly status?: StatusLine;
  /** A clock in milliseconds. */
  readonly now?: () => number;
}

/** Shows what is measured, and how long the rest will take. The first line is written at once. */
export class MixStatus {
  readonly #silent: boolean;
  readonly #status: StatusLine;
  readonly #now: () => number;
  readonly #clock = new WorkClock<"measurement">({ fewestSteps: 3 });
  readonly #interval: number;
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor({ silent, verbose, status = new StatusLine(), now = () => performance.now() }: MixStatusOptions) {
    this.#silent = silent;
    this.#status = status;
    this.#now = now;
    this.#interval = status.isTerminal ? terminalInterval : verbose ? 0 : plainInterval;
  }

  /** Says what happens before anything is measured. */
  message(text: string): void {
    if (!this.#silent) this.#status.message(text);
  }

  /** Notes a measurement that begins; writes only when a line is due. */
  show({ done, total, doing }: MixProgress): void {
    const now = this.#now();
    this.#clock.note("mix", "measurement", done, now);
    if (this.#silent || now - this.#shownAt < this.#interval) return;
    this.#shownAt = now;
    const left = this.#clock.secondsLeft([{ kind: "measurement", stepsLeft: total - done, isRunning: true }], 1);
    this.#status.show(`${doing} (${done} of ${total} done, ${formatDuration(left)} left)`);
  }

  /** Leaves the terminal's line clean. */
  close(): void {
    this.#status.clear();
  }
}
