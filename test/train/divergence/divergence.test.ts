/** What a training says and leaves behind when a loss or a parameter is NaN or infinite. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import type { TrainingConfig } from "../../../src/config/schema/schema.ts";
import { inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { noNormalization } from "../../../src/data/normalization/normalization.ts";
import { DivergenceError, FileFormatError } from "../../../src/errors.ts";
import { isFiniteTensor } from "../../../src/ir/finite.ts";
import type { Network } from "../../../src/ir/network.ts";
import { float32Data } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { flatten } from "../../../src/ops/families/shape/shape-ops.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/runs/checkpoint.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import type { StepProgress } from "../../../src/train/loop/recipe.ts";
import { train } from "../../../src/train/loop/trainer.ts";
import { recipeOf } from "../../../src/train/recipe-of.ts";
import { resumeRun, startRun } from "../../../src/train/run.ts";
import { capture } from "../../support/machine/capture.ts";
import { temporaryFolder, tensorBytes, tinyConfig } from "../../support/training/tiny-run.ts";

/** A small network without normalization, which diverges as pretrained ones do. */
function config(learningRate: number, overrides: object = {}): TrainingConfig {
  const { train: more = {}, ...rest }: { train?: object } = overrides;
  return tinyConfig({
    model: { name: "lenet" },
    data: { trainLimit: 256, testLimit: 64, crop: 0, flip: false },
    train: { epochs: 2, batchSize: 32, optimizer: { learningRate }, ...more },
    ...rest,
  });
}

async function divergence(training: Promise<unknown>): Promise<DivergenceError> {
  const error: unknown = await training.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof DivergenceError) return error;
  throw error ?? new Error("the training ended well");
}

const exists = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );

/** A network with the first element of a parameter, or all of them, replaced. */
function spoilt(network: Network, name: string, element: number, which: "first" | "all" = "first"): Network {
  const parameters = network.parameters.map((parameter) => {
    if (parameter.name !== name) return parameter;
    const data = float32Data(parameter.value).slice();
    data.fill(element, 0, which === "first" ? 1 : data.length);
    return { ...parameter, value: { ...parameter.value, data } };
  });
  return { ...network, parameters };
}

describe("a learning rate that is too high", () => {
  it.each([
    ["SGD", 1e6, {}],
    ["SGD, whose first update overflows", 1e38, {}],
    ["Adam", 1e30, { optimizer: { name: "adam", learningRate: 1e30 } }],
  ])("stops the run at the step, and says where, why and what to set: %s", async (_, rate, more) => {
    const parent = await temporaryFolder();
    const error = await divergence(startRun({ config: config(rate, { train: more }), parent, name: "run" }));
    const text = error.describe();
    expect(error).toMatchObject({ code: "DIVERGED", exitCode: 1, epoch: 1, reason: "learningRate" });
    expect(error.step).toBeGreaterThanOrEqual(1);
    expect(error.origin?.name).not.toBe("");
    expect(text).toContain(`step ${error.step}, epoch 1`);
    expect(text).toContain(`--lr ${error.suggestedLearningRate}`);
    expect(error.suggestedLearningRate).toBeLessThan(rate);
    expect(await exists(join(parent, "run", "summary.json"))).toBe(false);
    expect(await exists(join(parent, "run", "checkpoints", "last.safetensors"))).toBe(false);
  });

  it.each(["lsq", "thread", "apot"])("is found in a quantized run: %s", async (preset) => {
    const quantization = { preset, weightBits: 4, activationBits: 4 };
    const parent = await temporaryFolder();
    const error = await divergence(startRun({ config: config(1e9, { quantization }), parent, name: "run" }));
    expect(error.origin).toBeDefined();
    expect(error.describe()).toContain("--lr ");
    expect(await exists(join(parent, "run", "summary.json"))).toBe(false);
  });

  it("leaves the checkpoint before as it was, whose resumption stops at the same step", async () => {
    const parent = await temporaryFolder();
    const { paths } = await startRun({ config: config(0.05), parent, name: "float" });
    const high = { ...config(3, { train: { epochs: 3, checkpointEverySteps: 1 } }), from: paths.folder };
    const folder = join(parent, "high");
    const error = await divergence(startRun({ config: high, parent, name: "high" }));
    const last = join(folder, "checkpoints", "last.safetensors");
    const bytes = await tensorBytes(last);
    const { state, position } = await readCheckpoint(last);
    expect([...state.values()].every(isFiniteTensor)).toBe(true);
    expect(position.step).toBeLessThan(error.step);
    expect(Number.isFinite(position.epochLoss)).toBe(true);
    expect(error.describe()).toContain("--lr 0.3 ");
    const again = await divergence(resumeRun(folder));
    expect(again.message).toBe(error.message);
    expect(again.step).toBe(error.step);
    expect(await tensorBytes(last)).toEqual(bytes);
  });
});

