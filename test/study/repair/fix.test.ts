import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Remedy } from "../../../src/runs/finding.ts";
import { cure, readCures } from "../../../src/study/repair/fix.ts";
import { cureTrial } from "../../../src/study/repair/fix-trial.ts";
import { cureSentence } from "../../../src/study/result/summary.ts";
import { runStudy } from "../../../src/study/run-study.ts";
import { type Launch, launchWorker } from "../../../src/study/schedule/launch.ts";
import { temporaryFolder, tinyStudy } from "../support.ts";

const remedy = (title: string): Remedy => ({ title, changes: { [title]: true } });

/** A training whose accuracy depends on which of the remedies are applied. */
function patient(accuracy: (has: (title: string) => boolean) => number | string) {
  const asked: string[] = [];
  const measure = async (remedies: readonly Remedy[]) => {
    asked.push(remedies.map(({ title }) => title).join("+"));
    return accuracy((title) => remedies.some((item) => item.title === title));
  };
  return { asked, measure };
}

const options = { before: 0.5, goal: 0.86, margin: 0.01 };

describe("the cure", () => {
  it("keeps what helps, drops what does not, and stops when it is cured", async () => {
    const { asked, measure } = patient((has) => 0.5 + (has("levels") ? 0.2 : 0) + (has("lsq") ? 0.2 : 0));
    const result = await cure({ ...options, measure, remedies: ["levels", "warm-up", "lsq", "never"].map(remedy) });
    expect(result.after).toBeCloseTo(0.9, 12);
    expect(result.steps.map(({ title, kept }) => [title, kept])).toEqual([
      ["levels", true],
      ["warm-up", false],
      ["lsq", true],
    ]);
    expect(asked).toEqual(["levels", "levels+warm-up", "levels+lsq", "lsq"]);
  });

  it("takes back what a later remedy made needless", async () => {
    const { measure } = patient((has) => (has("lsq") ? 0.88 : has("levels") ? 0.7 : 0.5));
    const result = await cure({ ...options, measure, remedies: ["levels", "lsq"].map(remedy) });
    expect(result.steps.map(({ title, kept, needless }) => [title, kept, needless])).toEqual([
      ["levels", false, true],
      ["lsq", true, false],
    ]);
    expect(result.after).toBe(0.88);
  });

  it("tells what a later remedy brings along from what it made needless", async () => {
    const { asked, measure } = patient((has) => (has("lsq") ? 0.88 : has("levels") ? 0.7 : 0.5));
    // Learned step sizes have all levels anyway: with and without the first remedy, it is the same training.
    const configurationOf = (set: readonly Remedy[]) =>
      set.some(({ title }) => title === "lsq") ? "lsq" : set.map(({ title }) => title).join("+");
    const result = await cure({ ...options, measure, configurationOf, remedies: ["levels", "lsq"].map(remedy) });
    expect(result.steps.map(({ title, kept, partOf }) => [title, kept, partOf])).toEqual([
      ["levels", false, "lsq"],
      ["lsq", true, null],
    ]);
    expect(result.steps[0]?.reason).toBe("+20.0 points; comes with: lsq");
    expect(asked).toEqual(["levels", "levels+lsq"]);
    const cell = { recipe: "thread", weightBits: 4, activationBits: 4, trial: "thread_4W4A_seed0" };
    expect(cureSentence({ ...cell, ...result })).toBe(
      "What cures thread W4A4: lsq, which brings along: levels: 50.0 % → 88.0 %.",
    );
  });

  it("goes on after a trial that failed", async () => {
    const { measure } = patient((has) => (has("bad") ? "the trial failed" : 0.9));
    const result = await cure({ ...options, measure, remedies: ["bad", "good"].map(remedy) });
    expect(result.steps.map(({ kept, reason }) => [kept, reason])).toEqual([
      [false, "the trial failed"],
      [true, "+40.0 points"],
    ]);
  });
});

describe("the cure of a trial", () => {
  it("trains each set of remedies once, in the study's folder, and is told by the report", async () => {
    const folder = join(temporaryFolder(), "study");
    const config = tinyStudy({ recipes: ["thread"], weightBits: [4], float: null });
    await runStudy({ folder, config });
    const remedies: Remedy[] = [
      { title: "all levels", changes: { "quantization.reduceRange": false } },
      { title: "learned steps", changes: { "quantization.preset": "lsq" } },
    ];
    let launched = 0;
    const launch: Launch = (at, job, onEvent) => {
      launched++;
      return launchWorker(at, job, onEvent);
    };
    // A margin that everything passes: what is tested here is not whether it helps.
    const wanted = { folder, trial: "thread_4W4A_seed0", remedies: remedies, margin: -1, goal: 1, launch };
    const first = await cureTrial(wanted);
    expect(first).toMatchObject({
      ...{ recipe: "thread", weightBits: 4, activationBits: 4, trial: "thread_4W4A_seed0" },
      steps: [{ title: "all levels" }, { title: "learned steps" }],
    });
    // The last without the first is asked for, too; as lsq has all levels anyway, that is the run that there is.
    expect(launched).toBe(2);
    expect(await cureTrial(wanted)).toEqual(first);
    expect(launched).toBe(2);
    expect(await readCures(join(folder, "cure.json"))).toEqual([first]);
    await expect(cureTrial({ ...wanted, trial: "nothing" })).rejects.toMatchObject({
      code: "CONFIG",
      remedy: "Finished trials: thread_4W4A_seed0.",
    });
  }, 60_000);
});
