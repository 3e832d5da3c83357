import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { OutputStream } from "../../../src/cli/output.ts";
import { StudyProgress } from "../../../src/cli/view/study-progress.ts";
import { studyPaths } from "../../../src/study/plan/folder.ts";
import type { StudyStart } from "../../../src/study/run-study.ts";
import type { ScheduledTrial, TrialProgress } from "../../../src/study/schedule/scheduler.ts";
import { trialPaths } from "../../../src/study/schedule/trial-files.ts";
import { tinyStudy } from "../../study/support.ts";

function scheduled(id: string, kind: string): ScheduledTrial {
  const job = { kind: "run" as const, parent: "trials", name: id, config: "", diagnose: false };
  const state = { status: "waiting" as const, reason: null, accuracies: [] };
  return { id, kind, job, paths: trialPaths(join("study", id)), totalSteps: 100, totalEpochs: 1, ...state };
}

function at(trial: ScheduledTrial, step: number): TrialProgress {
  return { trial, status: "unfinished", reason: null, isRunning: true, step, epoch: 0, accuracy: null };
}

function display(isTTY: boolean) {
  const written: string[] = [];
  const stream: OutputStream = {
    isTTY,
    columns: 100,
    write: (text) => {
      written.push(text);
      return true;
    },
  };
  let time = 0;
  const progress = new StudyProgress({ stream, now: () => time });
  const float = scheduled("float", "float");
  const trials = ["lsq_W8A8_seed0", "lsq_W4A4_seed0"].map((id) => scheduled(id, "lsq"));
  const float0 = { bitOperations: 1, bytes: 1, macs: 1 };
  const plan = { schemaVersion: 1 as const, configHash: "", samples: 1, classes: 10, float: float0, trials: [] };
  const start: StudyStart = {
    ...{ paths: studyPaths("study"), config: tinyStudy(), plan, isNew: true, parallel: 2 },
    stages: [float, ...trials],
    expected: [{ kind: "fix", trainings: 2, steps: 200, parallel: 1 }],
  };
  return {
    written,
    progress,
    start,
    float,
    trials,
    pass: (milliseconds: number) => {
      time += milliseconds;
    },
  };
}

/** One step of 100 ms after a start of a second, up to so many. */
function trainTo(shown: ReturnType<typeof display>, trial: ScheduledTrial, steps: number): void {
  shown.progress.change(at(trial, 0), "begun");
  shown.pass(1000);
  for (let step = 1; step <= steps; step++) {
    shown.pass(100);
    shown.progress.change(at(trial, step), "step");
  }
}

describe("the progress of a study", () => {
  it("is one line for all of it: what is done, the time left, the expected fix included, what runs", () => {
    const shown = display(true);
    shown.progress.start(shown.start);
    expect(shown.written[0]).toBe("study in study: 3 trainings, 0 of them done, 2 at a time\n");
    trainTo(shown, shown.float, 50);
    const line = shown.written.at(-1) ?? "";
    // 50 of 500 steps, those of two trainings of a fix among them.
    expect(line).toContain(" 10%  0/5 trainings  left ");
    expect(line).toContain("float 50%");
    expect(line.replace("\r\u001b[2K", "").length).toBeLessThan(100);
    // Float: 5 s left. The others were not measured: 1.7·2^0.7 of float's step; two side by side, then two in turn.
    const step = 0.1 * 1.7 * 2 ** 0.7;
    const seconds = 5 + (1.1 + 100 * step) + 2 * (1.1 + 100 * step);
    const left = /left (\d+)m(\d+)s/.exec(line);
    expect(Math.abs(60 * Number(left?.[1]) + Number(left?.[2]) - seconds)).toBeLessThan(2);
  });

  it("names the training that is repeated and its damaged file", () => {
    const shown = display(false);
    shown.progress.start(shown.start);
    const [trial] = shown.trials;
    if (trial === undefined) throw new Error("no trial");
    shown.progress.change({ ...at(trial, 0), damage: "trials/a/metrics.jsonl: not what was written" }, "damaged");
    expect(shown.written.at(-1)).toBe(
      "note: lsq_W8A8_seed0 is trained again, because a file is damaged: trials/a/metrics.jsonl: not what was written\n",
    );
  });

  it("tells how each training ended, and names those of a fix without their digest", () => {
    const shown = display(false);
    shown.progress.start(shown.start);
    const [trial] = shown.trials;
    if (trial === undefined) throw new Error("no trial");
    shown.progress.change({ ...at(shown.float, 100), status: "finished", accuracy: 0.877 }, "ended");
    shown.progress.change({ ...at(trial, 10), status: "failed", reason: "it was killed" }, "ended");
    const fixed = scheduled("lsq_W4A4_seed0_0123456789abcdef", "fix");
    shown.progress.change({ ...at(fixed, 100), status: "finished", accuracy: 0.5 }, "ended");
    expect(shown.written.slice(1)).toEqual([
      "[1/5] float: 87.7%\n",
      "[2/5] lsq_W8A8_seed0 failed: it was killed\n",
      "[3/6] fix for lsq_W4A4_seed0: 50.0%\n",
    ]);
  });

  it("leaves first failures of one kind to the error that ends the study, and tells them when another end comes", () => {
    const shown = display(false);
    shown.progress.start(shown.start);
    const fail = (id: string, reason: string) =>
      shown.progress.change({ ...at(scheduled(id, "lsq"), 0), status: "failed", reason }, "ended");
    shown.progress.change({ ...at(shown.float, 100), status: "finished", accuracy: 0.877 }, "ended");
    fail("lsq_W8A8_seed0", "trials/lsq_W8A8_seed0: no model");
    fail("lsq_W8A4_seed0", "trials/lsq_W8A4_seed0: no model");
    expect(shown.written.slice(2)).toEqual([]);
    fail("lsq_W4A4_seed0", "the disk is full");
    expect(shown.written.slice(2).map((line) => line.replace(/^\S+ /, ""))).toEqual([
      "lsq_W8A8_seed0 failed: trials/lsq_W8A8_seed0: no model\n",
      "lsq_W8A4_seed0 failed: trials/lsq_W8A4_seed0: no model\n",
      "lsq_W4A4_seed0 failed: the disk is full\n",
    ]);
    fail("lsq_W2A2_seed0", "the disk is full");
    expect(shown.written).toHaveLength(6);
  });

  it("writes a line now and then where no terminal reads it", () => {
    const shown = display(false);
    shown.progress.start(shown.start);
    trainTo(shown, shown.float, 95);
    expect(shown.written).toHaveLength(2);
    expect(shown.written[1]).toMatch(/^18% 0\/5 trainings, left \d+m\d\ds, elapsed 10s, float 90%\n$/);
  });
});
