import { describe, expect, it } from "vitest";
import type { OutputStream } from "../../../src/cli/output.ts";
import { JobClock } from "../../../src/cli/view/job-clock.ts";
import { Progress } from "../../../src/cli/view/progress.ts";
import {
  formatAccuracy,
  formatBar,
  formatBytes,
  formatDuration,
  formatEpochLine,
  formatLoss,
  formatPlainLine,
  formatSpeed,
  formatTerminalLine,
  type ProgressState,
  type StepReport,
} from "../../../src/cli/view/progress-format.ts";

const report: StepReport = {
  stage: 0,
  step: 30,
  epoch: 2,
  epochs: 4,
  stepInEpoch: 10,
  stepsPerEpoch: 20,
  loss: 0.51234,
  accuracy: 0.8125,
  imagesPerSecond: 941.3,
};
const state: ProgressState = {
  stageName: "float",
  report,
  fraction: 0.255,
  elapsedSeconds: 61,
  secondsLeft: 187,
};

describe("the words of progress", () => {
  it("durations", () => {
    expect([0, 41.6, 60, 187, 3599.7, 7500, undefined].map(formatDuration)).toEqual([
      "0s",
      "42s",
      "1m00s",
      "3m07s",
      "1h00m",
      "2h05m",
      "--",
    ]);
  });

  it("numbers", () => {
    expect([2.3125, 0.41207, 12.3456, 1234.6, 1e9, 0, 1e-7, Number.NaN].map(formatLoss)).toEqual([
      "2.313",
      "0.4121",
      "12.35",
      "1235",
      "1.0e+9",
      "0.0000",
      "1.0e-7",
      "NaN",
    ]);
    expect(formatAccuracy(0.8756)).toBe("87.6%");
    expect(formatAccuracy(undefined)).toBe("--");
    expect([formatSpeed(3.14), formatSpeed(941.3)]).toEqual(["3.1 images/s", "941 images/s"]);
    expect([999, 1500, 26_421_880].map(formatBytes)).toEqual(["999 B", "1.5 kB", "26.4 MB"]);
  });

  it("bars", () => {
    expect(formatBar(0, 4)).toBe("░░░░");
    expect(formatBar(0.5, 4)).toBe("██░░");
    expect(formatBar(0.53, 4)).toBe("██▏░");
    expect(formatBar(2, 4)).toBe("████");
  });

  it("lines", () => {
    expect(formatPlainLine(state)).toBe(
      "25% float epoch 2/4 step 10/20, loss 0.5123, left 3m07s, accuracy 81.3%, 941 images/s, elapsed 1m01s",
    );
    expect(formatTerminalLine(state, 120)).toBe(
      "█████▏░░░░░░░░░░░░░░ 25%  float epoch 2/4 step 10/20  loss 0.5123  left 3m07s  accuracy 81.3%  941 images/s",
    );
    for (const columns of [0, 10, 40, 60, 80, 100, 200]) {
      expect(formatTerminalLine(state, columns).length).toBeLessThanOrEqual(columns);
    }
    const epoch = { stage: 0, epoch: 2, epochs: 4, trainLoss: 0.5, test: { metric: "accuracy", value: 0.87 } } as const;
    expect(formatEpochLine("float", epoch)).toBe("float epoch 2/4: loss 0.5000, test accuracy 87.0%");
  });
});