describe("the command line", () => {
  it("ends with 1, prints no result, and trains on from the checkpoint with a smaller learning rate", async () => {
    const out = await temporaryFolder();
    const limits = ["--set", "data.trainLimit=256", "--set", "data.testLimit=64", "--set", "data.crop=0"];
    const flags = ["--model", "lenet", ...limits, "--batch", "32", "--out", out];
    const high = await capture("train", ...flags, "--name", "high", "--epochs", "2", "--lr", "1e6");
    expect({ code: high.code, stdout: high.stdout }).toEqual({ code: 1, stdout: "" });
    expect(high.stderr).toContain("learning rate 1000000 is too high");
    expect(high.stderr).toContain("--lr 100000 ");
    const json = await capture("train", ...flags, "--name", "json", "--epochs", "2", "--lr", "1e6", "--json");
    expect({ code: json.code, stdout: json.stdout }).toEqual({ code: 1, stdout: "" });
    const resumed = await capture("train", "--resume", join(out, "high"), "--lr", "0.01");
    expect(resumed).toMatchObject({ code: 2, stdout: "" });
    expect(resumed.stderr).toContain("--from");
    // Stopped in its second epoch, then made to overflow.
    const controller = new AbortController();
    const listeners = {
      signal: controller.signal,
      onStep: ({ step }: StepProgress) => step === 9 && controller.abort(),
    };
    await expect(startRun({ config: config(0.05), parent: out, name: "later" }, listeners)).rejects.toThrow("stopped");
    const file = join(out, "later", "checkpoints", "last.safetensors");
    const checkpoint = await readCheckpoint(file);
    for (const [name, tensor] of checkpoint.state) if (name === "conv2.weight") float32Data(tensor).fill(3e38);
    await writeCheckpoint(file, checkpoint);
    const measured = await capture("eval", join(out, "later"), "--checkpoint", "last");
    expect({ code: measured.code, stdout: measured.stdout }).toEqual({ code: 1, stdout: "" });
    expect(measured.stderr).toContain("there is no result");
    const later = await capture("train", "--resume", join(out, "later"));
    const from = /--from (\S+) --lr (\S+)\.\n/.exec(later.stderr);
    expect({ code: later.code, stdout: later.stdout }).toEqual({ code: 1, stdout: "" });
    expect(later.stderr).toContain("step 10, epoch 2: ");
    const lower = ["--from", from?.[1] ?? "", "--epochs", "1", "--lr", from?.[2] ?? ""];
    const last = await capture("train", ...flags, "--name", "lower", ...lower);
    expect(last.stdout + last.stderr).toContain("test accuracy");
    expect(last.code).toBe(0);
  });
});

describe("what a training starts from", () => {
  it("is refused when a weight of the checkpoint is NaN", async () => {
    const parent = await temporaryFolder();
    const { paths } = await startRun({ config: config(0.01, { train: { epochs: 1 } }), parent, name: "float" });
    const file = join(paths.checkpoints, "last.safetensors");
    const checkpoint = await readCheckpoint(file);
    const [name = ""] = [...checkpoint.state.keys()];
    const tensor = checkpoint.state.get(name);
    if (tensor === undefined) throw new Error("an empty checkpoint");
    float32Data(tensor)[0] = Number.NaN;
    await writeCheckpoint(file, checkpoint);
    for (const quantization of [null, { preset: "lsq", weightBits: 4, activationBits: 4 }]) {
      const run = startRun({
        config: { ...config(0.01, { quantization }), from: file },
        parent,
        name: `q${quantization}`,
      });
      await expect(run).rejects.toThrow(FileFormatError);
    }
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("is refused by the library when a weight is %d", async (element) => {
    const { run, network } = await libraryRun();
    const name = network.parameters[2]?.name ?? "";
    const error = await divergence(train({ ...run, network: spoilt(network, name, element) }));
    expect(error).toMatchObject({ step: 0, reason: "start", origin: { name } });
    expect(error.suggestedLearningRate).toBeUndefined();
  });

  it("overflows with weights that are finite: the first layer is named, and no learning rate is to blame", async () => {
    const { run, network } = await libraryRun();
    const weights = network.parameters.filter(({ role }) => role === "weight");
    const large = spoilt(network, weights[1]?.name ?? "", 3e38, "all");
    const error = await divergence(train({ ...run, network: large }));
    expect(error).toMatchObject({ step: 1, epoch: 1, reason: "forward", origin: { kind: "output" } });
    expect(error.suggestedLearningRate).toBeUndefined();
  });
});

/** What the library's train takes, on 64 samples of floats. */
async function libraryRun(spoil: (samples: Float32Array, part: "train" | "test") => void = () => undefined) {
  const settings = config(0.01, { train: { epochs: 1, batchSize: 16 } });
  const network = makeModel("lenet", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(1, "initial weights"));
  const part = (name: "train" | "test") => {
    const samples = Float32Array.from({ length: 64 * 784 }, (_, i) => Math.sin(i));
    spoil(samples, name);
    return inMemoryDataset({
      name,
      sampleShape: [1, 28, 28],
      samples,
      targets: Int32Array.from({ length: 64 }, (_, i) => i % 10),
      target: { kind: "classes", classes: Array.from({ length: 10 }, (_, i) => String(i)) },
      normalization: noNormalization([1, 28, 28], "float32"),
    });
  };
  const data = { train: part("train"), test: part("test") };
  const run = { network, data, recipe: recipeOf(settings, data.train), engine: nodeEngine({ threads: 1 }) };
  return { run, network };
}

describe("data that are not numbers", () => {
  it("are named when they are samples of the training", async () => {
    const { run } = await libraryRun((samples, part) => part === "train" && samples.fill(Number.NaN, 0, 5));
    expect(await divergence(train(run))).toMatchObject({ reason: "data", origin: { kind: "data" } });
  });

  it("are named when they are samples of the test", async () => {
    const { run } = await libraryRun((samples, part) => part === "test" && samples.fill(Number.NaN, 0, 5));
    // Maxima may leave NaN out; a network of one layer passes it on.
    const builder = new NetworkBuilder("linear", randomStream(1, "initial weights"));
    const images = builder.input("images", [1, 28, 28]);
    const network = builder.finish(builder.linear("fc", flatten(builder.builder, images), 10));
    const error = await divergence(train({ ...run, network }));
    expect(error).toMatchObject({ reason: "data", step: 4, epoch: 1, origin: { kind: "data" } });
    expect(error.message).toContain("test loss");
  });
});
