/** Bits for each layer of a trained run: from the measurement to a configuration that trains, and the command. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { resolveTrainingConfig } from "../../../src/config/config.ts";
import { readConfigFile } from "../../../src/config/file.ts";
import { quantizationOf } from "../../../src/config/quantization.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { networkCost } from "../../../src/runs/cost.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { freeLayers } from "../../../src/study/mixed/config.ts";
import { outputDistance } from "../../../src/study/mixed/distance.ts";
import { mixBits } from "../../../src/study/mixed/mixed.ts";
import { quantizedWeights } from "../../../src/study/mixed/sensitivity.ts";
import { type LoadedRun, loadRun } from "../../../src/train/load-run.ts";
import { startRun } from "../../../src/train/run.ts";
import { capture } from "../../support/machine/capture.ts";

let folder = "";
let run: LoadedRun;
beforeAll(async () => {
  const parent = mkdtempSync(join(tmpdir(), "subbyte-mix-"));
  const config = resolveTrainingConfig({
    name: "float",
    text: JSON.stringify({
      model: { name: "lenet", width: 3 },
      data: { trainLimit: 128, testLimit: 64, crop: 0, flip: false },
      train: { epochs: 2, batchSize: 32 },
      threads: 1,
    }),
  });
  await startRun({ config, parent, name: "float" });
  folder = join(parent, "float");
  run = await loadRun(folder);
  return () => rmSync(parent, { recursive: true, force: true });
}, 60_000);

afterEach(() => {
  process.exitCode = 0;
});

const candidates = { weightBits: [2, 3, 6], activationBits: [2, 3, 6] };

describe("mixBits", () => {
  it("keeps the budget of a uniform configuration and is predicted to lose no more", async () => {
    const seen: number[] = [];
    const budget = { weightBits: 3, activationBits: 3 };
    const mix = await mixBits(run, {
      budget,
      candidates,
      samples: 64,
      onProgress: ({ done, total }) => seen.push(done / total),
    });
    const uniform = mix.uniform.find(({ name }) => name === "W3A3");
    expect(mix.uniform.map(({ name }) => name)).toEqual(["W2A2", "W3A3", "W6A6"]);
    expect(mix.budget).toEqual({ bytes: uniform?.bytes, bitOperations: uniform?.bitOperations });
    expect(mix.mixed.bytes).toBeLessThanOrEqual(uniform?.bytes ?? 0);
    expect(mix.mixed.bitOperations).toBeLessThanOrEqual(uniform?.bitOperations ?? 0);
    expect(mix.mixed.predicted).toBeLessThanOrEqual(uniform?.predicted ?? 0);
    expect(mix.layers.map(({ layer, isKept }) => [layer, isKept])).toEqual([
      ["conv1", true],
      ["conv2", false],
      ["fc1", false],
      ["fc2", false],
      ["fc3", true],
    ]);
    expect(seen[0]).toBe(0);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    // Before each measurement of a part, and of a whole: W2A2, W3A3, W6A6 and the mix.
    const total = 1 + 3 * 3 + 3 * 3 + 4;
    expect(new Set(seen)).toEqual(new Set(Array.from({ length: total }, (_, done) => done / total)));
    // The configuration gives the network the costs that were worked out without it.
    const { quantization } = resolveTrainingConfig({ name: "mix", text: JSON.stringify(mix.config) });
    if (quantization === null) throw new Error("not quantized");
    const cost = networkCost(
      quantize(
        makeModel("lenet", { sampleShape: [1, 28, 28], classes: 10, width: 3 }, randomStream(0, "weights")),
        quantizationOf(quantization),
      ),
    );
    expect({ bytes: cost.bytes, bitOperations: cost.bitOperations }).toEqual({
      bytes: mix.mixed.bytes,
      bitOperations: mix.mixed.bitOperations,
    });
  }, 60_000);

  it("measures what quantization makes of the outputs: more bits lose less, and a wide budget takes the most", async () => {
    const mix = await mixBits(run, { budget: { averageWeightBits: 8 }, candidates, samples: 32, firstAndLast: true });
    const [low, middle, high] = mix.uniform.map(({ measured }) => measured);
    expect(low).toBeGreaterThan(middle ?? 0);
    expect(middle).toBeGreaterThan(high ?? 0);
    expect(high).toBeGreaterThan(0);
    expect(mix.baseline).toEqual({ weightBits: 6, activationBits: 6 });
    expect(mix.layers.every(({ isKept, weightBits }) => !isKept && weightBits === 6)).toBe(true);
  }, 60_000);

  it.each([0, 3, 12])("stops before the next step when it is asked to after %i", async (after) => {
    const controller = new AbortController();
    const seen: string[] = [];
    const onProgress = ({ doing }: { readonly doing: string }) => {
      seen.push(doing);
      if (seen.length > after) controller.abort();
    };
    const options = { budget: { bytes: 6000 }, candidates, samples: 32, signal: controller.signal, onProgress };
    await expect(mixBits(run, options)).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(seen).toHaveLength(after + 1);
    expect(seen[0]).toBe("searching ranges at 6 bits, tensor 1 of 10");
  });

  it("gives the same mix again", async () => {
    const options = { budget: { bytes: 6000 }, candidates, samples: 32 };
    const [one, two] = [await mixBits(run, options), await mixBits(run, options)];
    expect(two).toEqual(one);
  }, 60_000);

  it.each([
    [{ budget: { bytes: 10 } }, "no mix fits: with the fewest bits everywhere it takes"],
    [{ budget: { bytes: 1e6 }, keep: ["conv9"] }, "no layer is called conv9"],
    [{ budget: { bytes: 1e6 }, keep: ["**"] }, "there is no layer whose bits could be chosen"],
    [
      { budget: { bytes: 1e6 }, preset: "thread" },
      "layers choose the bits of their inputs only with the placement fused",
    ],
    [{ budget: { bytes: 1e6 }, preset: "float" }, "a float network has no bits to choose"],
  ])("refuses %j", async (options, message) => {
    await expect(
      mixBits(run, { candidates: { weightBits: [4], activationBits: [4] }, samples: 32, ...options }),
    ).rejects.toMatchObject({
      code: "CONFIG",
      message: expect.stringContaining(message),
    });
  });

  it("lets layers keep their bits", () => {
    const kept = freeLayers(run.network, { keep: ["fc*"], firstAndLast: false });
    expect(kept).toEqual(["conv2"]);
    expect(freeLayers(run.network, { keep: [], firstAndLast: true })).toHaveLength(5);
  });
});

describe("the measurement", () => {
  it("quantizes weights to the values that the quantizer's integers stand for", async () => {
    const network = quantize(run.network, presetNamed("lsq", { weightBits: 2, activationBits: 2 }));
    const weights = await quantizedWeights(network, nodeEngine({ threads: 1 }));
    expect([...weights.keys()].sort()).toEqual([
      "conv1.weight",
      "conv2.weight",
      "fc1.weight",
      "fc2.weight",
      "fc3.weight",
    ]);
    const conv = weights.get("conv2.weight");
    const channels = conv?.shape[0] ?? 1;
    const values = [...(conv?.data instanceof Float32Array ? conv.data : [])];
    // Two bits: at most four values in each output channel.
    for (let channel = 0; channel < channels; channel++) {
      const size = values.length / channels;
      expect(new Set(values.slice(channel * size, (channel + 1) * size)).size).toBeLessThanOrEqual(4);
    }
  });

  it("is the divergence of distributions, or the mean square of values", () => {
    const one = float32Tensor([1, 2], [0, Math.log(3)]);
    const other = float32Tensor([1, 2], [0, 0]);
    const expected = 0.25 * Math.log(0.25 / 0.5) + 0.75 * Math.log(0.75 / 0.5);
    expect(outputDistance("klDivergence", one, other)).toBeCloseTo(expected, 6);
    expect(outputDistance("klDivergence", one, float32Tensor([1, 2], [5, 5 + Math.log(3)]))).toBeCloseTo(0, 6);
    expect(
      outputDistance("squaredError", float32Tensor([2, 2], [1, 2, 3, 4]), float32Tensor([2, 2], [1, 4, 3, 2])),
    ).toBe(4);
    expect(outputDistance("klDivergence", one, float32Tensor([1, 2], [Number.NaN, 0]))).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("subbyte mix", () => {
  it("has a help", async () => {
    const { code, stdout } = await capture("mix", "--help");
    expect(code).toBe(0);
    await expect(stdout).toMatchFileSnapshot("snapshots/help-mix.txt");
  });

  it.each([
    [["mix", "nowhere"], "there is no budget"],
    [["mix", "nowhere", "--budget", "W3A3", "--max-bytes", "3"], "there are two budgets"],
    [["mix", "nowhere", "--budget", "3"], "expected the bits of weights and of activations, such as W3A3"],
    [["mix", "nowhere", "--budget", "W0A3"], "expected the bits of weights and of activations, such as W3A3"],
    [["mix", "nowhere", "--max-bytes", "few"], "--max-bytes few: expected a number above 0"],
    [
      ["mix", "nowhere", "--max-bytes", "9", "--weight-bits", "2,x"],
      "--weight-bits 2,x: expected whole numbers from 1 to 16",
    ],
    [["mix", "nowhere", "--budget", "W3A3"], "nowhere"],
    [["mix", "mine.onnx", "--budget", "W3A3"], "a model's file has no data of its own"],
    [["mix", "nowhere", "--budget", "W3A3", "--data", "./images"], "a run is measured on its own data"],
  ])("%j", async (args, words) => {
    const { code, stdout, stderr } = await capture(...args);
    expect(stderr).toContain(words);
    expect(code).not.toBe(0);
    expect(stdout).toBe("");
  });

  it("takes a model's file with data, and writes a configuration that begins with its weights", async () => {
    const parent = mkdtempSync(join(tmpdir(), "subbyte-mix-file-"));
    onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
    const model = join(parent, "mine.onnx");
    writeFileSync(model, exportOnnx(run.network));
    const out = join(parent, "mix.yaml");
    const flags = "--data fashion-mnist-part --set data.trainLimit=64 --set data.testLimit=32 --samples 32".split(" ");
    const bits = ["--weight-bits", "2,4", "--activation-bits", "4", "--budget", "W3A4", "--epochs", "1"];
    const { code, stdout, stderr } = await capture("mix", model, ...flags, ...bits, "--out", out);
    expect({ code, stdout: stdout.length > 0 }).toEqual({ code: 0, stdout: true });
    expect(stderr.split("\n")[0]).toBe(`loading ${model} and its data`);
    const config = resolveTrainingConfig(await readConfigFile(out));
    const { optimizer } = resolveTrainingConfig({ name: "defaults", text: `model: { file: ${model} }` }).train;
    expect(config).toMatchObject({
      model: { file: model },
      data: { name: "fashion-mnist-part", trainLimit: 64 },
      train: { epochs: 1, optimizer: { learningRate: optimizer.learningRate } },
      quantization: { preset: "lsq" },
    });
    expect(config.from).toBeUndefined();
    const trained = await startRun({ config, parent, name: "mixed" });
    expect(trained.summary.quantization).toContain("with overrides");
  }, 120_000);

  it("writes a configuration that trains, and trains it next to its baseline", async () => {
    const bits = ["--weight-bits", "2,4", "--activation-bits", "4"];
    const study = join(folder, "study");
    const { code, stdout, stderr } = await capture(
      ...[
        "mix",
        folder,
        "--budget",
        "W3A4",
        ...bits,
        "--samples",
        "32",
        "--epochs",
        "1",
        "--train",
        study,
        "--seeds",
        "2",
        "--json",
      ],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const document: unknown = JSON.parse(stdout);
    expect(document).toMatchObject({
      schemaVersion: 1,
      configuration: join(folder, "mix.yaml"),
      baseline: { weightBits: 3, activationBits: 4 },
      trained: { study, mixed: { count: 2 }, uniform: { count: 2 } },
    });
    const config = resolveTrainingConfig(await readConfigFile(join(folder, "mix.yaml")));
    expect(config).toMatchObject({ from: folder, train: { epochs: 1 }, quantization: { preset: "lsq" } });
    expect(config.quantization?.overrides).toHaveLength(3);
    const text = await capture("mix", folder, "--max-average-bits", "4", ...bits, "--samples", "32", "--quiet");
    expect(text.stdout).toMatch(/│ conv1 .*│ kept/);
    expect(text.stdout).toContain(`configuration: ${join(folder, "mix.yaml")} (subbyte train --config`);
  }, 120_000);
});
