/** How long a study will still take, from the speed of each kind of trial that was seen so far. */

/** A trial as far as its time goes. Trials of one kind (float, a recipe) take about the same time a step. */
export interface TimedTrial {
  readonly kind: string;
  readonly stepsLeft: number;
}

interface Attempt {
  /** Where it began, in steps and in time. */
  readonly step: number;
  readonly at: number;
  /** What of it is counted already. */
  steps: number;
  seconds: number;
}

/** Steps of a kind that must have been seen: the first ones wait for the process and its graphs. */
const fewestSteps = 12;

/** Learns the seconds a step takes. Times are in milliseconds of any one clock. */
export class StudyClock {
  readonly #cost: (kind: string) => number;
  readonly #sums = new Map<string, { steps: number; seconds: number }>();
  readonly #attempts = new Map<string, Attempt>();

  /** @param cost Time of a step of a kind beside other kinds', for those that were not measured yet. */
  constructor(cost: (kind: string) => number = () => 1) {
    this.#cost = cost;
  }

  /** Notes that a trial stands at a step. The first note of an attempt, when its process begins, starts its clock. */
  note(trial: string, kind: string, step: number, now: number): void {
    const attempt = this.#attempts.get(trial);
    if (attempt === undefined) {
      this.#attempts.set(trial, { step, at: now, steps: 0, seconds: 0 });
      return;
    }
    const sum = this.#sums.get(kind) ?? { steps: 0, seconds: 0 };
    this.#sums.set(kind, sum);
    const steps = step - attempt.step;
    if (steps <= attempt.steps) return;
    const seconds = (now - attempt.at) / 1000;
    sum.steps += steps - attempt.steps;
    sum.seconds += seconds - attempt.seconds;
    attempt.steps = steps;
    attempt.seconds = seconds;
  }

  /** A trial ended or will be begun anew: its next note starts its clock again. */
  forget(trial: string): void {
    this.#attempts.delete(trial);
  }

  /** Seconds until all of the trials are done, so many side by side; undefined before anything was measured. */
  secondsLeft(trials: readonly TimedTrial[], parallel: number): number | undefined {
    if (trials.length === 0) return 0;
    const measured = [...this.#sums].filter(([, { steps }]) => steps >= fewestSteps);
    if (measured.length === 0) return undefined;
    const perCost = measured.map(([kind, { steps, seconds }]) => seconds / steps / this.#cost(kind));
    const typical = perCost.reduce((sum, value) => sum + value, 0) / perCost.length;
    const perStep = new Map(measured.map(([kind, { steps, seconds }]) => [kind, seconds / steps]));
    const each = trials.map(({ kind, stepsLeft }) => stepsLeft * (perStep.get(kind) ?? typical * this.#cost(kind)));
    const total = each.reduce((sum, value) => sum + value, 0);
    // The longest trial bounds it from below: the last trial runs alone.
    return Math.max(total / Math.max(1, Math.min(parallel, trials.length)), ...each);
  }
}
