/** How long a study will still take, from the speed of each kind of training that was seen so far. */
import { mean } from "../../base/statistics.ts";

/** A training as far as its time goes. Those of one kind (float, a recipe) take about the same time. */
export interface TimedTraining {
  readonly kind: string;
  readonly stepsLeft: number;
  /** Whether its process runs, so that its start is behind it or under way. */
  readonly isRunning?: boolean;
}

interface Attempt {
  /** Where it began, in steps and in time. */
  readonly step: number;
  readonly at: number;
  /** Its first report of a step; absent: it still starts. */
  first?: { readonly step: number; readonly at: number };
  /** What of the steps after that is counted already. */
  steps: number;
  seconds: number;
}

interface Sums {
  steps: number;
  seconds: number;
  starts: number;
  startSeconds: number;
}

/** Steps of a kind that must have been seen. */
const fewestSteps = 12;

/**
 * Learns the seconds that a training of a kind takes to start (its process, its graphs) and those of a step, apart from
 * each other: a start is as long as many steps. Times are in milliseconds of any one clock.
 */
export class StudyClock {
  readonly #cost: (kind: string) => number;
  readonly #sums = new Map<string, Sums>();
  readonly #attempts = new Map<string, Attempt>();

  /** @param cost Time of a step of a kind in relation to other kinds', for those that were not measured yet. */
  constructor(cost: (kind: string) => number = () => 1) {
    this.#cost = cost;
  }

  /** Notes that a training stands at a step. The first note of an attempt, when its process begins, starts its clock. */
  note(training: string, kind: string, step: number, now: number): void {
    const attempt = this.#attempts.get(training);
    if (attempt === undefined) {
      this.#attempts.set(training, { step, at: now, steps: 0, seconds: 0 });
      return;
    }
    const sum = this.#sums.get(kind) ?? { steps: 0, seconds: 0, starts: 0, startSeconds: 0 };
    this.#sums.set(kind, sum);
    if (step <= attempt.step) return;
    if (attempt.first === undefined) {
      attempt.first = { step, at: now };
      sum.starts++;
      sum.startSeconds += (now - attempt.at) / 1000;
      return;
    }
    const steps = step - attempt.first.step;
    if (steps <= attempt.steps) return;
    const seconds = (now - attempt.first.at) / 1000;
    sum.steps += steps - attempt.steps;
    sum.seconds += seconds - attempt.seconds;
    attempt.steps = steps;
    attempt.seconds = seconds;
  }

  /** A training ended or starts again: its next note starts its clock again. */
  forget(training: string): void {
    this.#attempts.delete(training);
  }

  /** Seconds until all of the trainings are done, so many side by side; undefined before anything was measured. */
  secondsLeft(trainings: readonly TimedTraining[], parallel: number): number | undefined {
    if (trainings.length === 0) return 0;
    const measured = [...this.#sums].filter(([, { steps }]) => steps >= fewestSteps);
    if (measured.length === 0) return undefined;
    const typical = mean(measured.map(([kind, { steps, seconds }]) => seconds / steps / this.#cost(kind)));
    const typicalStart = mean(measured.map(([, sums]) => sums.startSeconds / sums.starts));
    const known = new Map(measured);
    const each = trainings.map(({ kind, stepsLeft, isRunning = false }) => {
      const sums = known.get(kind);
      const perStep = sums === undefined ? typical * this.#cost(kind) : sums.seconds / sums.steps;
      const start = sums === undefined ? typicalStart : sums.startSeconds / sums.starts;
      return (isRunning ? 0 : start) + stepsLeft * perStep;
    });
    const total = each.reduce((sum, value) => sum + value, 0);
    // The longest one bounds it from below: the last training runs alone.
    return Math.max(total / Math.max(1, Math.min(parallel, trainings.length)), ...each);
  }
}