describe("the clock of a job", () => {
  const stages = [
    { name: "float", totalSteps: 100 },
    { name: "thread", totalSteps: 50, cost: 2 },
    { name: "lsq", totalSteps: 50, cost: 2 },
  ];

  it("knows nothing before two steps, then the time left of all stages", () => {
    const clock = new JobClock(stages, 0);
    expect(clock.secondsLeft(0)).toBeUndefined();
    clock.advance(0, 1, 5000);
    expect(clock.secondsLeft(5000)).toBeUndefined();
    clock.advance(0, 2, 5100);
    expect(clock.secondsPerStep()).toBeCloseTo(0.1);
    expect(clock.secondsLeft(5100)).toBeCloseTo(0.1 * (98 + 100 + 100));
    expect(clock.elapsed(5100)).toBeCloseTo(5.1);
    expect(clock.fraction()).toBeCloseTo(2 / 300);
  });

  it("reckons a stage at its cost until it knows better", () => {
    const clock = new JobClock(stages, 0);
    for (let step = 1; step <= 100; step++) clock.advance(0, step, step * 100);
    clock.advance(1, 0, 20_000);
    expect(clock.secondsLeft(20_000)).toBeCloseTo(0.2 * 100);
    for (let step = 1; step <= 40; step++) clock.advance(1, step, 20_000 + step * 500);
    expect(clock.secondsPerStep()).toBeCloseTo(0.5, 2);
    expect(clock.secondsLeft(40_000)).toBeCloseTo(0.5 * 60, 0);
  });

  it("is not thrown off by one slow step, and follows a lasting change", () => {
    const clock = new JobClock([{ name: "a", totalSteps: 10_000 }], 0);
    let now = 0;
    const run = (from: number, to: number, milliseconds: number) => {
      for (let step = from; step <= to; step++) {
        now += milliseconds;
        clock.advance(0, step, now);
      }
    };
    run(1, 500, 100);
    run(501, 501, 3000);
    expect(clock.secondsPerStep()).toBeLessThan(0.12);
    run(502, 1500, 200);
    expect(clock.secondsPerStep()).toBeCloseTo(0.2, 2);
  });

  it("does not take a resume's earlier steps for its own speed", () => {
    const clock = new JobClock([{ name: "a", totalSteps: 100 }], 0);
    clock.advance(0, 90, 1000);
    expect(clock.secondsLeft(1000)).toBeUndefined();
    clock.advance(0, 91, 2000);
    expect(clock.secondsLeft(2000)).toBeCloseTo(9);
  });

  it("ends at nothing left", () => {
    const clock = new JobClock([{ name: "a", totalSteps: 2 }], 0);
    clock.advance(0, 1, 100);
    clock.advance(0, 2, 200);
    expect(clock.secondsLeft(200)).toBe(0);
    expect(clock.fraction()).toBe(1);
  });
});

describe("the writer", () => {
  function writer(stream: Omit<OutputStream, "write">, silent = false) {
    let text = "";
    let time = 0;
    const progress = new Progress({
      stages: [{ name: "float", totalSteps: 80 }],
      silent,
      stream: { ...stream, write: (piece) => (text += piece) },
      now: () => time,
    });
    const run = (steps: number, milliseconds: number) => {
      for (let step = 1; step <= steps; step++) {
        time += milliseconds;
        progress.step({ ...report, step, stepInEpoch: step });
      }
    };
    return { progress, run, text: () => text };
  }

  it("writes a plain line every ten seconds and at the end of an epoch", () => {
    const { progress, run, text } = writer({});
    run(50, 500);
    progress.epoch({ stage: 0, epoch: 2, epochs: 4, trainLoss: 0.5 });
    progress.close();
    const lines = text().trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain("step 20/20");
    expect(lines[1]).toContain("left 20s");
    expect(lines[2]).toBe("float epoch 2/4: loss 0.5000");
    expect(text()).not.toContain("\u001b");
  });

  it("draws a terminal's line over itself, ten times a second, and cleans it up", () => {
    const { progress, run, text } = writer({ isTTY: true, columns: 80 });
    run(50, 10);
    const draws = text().split("\r\u001b[2K").slice(1);
    expect(draws).toHaveLength(5);
    expect(draws.every((line) => line.length <= 79 && !line.includes("\n"))).toBe(true);
    progress.message("a warning");
    progress.close();
    expect(text().endsWith("\r\u001b[2Ka warning\n")).toBe(true);
  });

  it("is silent when told so", () => {
    const { progress, run, text } = writer({ isTTY: true, columns: 80 }, true);
    run(50, 500);
    progress.epoch({ stage: 0, epoch: 2, epochs: 4, trainLoss: 0.5 });
    progress.message("a warning");
    progress.close();
    expect(text()).toBe("");
  });
});
