import { describe, expect, it } from "vitest";
import { searchFix } from "../../../src/diagnose/remedy/search.ts";
import type { Remedy } from "../../../src/runs/finding.ts";
import { fixSentence } from "../../../src/study/result/summary.ts";

const remedy = (title: string): Remedy => ({ title, changes: { [title]: true } });

/** A training whose accuracy depends on which of the remedies are applied. */
function failing(accuracy: (has: (title: string) => boolean) => number | string) {
  const asked: string[] = [];
  const measure = async (remedies: readonly Remedy[]) => {
    asked.push(remedies.map(({ title }) => title).join("+"));
    return accuracy((title) => remedies.some((item) => item.title === title));
  };
  return { asked, measure };
}

const options = { before: 0.5, goal: 0.86, margin: 0.01 };

describe("the fix search", () => {
  it("keeps what helps, drops what does not, and stops when it is fixed", async () => {
    const { asked, measure } = failing((has) => 0.5 + (has("levels") ? 0.2 : 0) + (has("lsq") ? 0.2 : 0));
    const result = await searchFix({
      ...options,
      measure,
      remedies: ["levels", "warm-up", "lsq", "never"].map(remedy),
    });
    expect(result.after).toBeCloseTo(0.9, 12);
    expect(result.steps.map(({ title, kept }) => [title, kept])).toEqual([
      ["levels", true],
      ["warm-up", false],
      ["lsq", true],
    ]);
    expect(asked).toEqual(["levels", "levels+warm-up", "levels+lsq", "lsq"]);
  });

  it("takes back what a later remedy made redundant", async () => {
    const { measure } = failing((has) => (has("lsq") ? 0.88 : has("levels") ? 0.7 : 0.5));
    const result = await searchFix({ ...options, measure, remedies: ["levels", "lsq"].map(remedy) });
    expect(result.steps.map(({ title, kept, redundant }) => [title, kept, redundant])).toEqual([
      ["levels", false, true],
      ["lsq", true, false],
    ]);
    expect(result.after).toBe(0.88);
  });

  it("tells a subsumed remedy from a redundant one", async () => {
    const { asked, measure } = failing((has) => (has("lsq") ? 0.88 : has("levels") ? 0.7 : 0.5));
    // Learned step sizes have all levels anyway: with and without the first remedy, it is the same training.
    const configurationOf = (set: readonly Remedy[]) =>
      set.some(({ title }) => title === "lsq") ? "lsq" : set.map(({ title }) => title).join("+");
    const result = await searchFix({ ...options, measure, configurationOf, remedies: ["levels", "lsq"].map(remedy) });
    expect(result.steps.map(({ title, kept, subsumedBy }) => [title, kept, subsumedBy])).toEqual([
      ["levels", false, "lsq"],
      ["lsq", true, null],
    ]);
    expect(result.steps[0]?.reason).toBe("+20.0 points; subsumed by: lsq");
    expect(asked).toEqual(["levels", "levels+lsq"]);
    const cell = { recipe: "thread", weightBits: 4, activationBits: 4, trial: "thread_W4A4_seed0" };
    expect(fixSentence({ ...cell, ...result })).toBe(
      "Fix for thread W4A4: lsq (includes: levels): 50.0 % → 88.0 % (one seed).",
    );
  });

  it("continues after a failed trial", async () => {
    const { measure } = failing((has) => (has("bad") ? "the trial failed" : 0.9));
    const result = await searchFix({ ...options, measure, remedies: ["bad", "good"].map(remedy) });
    expect(result.steps.map(({ kept, reason }) => [kept, reason])).toEqual([
      [false, "the trial failed"],
      [true, "+40.0 points"],
    ]);
  });
});
