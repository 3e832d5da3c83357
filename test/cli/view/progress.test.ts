import { describe, expect, it } from "vitest";
import type { OutputStream } from "../../../src/cli/output.ts";
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
  samples: "images",
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
    expect([formatSpeed(3.14, "images"), formatSpeed(941.3, "samples")]).toEqual(["3.1 images/s", "941 samples/s"]);
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
    expect(formatEpochLine("float", epoch, "images")).toBe("float epoch 2/4: loss 0.5000, test accuracy 87.0%");
    expect(formatEpochLine("float", { ...epoch, imagesPerSecond: 0.23 }, "samples")).toMatch(/, 0\.23 samples\/s$/);
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

  it("is silent on request", () => {
    const { progress, run, text } = writer({ isTTY: true, columns: 80 }, true);
    run(50, 500);
    progress.epoch({ stage: 0, epoch: 2, epochs: 4, trainLoss: 0.5 });
    progress.message("a warning");
    progress.close();
    expect(text()).toBe("");
  });
});
