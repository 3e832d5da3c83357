/** How long a study will still take, from the speed of each kind of trial that was seen so far. */

/** A trial as far as its time goes. Trials of one kind (float, a recipe) take about the same time a step. */
export interface TimedTrial {
  readonly kind: string;
  readonly stepsLeft: number;
}

/** Weight of a new measurement against the earlier ones of its kind. */
const freshness = 0.2;

/** Learns the seconds a step takes. Times are in milliseconds of any one clock. */
export class StudyClock {
  readonly #secondsPerStep = new Map<string, number>();
  readonly #marks = new Map<string, { readonly step: number; readonly at: number }>();

  /** Notes that a trial stands at a step. The first note of an attempt only starts its clock. */
  note(trial: string, kind: string, step: number, now: number): void {
    const mark = this.#marks.get(trial);
    if (mark !== undefined && step <= mark.step) return;
    this.#marks.set(trial, { step, at: now });
    if (mark === undefined) return;
    const seconds = (now - mark.at) / 1000 / (step - mark.step);
    const before = this.#secondsPerStep.get(kind);
    const share = Math.min(1, freshness * Math.sqrt(step - mark.step));
    this.#secondsPerStep.set(kind, before === undefined ? seconds : before + share * (seconds - before));
  }

  /** A trial ended or will be begun anew: its next note starts its clock again. */
  forget(trial: string): void {
    this.#marks.delete(trial);
  }

  /** Seconds until all of the trials are done, so many side by side; undefined before anything was measured. */
  secondsLeft(trials: readonly TimedTrial[], parallel: number): number | undefined {
    const known = [...this.#secondsPerStep.values()];
    if (known.length === 0) return undefined;
    const typical = known.reduce((sum, value) => sum + value, 0) / known.length;
    const seconds = trials.map(({ kind, stepsLeft }) => stepsLeft * (this.#secondsPerStep.get(kind) ?? typical));
    const total = seconds.reduce((sum, value) => sum + value, 0);
    // The longest trial bounds it from below: the last trial runs alone.
    return Math.max(total / Math.max(1, Math.min(parallel, trials.length)), ...seconds, 0);
  }
}
