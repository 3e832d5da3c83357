import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { InterruptedError, SubbyteError } from "../../src/errors.ts";
import { readMetrics } from "../../src/runs/metrics-log.ts";
import { TrainingJob } from "../../src/runtime/job.ts";
import { resumeRun, startRun } from "../../src/train/run.ts";
import { temporaryFolder, tensorBytes, tinyConfig } from "../support/training/tiny-run.ts";

const presets = ["thread", "lsq"] as const;

describe("a run", () => {
  it("lowers the loss, and keeps what is needed to repeat it", async () => {
    const parent = await temporaryFolder();
    const { paths, summary } = await startRun({
      config: tinyConfig({
        model: { name: "resnet8", width: 8 },
        data: { trainLimit: 256, testLimit: 100, crop: 0, flip: false },
        train: { epochs: 3, batchSize: 8, optimizer: { learningRate: 0.1 } },
      }),
      parent,
      name: "float",
    });
    const epochs = (await readMetrics(paths.metrics)).filter((record) => "testAccuracy" in record);
    expect(epochs).toHaveLength(3);
    // Of ten classes: a right answer may be among the five largest outputs.
    for (const { testAccuracy, testTop5Accuracy } of epochs) {
      expect(Number(testTop5Accuracy)).toBeGreaterThan(Number(testAccuracy));
    }
    expect(summary.top5Accuracy).toBe(epochs[2]?.testTop5Accuracy);
    expect(Number(epochs[2]?.trainLoss)).toBeLessThan(0.9 * Number(epochs[0]?.trainLoss));
    expect(summary.steps).toBe(96);
    expect(JSON.parse(await readFile(paths.summary, "utf8"))).toMatchObject({ quantization: "float", steps: 96 });
    expect(await readFile(paths.config, "utf8")).toContain("resnet8");
  });

  it.each(presets)("gives the same metrics and weights for the same seed (%s)", async (preset) => {
    const parent = await temporaryFolder();
    const config = tinyConfig({ quantization: { preset, weightBits: 4, activationBits: 4 } });
    const first = await startRun({ config, parent, name: "first" });
    const second = await startRun({ config, parent, name: "second" });
    expect(await readFile(second.paths.metrics, "utf8")).toBe(await readFile(first.paths.metrics, "utf8"));
    const last = "last.safetensors";
    const bytes = await tensorBytes(join(second.paths.checkpoints, last));
    expect(bytes).toEqual(await tensorBytes(join(first.paths.checkpoints, last)));
    const other = await startRun({ config: { ...config, seed: 1 }, parent, name: "other" });
    expect(await readFile(other.paths.metrics, "utf8")).not.toBe(await readFile(first.paths.metrics, "utf8"));
  });

  it.each([3, 8, 13, 23])("stopped after step %i and resumed, equals one that was never stopped", async (stopAt) => {
    const parent = await temporaryFolder();
    const config = tinyConfig({ quantization: { preset: "lsq", weightBits: 3, activationBits: 3 } });
    const whole = await startRun({ config, parent, name: "whole" });
    const controller = new AbortController();
    const stopped = startRun(
      { config, parent, name: "stopped" },
      { signal: controller.signal, onStep: ({ step }) => step === stopAt && controller.abort() },
    );
    await expect(stopped).rejects.toThrow(InterruptedError);
    const resumed = await resumeRun(join(parent, "stopped"));
    expect(await readFile(resumed.paths.metrics, "utf8")).toBe(await readFile(whole.paths.metrics, "utf8"));
    for (const name of ["last.safetensors", "best.safetensors"]) {
      const bytes = await tensorBytes(join(resumed.paths.checkpoints, name));
      expect(bytes).toEqual(await tensorBytes(join(whole.paths.checkpoints, name)));
    }
    expect(resumed.summary.accuracy).toBe(whole.summary.accuracy);
  });

  it("starts from the float weights of another run", async () => {
    const parent = await temporaryFolder();
    const float = await startRun({ config: tinyConfig(), parent, name: "float" });
    const config = tinyConfig({
      from: float.paths.folder,
      train: { epochs: 1, batchSize: 32, optimizer: { learningRate: 1e-9 } },
      quantization: { preset: "lsq", weightBits: 8, activationBits: 8 },
    });
    const { accuracy } = await startRun({ config, parent, name: "quantized" });
    expect(Math.abs(accuracy - float.accuracy)).toBeLessThanOrEqual(0.1);
  });

  it("freezes observers and batch normalization after their epochs", async () => {
    const parent = await temporaryFolder();
    const config = tinyConfig({
      train: { epochs: 3, batchSize: 32, optimizer: { learningRate: 0.05 }, checkpointEverySteps: 1 },
      quantization: {
        preset: "minmax",
        weightBits: 4,
        activationBits: 4,
        freezeObserversAfterEpoch: 1,
        freezeBatchNormAfterEpoch: 2,
      },
    });
    const snapshots: Record<string, string>[] = [];
    const file = join(parent, "run", "checkpoints", "last.safetensors");
    const controller = new AbortController();
    const stop = async (step: number, run: (signal: AbortSignal) => Promise<unknown>) => {
      await run(controller.signal).catch((error: unknown) => {
        if (!(error instanceof InterruptedError)) throw error;
      });
      snapshots[step] = await tensorBytes(file);
    };
    await stop(9, (signal) =>
      startRun({ config, parent, name: "run" }, { signal, onStep: ({ step }) => step === 9 && controller.abort() }),
    );
    await resumeRun(join(parent, "run"));
    snapshots[24] = await tensorBytes(file);
    const changed = Object.keys(snapshots[9] ?? {}).filter((name) => snapshots[9]?.[name] !== snapshots[24]?.[name]);
    expect(changed.some((name) => name.endsWith("conv1.weight"))).toBe(true);
    expect(changed.filter((name) => name.includes(".observer."))).toEqual([]);
    expect(changed.some((name) => name.endsWith("running_mean"))).toBe(true);
  });
});

