import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { TrainingConfig } from "../../src/config/schema/schema.ts";
import { type EarlyFinding, earlyLine, earlyLines } from "../../src/diagnose/early-findings.ts";
import { watchAndKeep } from "../../src/diagnose/keep-findings.ts";
import { FaultError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/runs/checkpoint.ts";
import { lastCheckpoint } from "../../src/runs/checkpoint-names.ts";
import { runPaths } from "../../src/runs/folder.ts";
import { type RunListeners, resumeRun, startRun } from "../../src/train/run.ts";
import { temporaryFolder, tinyConfig } from "../support/training/tiny-run.ts";

/** Scales trained 200 times as fast as the weights: the first steps show what the configuration alone does not prove. */
const throwsScalesAway = tinyConfig({
  train: {
    epochs: 6,
    batchSize: 32,
    optimizer: { learningRate: 0.05, groups: { quantizer: { learningRateScale: 200 } } },
  },
  quantization: { preset: "lsq", weightBits: 4, activationBits: 4 },
});

function watching(reported: EarlyFinding[], settings: TrainingConfig): Pick<RunListeners, "watch"> {
  const options = { every: 4, settings, stopOnFault: true };
  const onEarly = (findings: readonly EarlyFinding[]) => reported.push(...findings);
  return { watch: (run) => watchAndKeep(run, { ...options, onEarly }).watcher };
}

describe("a run with a fault that is certain early", () => {
  it("stops at the step that shows it with a checkpoint, and resumes from there", async () => {
    const parent = await temporaryFolder();
    const config = throwsScalesAway;
    const reported: EarlyFinding[] = [];
    const error = await startRun({ config, parent, name: "run" }, watching(reported, config)).catch(
      (thrown: unknown) => thrown,
    );
    const [first] = reported;
    const { folder, checkpoints } = runPaths(join(parent, "run"));
    expect(reported.map(({ finding }) => finding.cause)).toContain("scale-rate-too-high");
    expect(error).toBeInstanceOf(FaultError);
    expect(error).toMatchObject({ exitCode: 1, where: folder });
    expect(String(error)).toContain(`stopped at step ${first?.step}: ${first?.finding.title}`);
    expect(first?.step).toBeGreaterThan(0);
    const { position } = await readCheckpoint(join(checkpoints, lastCheckpoint));
    expect(position.step).toBe(first?.step);

    // The numbers are those of a run that was never stopped.
    const whole = await startRun({ config, parent, name: "whole" });
    expect((await resumeRun(folder)).loss).toBe(whole.loss);
  });

  it("stops before its first step where the configuration proves the fault", async () => {
    const config = tinyConfig({
      quantization: { preset: "minmax", weightBits: 4, activationBits: 4, reduceRange: true },
    });
    const parent = await temporaryFolder();
    const reported: EarlyFinding[] = [];
    await expect(startRun({ config, parent, name: "run" }, watching(reported, config))).rejects.toThrow(
      /^stopped at step 0: /,
    );
    expect(earlyLines(reported)[1]).toContain("--set quantization.reduceRange=false");
    expect(earlyLine(reported)).toMatch(/^step 0: .*reduce_range.*\(confidence 97 %\)/);
    const { checkpoints } = runPaths(join(parent, "run"));
    expect((await readCheckpoint(join(checkpoints, lastCheckpoint))).position.step).toBe(0);
  });
});
