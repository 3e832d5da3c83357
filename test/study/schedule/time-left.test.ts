import { describe, expect, it } from "vitest";
import { StudyClock } from "../../../src/study/schedule/time-left.ts";

/** Trains so many steps of 100 ms after a start of 4 s. */
function train(clock: StudyClock, name: string, steps: number, from = 0): number {
  clock.note(name, "lsq", 0, from);
  for (let step = 1; step <= steps; step++) clock.note(name, "lsq", step, from + 4000 + 100 * step);
  return from + 4000 + 100 * steps;
}

describe("the time that a study still takes", () => {
  it("is not known before some steps were seen", () => {
    const clock = new StudyClock();
    expect(clock.secondsLeft([{ kind: "lsq", stepsLeft: 10 }], 1)).toBeUndefined();
    train(clock, "a", 5);
    expect(clock.secondsLeft([{ kind: "lsq", stepsLeft: 10 }], 1)).toBeUndefined();
    expect(clock.secondsLeft([], 1)).toBe(0);
  });

  it("tells starts from steps, so that a few first steps do not look like slow ones", () => {
    const clock = new StudyClock();
    train(clock, "a", 20);
    const left = { kind: "lsq", stepsLeft: 100 };
    // The one that runs has started; one to come starts first.
    expect(clock.secondsLeft([{ ...left, isRunning: true }], 1)).toBeCloseTo(10, 6);
    expect(clock.secondsLeft([left], 1)).toBeCloseTo(10 + 4.1, 6);
    expect(clock.secondsLeft([left, left, left, left], 2)).toBeCloseTo(2 * (10 + 4.1), 6);
  });

  it("is at least that of the longest training", () => {
    const clock = new StudyClock();
    train(clock, "a", 20);
    const left = (stepsLeft: number) => ({ kind: "lsq", stepsLeft, isRunning: true });
    expect(clock.secondsLeft([left(100), left(10)], 2)).toBeCloseTo(10, 6);
  });

  it("counts an attempt that was begun anew from its own start", () => {
    const clock = new StudyClock();
    const end = train(clock, "a", 20);
    clock.forget("a");
    // An hour passes; the steps done before it are not done again.
    clock.note("a", "lsq", 20, end + 3_600_000);
    for (let step = 21; step <= 40; step++) clock.note("a", "lsq", step, end + 3_604_000 + 100 * (step - 20));
    expect(clock.secondsLeft([{ kind: "lsq", stepsLeft: 10, isRunning: true }], 1)).toBeCloseTo(1, 6);
  });

  it("guesses a kind that was not seen from those that were, by what a step costs beside theirs", () => {
    const clock = new StudyClock((kind) => (kind === "float" ? 1 : 2));
    train(clock, "a", 20);
    expect(clock.secondsLeft([{ kind: "float", stepsLeft: 100, isRunning: true }], 1)).toBeCloseTo(5, 6);
  });
});
