import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WorkClock } from "../../src/base/work-clock.ts";

const fewestSteps = 12;

/** Trains so many steps of 100 ms after a start of 4 s. */
function train(clock: WorkClock<string>, name: string, steps: number, from = 0): number {
  clock.begin(name, "lsq", 0, from);
  for (let step = 1; step <= steps; step++) clock.note(name, "lsq", step, from + 4000 + 100 * step);
  return from + 4000 + 100 * steps;
}

describe("the time that many trainings still take", () => {
  it("is not known before some steps were seen", () => {
    const clock = new WorkClock<string>({ fewestSteps });
    expect(clock.secondsLeft([{ kind: "lsq", stepsLeft: 10 }], 1)).toBeUndefined();
    train(clock, "a", 5);
    expect(clock.secondsLeft([{ kind: "lsq", stepsLeft: 10 }], 1)).toBeUndefined();
    expect(clock.secondsLeft([], 1)).toBe(0);
  });

  it("tells starts from steps, so that a few first steps do not look like slow ones", () => {
    const clock = new WorkClock<string>({ fewestSteps });
    train(clock, "a", 20);
    const left = { kind: "lsq", stepsLeft: 100 };
    // The one that runs has started; one to come starts first.
    expect(clock.secondsLeft([{ ...left, isRunning: true }], 1)).toBeCloseTo(10, 6);
    expect(clock.secondsLeft([left], 1)).toBeCloseTo(10 + 4.1, 6);
    expect(clock.secondsLeft([left, left, left, left], 2)).toBeCloseTo(2 * (10 + 4.1), 6);
  });

  it("is at least that of the longest training", () => {
    const clock = new WorkClock<string>({ fewestSteps });
    train(clock, "a", 20);
    const left = (stepsLeft: number) => ({ kind: "lsq", stepsLeft, isRunning: true });
    expect(clock.secondsLeft([left(100), left(10)], 2)).toBeCloseTo(10, 6);
  });

  it("times a restarted attempt from its own start", () => {
    const clock = new WorkClock<string>({ fewestSteps });
    const end = train(clock, "a", 20);
    clock.forget("a");
    // An hour passes; the steps done before it are not done again.
    clock.begin("a", "lsq", 20, end + 3_600_000);
    for (let step = 21; step <= 40; step++) clock.note("a", "lsq", step, end + 3_604_000 + 100 * (step - 20));
    expect(clock.secondsLeft([{ kind: "lsq", stepsLeft: 10, isRunning: true }], 1)).toBeCloseTo(1, 6);
  });

  it("guesses a kind that was not seen from those that were, by what a step costs in relation to theirs", () => {
    const clock = new WorkClock<string>({ fewestSteps, cost: (kind) => (kind === "float" ? 1 : 2) });
    train(clock, "a", 20);
    expect(clock.secondsLeft([{ kind: "float", stepsLeft: 100, isRunning: true }], 1)).toBeCloseTo(5, 6);
  });

  it("guesses from what runs now, where that was measured, and not from what is long over", () => {
    const clock = new WorkClock<string>({ fewestSteps });
    for (let step = 0; step <= 20; step++) clock.note("slow", "float", step, 1000 * step);
    clock.forget("slow");
    expect(clock.secondsLeft([{ kind: "new", stepsLeft: 10, isRunning: true }], 1)).toBeCloseTo(10, 6);
    train(clock, "a", 20);
    expect(clock.secondsLeft([{ kind: "new", stepsLeft: 10, isRunning: true }], 1)).toBeCloseTo(1, 6);
  });

  it("is the steps left times a steady speed, however the steps are noted", () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 40 });
    const memory = fc.constantFrom(5, 20, Number.POSITIVE_INFINITY);
    fc.assert(
      fc.property(gaps, memory, fc.integer({ min: 1, max: 2000 }), fc.nat(1000), (steps, memorySeconds, pace, left) => {
        const clock = new WorkClock<string>({ memorySeconds });
        let step = 0;
        for (const more of steps) {
          step += more;
          clock.note("a", "lsq", step, step * pace);
          clock.note("a", "lsq", step, step * pace + pace / 2);
        }
        const seconds = clock.secondsLeft([{ kind: "lsq", stepsLeft: left, isRunning: true }], 1);
        expect(seconds).toBeCloseTo((left * pace) / 1000, 6);
      }),
    );
  });
});