describe("a run that computes values again", () => {
  it("asks its jobs to, and gives the same metrics", async () => {
    const parent = await temporaryFolder();
    const create = vi.spyOn(TrainingJob, "create");
    onTestFinished(() => create.mockRestore());
    const quantization = { preset: "lsq", weightBits: 4, activationBits: 4 };
    const texts: string[] = [];
    for (const recompute of ["never", "always"]) {
      const config = tinyConfig({ quantization, train: { epochs: 1, batchSize: 32, recompute } });
      const { paths } = await startRun({ config, parent, name: recompute });
      expect(create.mock.lastCall?.[3]).toMatchObject({ recompute });
      texts.push(await readFile(paths.metrics, "utf8"));
    }
    expect(texts[1]).toBe(texts[0]);
  });
});

describe("a run refuses", () => {
  it("a batch that is larger than the data", async () => {
    const parent = await temporaryFolder();
    const config = tinyConfig({ train: { epochs: 1, batchSize: 257 } });
    await expect(startRun({ config, parent })).rejects.toThrow(/257.*256/);
    expect(await readdir(parent)).toEqual([]);
  });

  it("to resume where there is no run", async () => {
    const parent = await temporaryFolder();
    await expect(resumeRun(join(parent, "nothing"))).rejects.toThrow(SubbyteError);
  });

  it("to resume with a changed configuration", async () => {
    const parent = await temporaryFolder();
    const { paths } = await startRun({
      config: tinyConfig({ train: { epochs: 1, batchSize: 32 } }),
      parent,
      name: "run",
    });
    const { writeFile } = await import("node:fs/promises");
    const text = await readFile(paths.config, "utf8");
    await writeFile(paths.config, text.replace("batchSize: 32", "batchSize: 64"));
    await expect(resumeRun(paths.folder)).rejects.toThrow(/another configuration/);
  });

  it("a checkpoint of another model", async () => {
    const parent = await temporaryFolder();
    const float = await startRun({ config: tinyConfig({ train: { epochs: 1, batchSize: 32 } }), parent, name: "run" });
    const config = tinyConfig({ model: { name: "resnet8", width: 8 }, from: float.paths.folder });
    await expect(startRun({ config, parent, name: "other" })).rejects.toThrow(SubbyteError);
  });
});
