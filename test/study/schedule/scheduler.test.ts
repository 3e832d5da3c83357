import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Launch, WorkerEnd } from "../../../src/study/schedule/launch.ts";
import { endOf } from "../../../src/study/schedule/launch.ts";
import { runTrials, type ScheduledTrial, type SchedulerOptions } from "../../../src/study/schedule/scheduler.ts";
import { trialPaths } from "../../../src/study/schedule/trial-files.ts";
import type { WorkerEvent } from "../../../src/study/schedule/worker-protocol.ts";
import { temporaryFolder } from "../support.ts";

const noStopping: SchedulerOptions["earlyStopping"] = {
  rule: "none",
  graceEpochs: 1,
  minimumTrials: 1,
  slack: 0,
  reduction: 2,
};

function trials(folder: string, names: readonly string[], changes: Partial<ScheduledTrial> = {}): ScheduledTrial[] {
  return names.map((id) => {
    const paths = trialPaths(join(folder, id));
    mkdirSync(paths.folder, { recursive: true });
    const job = { kind: "run" as const, parent: "trials", name: id, config: "", diagnose: false };
    const state = { status: "waiting" as const, reason: null, accuracies: [] };
    return { id, kind: "lsq", job, paths, totalSteps: 8, totalEpochs: 4, ...state, ...changes };
  });
}

/** A worker that tells these accuracies and then ends so; asked to stop, it is interrupted. */
function worker(
  accuracies: readonly number[],
  end: WorkerEnd,
): (onEvent: (event: WorkerEvent) => void) => ReturnType<Launch> {
  return (onEvent) => {
    let halt: (end: WorkerEnd) => void = () => undefined;
    const halted = new Promise<WorkerEnd>((settle) => {
      halt = settle;
    });
    const told = (async () => {
      onEvent({ kind: "started", step: 0, totalSteps: 8 });
      for (const [index, accuracy] of accuracies.entries()) {
        await new Promise((settle) => setTimeout(settle, 2));
        onEvent({ kind: "epoch", epoch: index + 1, step: 2 * (index + 1), accuracy });
      }
      return end;
    })();
    return {
      pid: undefined,
      end: Promise.race([told, halted]),
      stop: () => halt({ kind: "interrupted" }),
      kill: () => halt({ kind: "died", reason: "it was killed" }),
    };
  };
}

const finished: WorkerEnd = { kind: "finished", accuracy: 0.5, peakMemoryBytes: 100 };

function options(folder: string, launch: Launch, changes: Partial<SchedulerOptions> = {}): SchedulerOptions {
  return { folder, trials: [], parallel: 2, retries: 2, earlyStopping: noStopping, launch, ...changes };
}

