import { readFile, rm, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { diagnoseRun, readProbeRecords } from "../../src/diagnose/diagnose-run.ts";
import { watchTraining } from "../../src/diagnose/watch-run.ts";
import { FileFormatError, InterruptedError } from "../../src/errors.ts";
import { runPaths } from "../../src/runs/folder.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { type RunListeners, resumeRun, startRun } from "../../src/train/run.ts";
import { capture } from "../support/machine/capture.ts";
import { temporaryFolder, tinyConfig } from "../support/training/tiny-run.ts";

const config = tinyConfig({
  train: { epochs: 2, batchSize: 32, optimizer: { learningRate: 0.05 }, checkpointEverySteps: 5 },
  quantization: { preset: "lsq", weightBits: 4, activationBits: 4 },
});

const watch: Pick<RunListeners, "watch"> = {
  watch: (run) => watchTraining(run, { every: 4, file: run.paths.diagnosis }).watcher,
};

describe("a run that is watched", () => {
  it("trains like one that is not watched, and continues its records when it is resumed", async () => {
    const parent = await temporaryFolder();
    const plain = await startRun({ config, parent, name: "plain" });
    const watched = await startRun({ config, parent, name: "watched" }, watch);
    expect(watched.loss).toBe(plain.loss);
    const records = await readProbeRecords(watched.paths.diagnosis);
    expect(records.map(({ step }) => step)).toEqual([0, 4, 8, 12]);
    expect(records[1]?.recent.steps).toBe(4);
    expect(records[1]?.weights[0]?.update).toBeGreaterThan(0);

    // Stopped after its tenth step, which is a checkpoint; the records of steps 0 to 8 are there by then.
    const controller = new AbortController();
    const stopping: RunListeners = {
      ...watch,
      signal: controller.signal,
      onStep: ({ step }) => step === 10 && controller.abort(),
    };
    await expect(startRun({ config, parent, name: "stopped" }, stopping)).rejects.toThrow(InterruptedError);
    const folder = runPaths(`${parent}/stopped`);
    await resumeRun(folder.folder, watch);
    const resumed = await readProbeRecords(folder.diagnosis);
    expect(resumed.map(({ step, loss }) => [step, loss])).toEqual(records.map(({ step, loss }) => [step, loss]));
  });

  it("is diagnosed from its folder, watched or not", async () => {
    const parent = await temporaryFolder();
    const random = tinyConfig({
      train: { epochs: 1, batchSize: 32 },
      quantization: { preset: "minmax", weightBits: 4, activationBits: 4, reduceRange: true },
    });
    const { paths } = await startRun({ config: random, parent, name: "run" }, watch);
    const engine = nodeEngine({ threads: 1 });
    const { findings, records, step } = await diagnoseRun(paths.folder, { engine });
    expect(step).toBe(8);
    expect(records.map((record) => record.step)).toEqual([0, 4, 8]);
    expect(findings[0]?.cause).toBe("reduced-range");
    expect(findings.map(({ cause }) => cause)).toContain("random-start");

    await rm(paths.diagnosis);
    const alone = await diagnoseRun(paths.folder, { engine, ablate: true, ablationSamples: 50 });
    expect(alone.records).toHaveLength(1);
    expect(alone.findings[0]?.cause).toBe("reduced-range");
    expect(alone.ablation?.layers.length).toBeGreaterThan(3);

    const { code, stdout } = await capture("diagnose", paths.folder, "--threads", "1", "-v");
    expect(code).toBe(0);
    expect(stdout).toContain("The activations have 8 levels, not the 16 of 4 bits");
    expect(stdout).toContain("--set quantization.reduceRange=false");
    expect(stdout).toContain("The run was not measured while it trained");
    const kept = JSON.parse(await readFile(`${paths.folder}/findings.json`, "utf8"));
    expect(kept.findings[0].cause).toBe("reduced-range");

    await writeFile(paths.diagnosis, '{"step":3}\n');
    await expect(diagnoseRun(paths.folder, { engine })).rejects.toThrow(FileFormatError);
  });
});
