import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { resolveStudyConfig } from "../../src/study/plan/config.ts";
import { studyPaths, trialFolder } from "../../src/study/plan/folder.ts";
import { formerTrialIds, presentTrialId, trialName } from "../../src/study/plan/trial-names.ts";
import { readFixes } from "../../src/study/repair/fix/fix.ts";
import { readStudy } from "../../src/study/result/read-study.ts";
import { runStudy } from "../../src/study/run-study.ts";
import { capture } from "../support/machine/capture.ts";
import { temporaryFolder, tinyStudy } from "./support.ts";

describe("a study of an earlier version", () => {
  it("is read and resumed under the names that it has", async () => {
    const folder = join(temporaryFolder(), "study");
    const config = tinyStudy({ weightBits: [4], float: null, diagnose: false });
    const before = await runStudy({ folder, config });
    const paths = studyPaths(folder);
    renameSync(join(paths.trials, "lsq_W4A4_seed0"), join(paths.trials, "lsq_4W4A_seed0"));
    writeFileSync(paths.config, readFileSync(paths.config, "utf8").replace(/^fix:/m, "cure:"));
    rmSync(paths.plan);
    expect((await readStudy(folder)).result).toEqual(before.result);
    const launch = () => {
      throw new Error("nothing is left to train");
    };
    const after = await runStudy({ folder, launch });
    expect(after.result).toEqual(before.result);
    expect(existsSync(join(paths.trials, "lsq_W4A4_seed0"))).toBe(false);
    expect(trialFolder(paths, { id: "lsq_W4A4_seed0", recipe: "lsq", weightBits: 4, activationBits: 4, seed: 0 })).toBe(
      join(paths.trials, "lsq_4W4A_seed0"),
    );
  }, 60_000);

  it("gives its fixes, with the verdicts under present names", async () => {
    const folder = temporaryFolder();
    const cell = { recipe: "thread", weightBits: 4, activationBits: 4, before: 0.5, after: 0.8, goal: 0.9 };
    const step = { title: "x", changes: {}, before: 0.5, after: 0.8, kept: false, reason: "" };
    const steps = [
      { ...step, needless: true, partOf: "y" },
      { ...step, needless: false },
    ];
    const cures = [{ ...cell, trial: "thread_4W4A_seed0", steps }];
    writeFileSync(join(folder, "cure.json"), JSON.stringify({ schemaVersion: 2, cures }));
    expect(await readFixes(studyPaths(folder).fixes)).toEqual([
      {
        ...cell,
        trial: "thread_W4A4_seed0",
        steps: [
          { ...step, redundant: true, subsumedBy: "y" },
          { ...step, redundant: false, subsumedBy: null },
        ],
      },
    ]);
  });

  it("has trials whose names have a present form", () => {
    const trial = { recipe: "a_4W4A", weightBits: 16, activationBits: 1, seed: 12 };
    expect(formerTrialIds(trial).map(presentTrialId)).toEqual([trialName(trial)]);
    expect(formerTrialIds({ ...trial, recipe: "lsq-fixed" })[0]).toBe("lsq-cured_16W1A_seed12");
    expect(presentTrialId(trialName(trial))).toBe(trialName(trial));
  });
});

describe("former keys and flags", () => {
  it("set what they are called now", () => {
    const renamed: string[][] = [];
    const source = { name: "s", text: "cure: { remedies: 3 }" };
    const overrides = [{ path: "cure.margin", value: 0.1, origin: "--set cure.margin=0.1" }];
    const config = resolveStudyConfig(source, overrides, (...names) => renamed.push(names));
    expect(config.fix).toMatchObject({ remedies: 3, margin: 0.1 });
    expect(renamed).toEqual([["cure", "fix"]]);
  });

  it("are taken on the command line, with a note on stderr", async () => {
    const { code, stdout, stderr } = await capture("study", "--cure", "--dry-run", "--json", "--model", "mlp");
    expect(code).toBe(0);
    expect(stderr).toBe("note: --cure is now called --fix\n");
    expect(JSON.parse(stdout)).toMatchObject({ config: { fix: { map: true } } });
  });
});
