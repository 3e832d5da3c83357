import { describe, expect, it } from "vitest";
import { WorkClock } from "../../../src/base/work-clock.ts";
import { fractionDone, type JobStage, stagesLeft } from "../../../src/cli/view/job-stages.ts";

/** A job as the progress display follows it. */
class Job {
  readonly #stages: readonly JobStage[];
  readonly #clock = new WorkClock<JobStage>({ cost: ({ cost = 1 }) => cost, memorySeconds: 20 });
  #stage = 0;
  #step = 0;

  constructor(stages: readonly JobStage[]) {
    this.#stages = stages;
  }

  advance(stage: number, step: number, now: number): void {
    this.#clock.forget(String(stage - 1));
    this.#clock.note(String(stage), this.#present(stage), step, now);
    this.#stage = stage;
    this.#step = step;
  }

  #present(stage: number): JobStage {
    const present = this.#stages[stage];
    if (present === undefined) throw new Error(`there is no stage ${stage}`);
    return present;
  }

  secondsLeft(): number | undefined {
    return this.#clock.secondsLeft(stagesLeft(this.#stages, this.#stage, this.#step), 1);
  }

  secondsPerStep(): number | undefined {
    return this.#clock.secondsPerStep(this.#present(this.#stage));
  }

  fraction(): number {
    return fractionDone(this.#stages, this.#stage, this.#step);
  }
}

describe("the time that a job still takes", () => {
  const stages = [
    { name: "float", totalSteps: 100 },
    { name: "thread", totalSteps: 50, cost: 2 },
    { name: "lsq", totalSteps: 50, cost: 2 },
  ];

  it("is not known before two steps, then that of all stages", () => {
    const job = new Job(stages);
    expect(job.secondsLeft()).toBeUndefined();
    job.advance(0, 1, 5000);
    expect(job.secondsLeft()).toBeUndefined();
    job.advance(0, 2, 5100);
    expect(job.secondsPerStep()).toBeCloseTo(0.1);
    expect(job.secondsLeft()).toBeCloseTo(0.1 * (98 + 100 + 100));
    expect(job.fraction()).toBeCloseTo(2 / 300);
  });

  it("reckons a stage at its cost until it is measured", () => {
    const job = new Job(stages);
    for (let step = 1; step <= 100; step++) job.advance(0, step, step * 100);
    job.advance(1, 0, 20_000);
    expect(job.secondsLeft()).toBeCloseTo(0.2 * 100);
    for (let step = 1; step <= 40; step++) job.advance(1, step, 20_000 + step * 500);
    expect(job.secondsPerStep()).toBeCloseTo(0.5, 2);
    expect(job.secondsLeft()).toBeCloseTo(0.5 * 60, 0);
  });

  it("is not thrown off by one slow step, and follows a lasting change", () => {
    const job = new Job([{ name: "a", totalSteps: 10_000 }]);
    let now = 0;
    const run = (from: number, to: number, milliseconds: number) => {
      for (let step = from; step <= to; step++) {
        now += milliseconds;
        job.advance(0, step, now);
      }
    };
    run(1, 500, 100);
    run(501, 501, 3000);
    expect(job.secondsPerStep()).toBeLessThan(0.12);
    run(502, 1500, 200);
    expect(job.secondsPerStep()).toBeCloseTo(0.2, 2);
  });

  it("does not take a resume's earlier steps for its own speed", () => {
    const job = new Job([{ name: "a", totalSteps: 100 }]);
    job.advance(0, 90, 1000);
    expect(job.secondsLeft()).toBeUndefined();
    job.advance(0, 91, 2000);
    expect(job.secondsLeft()).toBeCloseTo(9);
  });

  it("ends at nothing left", () => {
    const job = new Job([{ name: "a", totalSteps: 2 }]);
    job.advance(0, 1, 100);
    job.advance(0, 2, 200);
    expect(job.secondsLeft()).toBe(0);
    expect(job.fraction()).toBe(1);
  });
});