describe("the scheduler", () => {
  it("runs as many side by side as it may, and no finished one again", async () => {
    const folder = temporaryFolder();
    const started: string[] = [];
    let running = 0;
    let most = 0;
    // None ends before two have started, however long a folder takes to make.
    let haveStarted = (): void => {};
    const both = new Promise<void>((resolve) => {
      haveStarted = resolve;
    });
    const launch: Launch = (_folder, job, onEvent) => {
      started.push(job.name);
      most = Math.max(most, ++running);
      if (most === 2) haveStarted();
      const made = worker([0.5], finished)(onEvent);
      const end = both.then(() => made.end);
      end.then(() => running--);
      return { ...made, end };
    };
    const all = [
      ...trials(folder, ["a"], { status: "finished", accuracies: [0.1] }),
      ...trials(folder, ["b", "c", "d"]),
      ...trials(folder, ["e"], { status: "stopped", reason: "too low" }),
    ];
    const ends = await runTrials(options(folder, launch, { trials: all }));
    // Of two that begin together, either may have its folder ready first.
    expect(started.slice(0, 2).sort()).toEqual(["b", "c"]);
    expect(started.slice(2)).toEqual(["d"]);
    expect(most).toBe(2);
    expect(ends.map(({ status }) => status)).toEqual(["finished", "finished", "finished", "finished", "stopped"]);
  });

  it("restarts a trial that died, up to the number of retries, and records the cause; the others continue", async () => {
    const folder = temporaryFolder();
    const attempts = new Map<string, number>();
    const launch: Launch = (_folder, { name }, onEvent) => {
      const attempt = (attempts.get(name) ?? 0) + 1;
      attempts.set(name, attempt);
      const recovers = name === "recovers" && attempt === 3;
      const died: WorkerEnd = { kind: "died", reason: "it was killed (SIGKILL)" };
      return worker([0.5], recovers || name === "well" ? finished : died)(onEvent);
    };
    const ends = await runTrials(options(folder, launch, { trials: trials(folder, ["dies", "recovers", "well"]) }));
    expect(Object.fromEntries(attempts)).toEqual({ dies: 3, recovers: 3, well: 1 });
    expect(ends.map(({ status, reason }) => [status, reason])).toEqual([
      ["failed", "it was killed (SIGKILL) (3 attempts)"],
      ["finished", null],
      ["finished", null],
    ]);
    const outcome: unknown = JSON.parse(readFileSync(join(folder, "dies", "outcome.json"), "utf8"));
    expect(outcome).toMatchObject({ status: "failed", reason: "it was killed (SIGKILL) (3 attempts)" });
  });

  it("does not try again what a worker says cannot be, such as a full disk", async () => {
    const folder = temporaryFolder();
    let attempts = 0;
    const reason = "metrics.jsonl: cannot append: the disk is full (ENOSPC)";
    const launch: Launch = (_folder, _job, onEvent) => {
      attempts++;
      return worker([], { kind: "failed", reason })(onEvent);
    };
    const [end] = await runTrials(options(folder, launch, { trials: trials(folder, ["a"]) }));
    expect({ attempts, status: end?.status, reason: end?.reason }).toEqual({ attempts: 1, status: "failed", reason });
  });

  it("reports a failure that it cannot write, and runs a failed trial again at the next start", async () => {
    const folder = temporaryFolder();
    const [trial] = trials(folder, ["a"]);
    if (trial === undefined) throw new Error("no trial");
    const fails: Launch = (_folder, _job, onEvent) => {
      // A folder is in the way of the file.
      mkdirSync(trial.paths.outcome);
      return worker([], { kind: "failed", reason: "full" })(onEvent);
    };
    const [end] = await runTrials(options(folder, fails, { trials: [trial] }));
    expect(end?.reason).toMatch(/^full; and writing that failed: /);
    rmSync(trial.paths.outcome, { recursive: true });
    const works: Launch = (_folder, _job, onEvent) => worker([0.5], finished)(onEvent);
    const again = { ...trial, status: "failed" as const, reason: "full" };
    expect((await runTrials(options(folder, works, { trials: [again] })))[0]?.status).toBe("finished");
  });

  it("marks a trial that ends early as stopped, with the epochs that count", async () => {
    const folder = temporaryFolder();
    const launch: Launch = (_folder, { name }, onEvent) =>
      worker(name === "bad" ? [0.1, 0.2, 0.3, 0.4] : [0.5, 0.6, 0.7, 0.8], finished)(onEvent);
    const earlyStopping = { ...noStopping, rule: "median" as const, minimumTrials: 2 };
    const all = trials(folder, ["a", "b", "bad"]);
    const ends = await runTrials(options(folder, launch, { trials: all, earlyStopping, parallel: 3 }));
    expect(ends.map(({ status }) => status)).toEqual(["finished", "finished", "stopped"]);
    const outcome: unknown = JSON.parse(readFileSync(join(folder, "bad", "outcome.json"), "utf8"));
    expect(outcome).toMatchObject({ status: "stopped", epoch: 1 });
    expect(existsSync(join(folder, "a", "outcome.json"))).toBe(false);
  });

  it("starts no second worker while memory is short, but always one", async () => {
    const folder = temporaryFolder();
    let running = 0;
    let most = 0;
    const launch: Launch = (_folder, _job, onEvent) => {
      most = Math.max(most, ++running);
      const made = worker([0.5], finished)(onEvent);
      made.end.then(() => running--);
      return made;
    };
    const short = { peakMemoryBytes: 1000, freeMemory: () => 1100 };
    await runTrials(options(folder, launch, { trials: trials(folder, ["a", "b", "c"]), parallel: 3, ...short }));
    expect(most).toBe(1);
  });

  it("stops its workers when it is asked to, and starts no more", async () => {
    const folder = temporaryFolder();
    const controller = new AbortController();
    const started: string[] = [];
    const launch: Launch = (_folder, { name }, onEvent) => {
      started.push(name);
      setTimeout(() => controller.abort(), 5);
      return worker(Array(1000).fill(0.5), finished)(onEvent);
    };
    const run = runTrials(
      options(folder, launch, { trials: trials(folder, ["a", "b", "c"]), signal: controller.signal }),
    );
    await expect(run).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect([...started].sort()).toEqual(["a", "b"]);
    expect(existsSync(join(folder, "a", "outcome.json"))).toBe(false);
  });
});

