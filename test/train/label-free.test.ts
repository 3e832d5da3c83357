import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { inMemoryDataset } from "../../src/data/dataset/dataset.ts";
import { diagnoseRun } from "../../src/diagnose/diagnose-run.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { makeModel } from "../../src/models/index.ts";
import { readMetrics } from "../../src/runs/metrics-log.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { loadRun } from "../../src/train/load-run.ts";
import { evaluate } from "../../src/train/loop/evaluate.ts";
import { resumeRun, startRun } from "../../src/train/run.ts";
import { floats, onnxModel, ramp } from "../support/onnx/model.ts";
import { temporaryFolder, tinyConfig } from "../support/training/tiny-run.ts";

const engine = nodeEngine({ threads: 1 });
const unlabelled = { trainLimit: 256, testLimit: 100, crop: 0, flip: false, task: "none" };
const lsq = { preset: "lsq", weightBits: 8, activationBits: 8 };

async function resnetFile(): Promise<string> {
  const network = makeModel("resnet8", { sampleShape: [1, 28, 28], classes: 10, width: 4 }, randomStream(5, "weights"));
  const file = join(await temporaryFolder(), "mine.onnx");
  await writeFile(file, exportOnnx(network));
  return file;
}

/** Flatten and one layer, with something after it. */
async function linearFile(last: "Softmax" | "Sigmoid" | "Identity"): Promise<string> {
  const file = join(await temporaryFolder(), `${last}.onnx`);
  const bytes = onnxModel({
    inputs: { x: ["N", 1, 28, 28] },
    outputs: ["y"],
    nodes: [
      ["Flatten", ["x"], ["flat"]],
      ["Gemm", ["flat", "weight", "bias"], ["scores"]],
      [last, ["scores"], ["y"]],
    ],
    initializers: { weight: ramp(784, 3), bias: floats([3], [0.1, -0.2, 0.3]) },
  });
  await writeFile(file, bytes);
  return file;
}

