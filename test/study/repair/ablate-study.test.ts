import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { writeReport } from "../../../src/report/write-report.ts";
import { ablationFileSchema } from "../../../src/runs/ablation.ts";
import { readStudy } from "../../../src/study/result/read-study.ts";
import { runStudy } from "../../../src/study/run-study.ts";
import { type Launch, launchWorker, type WorkerEnd } from "../../../src/study/schedule/launch.ts";
import type { WorkerJob } from "../../../src/study/schedule/worker-protocol.ts";
import { temporaryFolder, tinyStudy } from "../support.ts";

/** At two levels nothing of a perceptron is left, so that the study has a trial that fell. */
const config = tinyStudy({ recipes: ["thread"], weightBits: [4], activationBits: [2] });
const trial = "thread_W4A2_seed0";

function readAblation(file: string) {
  return ablationFileSchema.parse(JSON.parse(readFileSync(file, "utf8")));
}

function noting(jobs: WorkerJob["kind"][], ablate?: WorkerEnd): Launch {
  return (folder, job, onEvent) => {
    jobs.push(job.kind);
    if (job.kind === "run" || ablate === undefined) return launchWorker(folder, job, onEvent);
    return { pid: undefined, end: Promise.resolve(ablate), stop: () => undefined, kill: () => undefined };
  };
}

describe("the ablations of a study", () => {
  it("are made once for the trial that stands for what fell, kept with it, and reported", async () => {
    const folder = join(temporaryFolder(), "study");
    const jobs: WorkerJob["kind"][] = [];
    const told: string[] = [];
    const launch = noting(jobs);
    await runStudy({ folder, config, launch }, { onAblation: ({ id }, problem) => told.push(problem ?? id) });
    expect(jobs).toEqual(["run", "run", "ablate"]);
    expect(told).toEqual([trial]);
    const file = join(folder, "trials", trial, "ablation.json");
    const kept = readAblation(file);
    const { records } = await readStudy(folder);
    expect(kept).toMatchObject({ schemaVersion: 1, metric: "accuracy", samples: 64, ...records[0]?.ablation });
    expect(kept.layers.map(({ layer }) => layer)).toContain("fc2");
    // All of the test data was looked at: with all quantizers at work it is the trial's own accuracy.
    expect(kept.quantized.accuracy).toBeCloseTo(records[0]?.accuracy ?? Number.NaN, 6);
    // What was measured while it trained stays the ground of its findings.
    expect(records[0]?.findings.map(({ cause }) => cause)).toContain("reduced-range");
    await runStudy({ folder, launch });
    expect(jobs).toHaveLength(3);
    const { files } = await writeReport(folder);
    expect(files).toContain(join(folder, "report", "figures", `ablation-${trial}.svg`));
  }, 60_000);

  it("are no failure of the trial when they fail, and are tried again by the next start", async () => {
    const folder = join(temporaryFolder(), "study");
    const jobs: WorkerJob["kind"][] = [];
    const told: string[] = [];
    const died: WorkerEnd = { kind: "died", reason: "it was killed" };
    const { result } = await runStudy(
      { folder, config, launch: noting(jobs, died) },
      { onAblation: (_failing, problem) => told.push(problem ?? "begun") },
    );
    expect(told).toEqual(["begun", "it was killed"]);
    expect(result.counts).toMatchObject({ finished: 1, failed: 0 });
    const file = join(folder, "trials", trial, "ablation.json");
    writeFileSync(file, "{}");
    await runStudy({ folder, launch: noting(jobs) });
    expect(readAblation(file).samples).toBe(64);
  }, 60_000);

  it("are left out where trials are not measured", async () => {
    const folder = join(temporaryFolder(), "study");
    const jobs: WorkerJob["kind"][] = [];
    const unwatched = tinyStudy({ ...config, diagnose: false });
    await runStudy({ folder, config: unwatched, launch: noting(jobs) });
    expect(jobs).toEqual(["run", "run"]);
    expect(existsSync(join(folder, "trials", trial, "ablation.json"))).toBe(false);
    expect(readFileSync(join(folder, "result.json"), "utf8")).toContain('"ablation": null');
  }, 60_000);
});
