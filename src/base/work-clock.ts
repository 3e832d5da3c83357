/**
 * How long work of several parts (the stages of a job, the trainings of a study) will still take.
 *
 * The speed of a kind of part is the ratio of two exponentially decayed sums, of steps and of time: no first value has to be
 * guessed, and one slow step (an evaluation, a checkpoint) does not throw the estimate off. The time until a part's first step
 * (its process, its graphs) is measured apart, since a start is as long as many steps.
 */
import { mean } from "./statistics.ts";

/** A part of the work as far as its time goes. Parts of one kind take about the same time for a step. */
export interface PartLeft<Kind> {
  readonly kind: Kind;
  readonly stepsLeft: number;
  /** Whether it runs, so that its start is over or has begun. */
  readonly isRunning?: boolean;
}

/** Options of a clock. */
export interface WorkClockOptions<Kind> {
  /** Time of a step of a kind in relation to other kinds', for those that are not measured yet. Default: 1 for all. */
  readonly cost?: (kind: Kind) => number;
  /** Seconds of work after which a step's weight in the speed has fallen to 1/e. Default: never. */
  readonly memorySeconds?: number;
  /** Steps of a kind that are measured before its speed counts as known. Default: 1. */
  readonly fewestSteps?: number;
}

interface Attempt<Kind> {
  readonly kind: Kind;
  /** When it began; absent where only its steps are noted. */
  readonly begun?: { readonly step: number; readonly at: number };
  /** The last note of a step. */
  last?: { readonly step: number; readonly at: number };
}

interface Speed {
  steps: number;
  seconds: number;
  /** Steps without decay. */
  seen: number;
  starts: number;
  startSeconds: number;
}

/** Measures parts of work while they run. Times are in milliseconds of any one clock. */
export class WorkClock<Kind> {
  readonly #cost: (kind: Kind) => number;
  readonly #memorySeconds: number;
  readonly #fewestSteps: number;
  readonly #speeds = new Map<Kind, Speed>();
  readonly #attempts = new Map<string, Attempt<Kind>>();

  constructor({
    cost = () => 1,
    memorySeconds = Number.POSITIVE_INFINITY,
    fewestSteps = 1,
  }: WorkClockOptions<Kind> = {}) {
    this.#cost = cost;
    this.#memorySeconds = memorySeconds;
    this.#fewestSteps = fewestSteps;
  }

  /** Notes that a part starts behind `step` steps that are done already. */
  begin(part: string, kind: Kind, step: number, now: number): void {
    this.#attempts.set(part, { kind, begun: { step, at: now } });
  }

  /** Notes that `step` steps of a part are done. What was before the first note says nothing about the speed. */
  note(part: string, kind: Kind, step: number, now: number): void {
    const attempt = this.#attempts.get(part) ?? { kind };
    this.#attempts.set(part, attempt);
    const { begun, last } = attempt;
    const steps = step - (last ?? begun ?? { step: -1 }).step;
    if (steps <= 0) return;
    attempt.last = { step, at: now };
    if (last === undefined && begun === undefined) return;
    const speed = this.#speedOf(kind);
    if (last !== undefined) {
      const seconds = Math.max(0, now - last.at) / 1000;
      const keep = Math.exp(-seconds / this.#memorySeconds);
      speed.steps = speed.steps * keep + steps;
      speed.seconds = speed.seconds * keep + seconds;
      speed.seen += steps;
    } else if (begun !== undefined) {
      speed.starts++;
      speed.startSeconds += (now - begun.at) / 1000;
    }
  }

  #speedOf(kind: Kind): Speed {
    const known = this.#speeds.get(kind);
    if (known !== undefined) return known;
    const speed = { steps: 0, seconds: 0, seen: 0, starts: 0, startSeconds: 0 };
    this.#speeds.set(kind, speed);
    return speed;
  }

  /** Notes that a part ended or starts again: its next note is a first one. */
  forget(part: string): void {
    this.#attempts.delete(part);
  }

  /** Seconds that a step of a kind takes, or undefined before enough steps were noted. */
  secondsPerStep(kind: Kind): number | undefined {
    const speed = this.#speeds.get(kind);
    return speed === undefined || speed.seen < this.#fewestSteps ? undefined : speed.seconds / speed.steps;
  }

  /** Seconds until all of the parts are done, `parallel` at a time; undefined before anything was measured. */
  secondsLeft(parts: readonly PartLeft<Kind>[], parallel: number): number | undefined {
    if (parts.length === 0) return 0;
    const typical = this.#typical();
    if (typical === undefined) return undefined;
    const each = parts.map(({ kind, stepsLeft, isRunning = false }) => {
      const known = this.secondsPerStep(kind);
      const perStep = known ?? typical.perStep * this.#cost(kind);
      const start = known === undefined ? typical.start : this.#startOf(kind);
      return (isRunning ? 0 : start) + stepsLeft * perStep;
    });
    const total = each.reduce((sum, value) => sum + value, 0);
    // The longest one bounds it from below: the last part runs alone.
    return Math.max(total / Math.max(1, Math.min(parallel, parts.length)), ...each);
  }

  /** A step at cost 1 and a start: those of the kinds that run now, else of all that were measured. */
  #typical(): { readonly perStep: number; readonly start: number } | undefined {
    const running = new Set([...this.#attempts.values()].map(({ kind }) => kind));
    const measured = [...this.#speeds.keys()].filter((kind) => this.secondsPerStep(kind) !== undefined);
    if (measured.length === 0) return undefined;
    const present = measured.filter((kind) => running.has(kind));
    const kinds = present.length > 0 ? present : measured;
    return {
      perStep: mean(kinds.map((kind) => (this.secondsPerStep(kind) ?? 0) / this.#cost(kind))),
      start: mean(kinds.map((kind) => this.#startOf(kind))),
    };
  }

  #startOf(kind: Kind): number {
    const speed = this.#speeds.get(kind);
    return speed === undefined || speed.starts === 0 ? 0 : speed.startSeconds / speed.starts;
  }
}
