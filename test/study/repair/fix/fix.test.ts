import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { remediesOf } from "../../../../src/diagnose/remedy/search.ts";
import type { Remedy } from "../../../../src/runs/finding.ts";
import { readFixes } from "../../../../src/study/repair/fix/fix.ts";
import { type FixTrialOptions, fixIn } from "../../../../src/study/repair/fix/trial.ts";
import { readStudy } from "../../../../src/study/result/read-study.ts";
import { runStudy } from "../../../../src/study/run-study.ts";
import { type Launch, launchWorker } from "../../../../src/study/schedule/launch.ts";
import { temporaryFolder, tinyStudy } from "../../support.ts";

async function fixTrial({ folder, ...options }: FixTrialOptions & { readonly folder: string }) {
  return fixIn(await readStudy(folder), options);
}

describe("the fix of a trial", () => {
  it("trains each set of remedies once, in the study's folder, and the report shows them", async () => {
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
    const wanted = { folder, trial: "thread_W4A4_seed0", remedies: remedies, margin: -1, goal: 1, launch };
    const first = await fixTrial(wanted);
    expect(first).toMatchObject({
      ...{ recipe: "thread", weightBits: 4, activationBits: 4, trial: "thread_W4A4_seed0" },
      steps: [{ title: "all levels" }, { title: "learned steps" }],
    });
    // The last without the first is asked for, too; as lsq has all levels anyway, that is the run that there is.
    expect(launched).toBe(2);
    expect(await fixTrial(wanted)).toEqual(first);
    expect(launched).toBe(2);
    expect(await readFixes(join(folder, "fix.json"))).toEqual([first]);
    await expect(fixTrial({ ...wanted, trial: "nothing" })).rejects.toMatchObject({
      code: "CONFIG",
      remedy: "Finished trials: thread_W4A4_seed0.",
    });
  }, 60_000);

  it("lowers a finding whose remedies all failed in the other trials of the study, and in those alone", async () => {
    const folder = join(temporaryFolder(), "study");
    await runStudy({ folder, config: tinyStudy({ recipes: ["thread"], float: null }) });
    const before = (await readStudy(folder)).records;
    const [tried, other] = before;
    const known = new Set(other?.findings.map(({ cause }) => cause));
    const [finding] = tried?.findings.filter(({ cause, remedy }) => remedy !== null && known.has(cause)) ?? [];
    if (tried === undefined || other === undefined || finding === undefined) return expect.fail("no common finding");
    const own = tried.findings.filter(({ cause }) => cause === finding.cause);
    // No gain is large enough.
    const fix = await fixTrial({ folder, trial: tried.id, remedies: remediesOf(own, 9), margin: 2, goal: 1 });
    expect(fix.failed?.map(({ cause }) => cause)).toContain(finding.cause);
    const after = (await readStudy(folder)).records;
    const confidence = (records: typeof before, id: string) =>
      records.find((record) => record.id === id)?.findings.find(({ cause }) => cause === finding.cause)?.confidence;
    expect(confidence(after, tried.id)).toBe(finding.confidence);
    expect(confidence(after, other.id)).toBeCloseTo((confidence(before, other.id) ?? 0) / 2, 12);
  }, 60_000);
});
