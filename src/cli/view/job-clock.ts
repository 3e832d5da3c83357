/**
 * How far a job of several stages has come and how long the rest will take.
 *
 * The speed is that of the last seconds: the ratio of exponentially decayed sums of steps and of time, so that one slow
 * step (an evaluation, a checkpoint) does not throw the estimate off, and no first value has to be guessed. A stage that
 * has not begun is reckoned at the present speed times its cost in relation to the present stage's.
 */

/** A part of a job: a float training, a quantized one. */
export interface JobStage {
  readonly name: string;
  /** Steps from the stage's own start to its end, those done before a resume included. */
  readonly totalSteps: number;
  /** Time of a step in relation to the other stages'; 1 where nothing is known. */
  readonly cost?: number;
}

/** Time after which a step's weight in the speed has fallen to 1/e. */
const memorySeconds = 20;

/** Follows a job. Times are in milliseconds of any one clock. */
export class JobClock {
  private readonly stages: readonly JobStage[];
  private readonly startedAt: number;
  private stage = 0;
  private step = 0;
  private measuredAt: number | undefined;
  private decayedSteps = 0;
  private decayedSeconds = 0;

  constructor(stages: readonly JobStage[], now: number) {
    this.stages = stages;
    this.startedAt = now;
  }

  private cost(stage: number): number {
    return this.stages[stage]?.cost ?? 1;
  }

  /**
   * Notes that `step` steps of a stage are done. The first note of a stage only starts the clock: what was before it
   * (compiling, a resume's earlier steps) says nothing about the speed.
   */
  advance(stage: number, step: number, now: number): void {
    const steps = step - this.step;
    if (stage === this.stage && this.measuredAt !== undefined && steps > 0) {
      const seconds = Math.max(0, now - this.measuredAt) / 1000;
      const keep = Math.exp(-seconds / memorySeconds);
      this.decayedSteps = this.decayedSteps * keep + steps;
      this.decayedSeconds = this.decayedSeconds * keep + seconds;
    } else if (stage !== this.stage) {
      // The old stage's speed stands in for the new one's until that is known, and counts for less than a step of it.
      const ratio = this.cost(stage) / this.cost(this.stage);
      const secondsPerStep = this.decayedSteps === 0 ? 0 : (this.decayedSeconds / this.decayedSteps) * ratio;
      this.decayedSteps = secondsPerStep === 0 ? 0 : 0.5;
      this.decayedSeconds = secondsPerStep * this.decayedSteps;
    }
    if (stage !== this.stage || steps !== 0 || this.measuredAt === undefined) this.measuredAt = now;
    this.stage = stage;
    this.step = step;
  }

  /** Seconds since the job began. */
  elapsed(now: number): number {
    return (now - this.startedAt) / 1000;
  }

  /** Seconds that one step of the present stage takes, or undefined before two steps were noted. */
  secondsPerStep(): number | undefined {
    return this.decayedSteps === 0 ? undefined : this.decayedSeconds / this.decayedSteps;
  }

  /** Work left over, in steps of the present stage. */
  private stepsLeft(): number {
    return this.stages.reduce((sum, { totalSteps }, index) => {
      if (index < this.stage) return sum;
      const left = index === this.stage ? totalSteps - this.step : totalSteps;
      return sum + (Math.max(0, left) * this.cost(index)) / this.cost(this.stage);
    }, 0);
  }

  /** Seconds to the end of the whole job, or undefined when no speed is known yet. */
  secondsLeft(now: number): number | undefined {
    const perStep = this.secondsPerStep();
    if (perStep === undefined) return undefined;
    const sinceNote = this.measuredAt === undefined ? 0 : (now - this.measuredAt) / 1000;
    return Math.max(0, this.stepsLeft() * perStep - Math.min(sinceNote, perStep));
  }

  /** Part of the whole job that is done, 0 to 1, by cost. */
  fraction(): number {
    const total = this.stages.reduce((sum, stage, index) => sum + stage.totalSteps * this.cost(index), 0);
    return total === 0 ? 1 : 1 - Math.min(1, (this.stepsLeft() * this.cost(this.stage)) / total);
  }
}