describe("training without labels", () => {
  it("learns from the model's own float self and reports the agreement with it", async () => {
    const config = tinyConfig({
      model: { file: await resnetFile() },
      data: unlabelled,
      train: { epochs: 2, batchSize: 32, optimizer: { learningRate: 0.01 } },
      quantization: lsq,
    });
    const parent = await temporaryFolder();
    const { summary, paths } = await startRun({ config, parent, name: "run" });
    expect(summary.metric).toBe("agreement");
    expect(summary.accuracy).toBeGreaterThan(0.8);
    const lines = await readMetrics(paths.metrics);
    expect(lines.every((line) => line.accuracy === undefined && line.trainAccuracy === undefined)).toBe(true);

    const loaded = await loadRun(paths.folder);
    if (loaded.teacher === undefined) throw new Error("the run has no teacher");
    const again = await evaluate(loaded.network, loaded.data.test, engine, { teacher: loaded.teacher });
    expect(again.accuracy).toBe(summary.accuracy);
    const own = await evaluate(loaded.teacher.teacher, loaded.data.test, engine, { teacher: loaded.teacher });
    expect(own).toMatchObject({ metric: "agreement", accuracy: 1, loss: 0 });
    const { records, ablation } = await diagnoseRun(paths.folder, { engine, ablate: true, ablationSamples: 32 });
    expect(records.at(-1)?.loss).toBeGreaterThanOrEqual(0);
    expect(ablation?.metric).toBe("agreement");
    expect(ablation?.float.accuracy).toBeGreaterThan(0.8);
  });

  it("resumes to the same bits", async () => {
    const config = tinyConfig({
      model: { file: await resnetFile() },
      data: unlabelled,
      train: { epochs: 2, batchSize: 32, checkpointEverySteps: 5 },
      quantization: lsq,
    });
    const parent = await temporaryFolder();
    const whole = await startRun({ config, parent, name: "whole" });
    const abort = new AbortController();
    const stopped = startRun(
      { config, parent, name: "cut" },
      { signal: abort.signal, onStep: ({ step }) => step === 11 && abort.abort() },
    );
    await expect(stopped).rejects.toThrow(/stopped/);
    const resumed = await resumeRun(join(parent, "cut"));
    expect(resumed.summary.loss).toBe(whole.summary.loss);
  });

  it("gives a network of ours as many outputs as its teacher, a run that was trained with labels", async () => {
    const parent = await temporaryFolder();
    const float = await startRun({
      config: tinyConfig({ train: { epochs: 1, batchSize: 32 } }),
      parent,
      name: "float",
    });
    const config = tinyConfig({
      model: { name: "lenet" },
      data: unlabelled,
      train: { epochs: 1, batchSize: 32, distillation: { teacher: float.paths.folder } },
    });
    const { network, metric } = await startRun({ config, parent, name: "student" });
    expect(network.graph.outputs[0]?.value.type.shape.at(-1)).toBe(10);
    expect(metric).toBe("agreement");
    expect((await loadRun(join(parent, "student"))).teacher?.outputs).toBe("classes");
  });

  it("learns a Softmax by the scores that enter it: as the same network without it", async () => {
    const losses = async (last: "Softmax" | "Identity") => {
      const config = tinyConfig({
        model: { file: await linearFile(last) },
        data: unlabelled,
        train: { epochs: 1, batchSize: 32, optimizer: { learningRate: 1e-4 } },
        quantization: lsq,
      });
      const { summary, paths } = await startRun({ config, parent: await temporaryFolder() });
      expect(summary.metric).toBe("agreement");
      return [summary.loss, ...(await readMetrics(paths.metrics)).flatMap(({ loss }) => loss ?? [])].map(Number);
    };
    const [probabilities, scores] = [await losses("Softmax"), await losses("Identity")];
    expect(probabilities).toHaveLength(9);
    probabilities.forEach((loss, i) => {
      expect(loss).toBeCloseTo(scores[i] ?? Number.NaN, 4);
    });
  });

  it("learns outputs that are no classes by their values, and calls the result R² to the teacher", async () => {
    const file = await linearFile("Sigmoid");
    const config = tinyConfig({
      model: { file },
      data: unlabelled,
      train: { epochs: 1, batchSize: 32, distillation: { outputs: "values" } },
      quantization: lsq,
    });
    const { metric, accuracy } = await startRun({ config, parent: await temporaryFolder() });
    expect(metric).toBe("teacherR2");
    expect(accuracy).toBeGreaterThan(0.9);
  });

  it("is refused without a teacher, with one of other outputs, and with epochs that leave the teacher out", async () => {
    const parent = await temporaryFolder();
    const start = (overrides: object) => startRun({ config: tinyConfig({ data: unlabelled, ...overrides }), parent });
    await expect(start({})).rejects.toThrow(/no labels, so a teacher is needed/);
    const teacher = await linearFile("Softmax");
    const model = { file: await resnetFile() };
    const train = { epochs: 1, batchSize: 32 };
    await expect(start({ model, train: { ...train, distillation: { teacher } } })).rejects.toThrow(/\[N,3\].*\[N,10\]/);
    await expect(start({ model, train: { ...train, distillation: { untilEpoch: 1 } } })).rejects.toThrow(/every epoch/);
  });
});

describe("regression", () => {
  it("is called R² and not accuracy", async () => {
    const random = randomStream(1, "regression");
    const samples = Float32Array.from({ length: 64 * 4 }, () => random.uniform(-0.5, 0.5));
    const targets = Float32Array.from({ length: 64 }, (_, i) => 2 * (samples[4 * i] ?? 0) - (samples[4 * i + 3] ?? 0));
    const part = inMemoryDataset({
      name: "linear",
      samples,
      sampleShape: [4],
      targets,
      target: { kind: "values", shape: [] },
    });
    const file = join(await temporaryFolder(), "line.onnx");
    const bytes = onnxModel({
      inputs: { x: ["N", 4] },
      outputs: ["y"],
      nodes: [["Gemm", ["x", "weight", "bias"], ["y"]]],
      initializers: { weight: ramp(4, 1), bias: floats([1], [0]) },
    });
    await writeFile(file, bytes);
    const config = tinyConfig({
      model: { file },
      data: { crop: 0, flip: false },
      train: { epochs: 20, batchSize: 16, optimizer: { learningRate: 0.1 } },
    });
    const parent = await temporaryFolder();
    const { summary, paths } = await startRun({ config, parent, data: { train: part, test: part } });
    expect(summary.metric).toBe("r2");
    expect(summary.accuracy).toBeGreaterThan(0.95);
    expect((await readMetrics(paths.metrics)).some((line) => line.accuracy !== undefined)).toBe(false);
  });
});