describe("the end of a worker", () => {
  it("follows from its last event, else from how its process ended", () => {
    const last = { kind: "finished" as const, accuracy: 1, peakMemoryBytes: 1 };
    expect(endOf(last, 0, null, "")).toEqual(last);
    expect(endOf({ kind: "failed", reason: "full" }, 0, null, "")).toMatchObject({ kind: "failed" });
    expect(endOf(undefined, null, "SIGKILL", "")).toMatchObject({ reason: expect.stringContaining("out of memory") });
    expect(endOf(undefined, null, "SIGABRT", "FATAL ERROR: Reached heap limit")).toMatchObject({
      reason: expect.stringContaining("--parallel"),
    });
    expect(endOf(undefined, 3, null, "a\nlast line\n")).toMatchObject({
      reason: "its process ended with code 3 before it was done; last output: last line",
    });
  });
});

describe("trials that fail alike", () => {
  const failing =
    (reasonOf: (name: string) => string): Launch =>
    (_folder, { name }, onEvent) =>
      worker([], name === "well" ? finished : { kind: "failed", reason: reasonOf(name) })(onEvent);
  const names = ["a1", "b2", "c3", "d4", "e5", "f6"];

  it.each([1, 2])("stop the study after the first three, %i at a time, with their message once", async (parallel) => {
    const folder = temporaryFolder();
    const launch = failing((name) => `trials/${name}: mine.onnx: the model cannot be read`);
    const begun: string[] = [];
    const run = runTrials(
      options(folder, launch, {
        trials: trials(folder, names),
        parallel,
        stopsAlike: true,
        onChange: ({ trial }, what) => what === "begun" && begun.push(trial.id),
      }),
    );
    await expect(run).rejects.toMatchObject({
      code: "RUNTIME",
      message: expect.stringMatching(
        /^the first [34] trials failed with the same message, and the other [23] were not started: /,
      ),
    });
    expect(begun.length).toBeLessThanOrEqual(2 + parallel);
    expect(existsSync(join(folder, "f6", "outcome.json"))).toBe(false);
  });

  it("do not stop a study where another has a result, reasons differ, there are two, or none is left", async () => {
    const all = async (
      ids: readonly string[],
      reasonOf: (name: string) => string,
      changes: Partial<SchedulerOptions> = {},
    ) => {
      const folder = temporaryFolder();
      const ends = await runTrials(
        options(folder, failing(reasonOf), { trials: trials(folder, ids), parallel: 1, stopsAlike: true, ...changes }),
      );
      return ends.filter(({ status }) => status === "failed").length;
    };
    expect(await all(["well", ...names], () => "full")).toBe(6);
    expect(await all(names, (name) => (name === "b2" ? "empty" : "full"))).toBe(6);
    expect(await all(["a1", "b2"], () => "full")).toBe(2);
    expect(await all(["a1", "b2", "c3"], () => "full")).toBe(3);
    expect(await all(names, () => "full", { stopsAlike: false })).toBe(6);
  });
});
