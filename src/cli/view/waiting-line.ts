/** What a job does before its first step, with a clock: compiling a large network takes minutes. */

import { type OutputStream, StatusLine } from "../output.ts";
import { formatDuration } from "./progress-format.ts";

const everySecond = 1000;
/** A log gets the time of what took longer than this, in seconds. */
const worthTelling = 5;

/** A line that says what is being done. A terminal sees its clock move, a log one line at the start. */
export class WaitingLine {
  readonly #status: StatusLine;
  readonly #silent: boolean;
  readonly #now: () => number;
  #current: { readonly text: string; readonly since: number; readonly timer: NodeJS.Timeout } | undefined;

  constructor({
    silent = false,
    stream,
    now = () => performance.now(),
  }: {
    readonly silent?: boolean;
    readonly stream?: OutputStream;
    /** A clock in milliseconds. */
    readonly now?: () => number;
  } = {}) {
    this.#status = new StatusLine(stream);
    this.#silent = silent;
    this.#now = now;
  }

  /** Begins with something else: `compiling the training step`. */
  begin(text: string): void {
    this.end();
    if (this.#silent) return;
    const since = this.#now();
    const show = () => this.#status.show(`${text} … ${formatDuration((this.#now() - since) / 1000)}`);
    const timer = setInterval(() => {
      if (this.#status.isTerminal) show();
    }, everySecond);
    timer.unref();
    this.#current = { text, since, timer };
    if (this.#status.isTerminal) show();
    else this.#status.message(`${text} …`);
  }

  /** Removes the line. */
  end(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    clearInterval(current.timer);
    this.#status.clear();
    const seconds = (this.#now() - current.since) / 1000;
    if (!this.#status.isTerminal && seconds > worthTelling) {
      this.#status.message(`${current.text}: ${formatDuration(seconds)}`);
    }
  }
}
