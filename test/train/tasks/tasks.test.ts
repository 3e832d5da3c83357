/** Every task from file to run and back: the loss falls, the metric is that of the task, and an evaluation repeats it. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { newBuilder } from "../../../src/compile/registry.ts";
import { resolveTrainingConfig } from "../../../src/config/config.ts";
import { InterruptedError } from "../../../src/errors.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import type { Network, Parameter } from "../../../src/ir/network.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { loadRun } from "../../../src/train/load-run.ts";
import { evaluate } from "../../../src/train/loop/evaluate.ts";
import { resumeRun, startRun } from "../../../src/train/run.ts";
import { bytesOf, floats, labels, npy, npz, put } from "../../data/files.ts";
import { errorOf } from "../../data/support.ts";
import { randomTensor, seeded } from "../../support/random.ts";
import { temporaryFolder } from "../../support/training/tiny-run.ts";
import { writeTokenNetwork } from "../../support/training/token-network.ts";

const [length, vocabulary, count] = [6, 12, 96];

function integers(shape: readonly number[], value: (i: number) => number): Uint8Array {
  const elements = shape.reduce((product, size) => product * size, 1);
  return npy("<i8", shape, bytesOf(BigInt64Array.from({ length: elements }, (_, i) => BigInt(value(i)))));
}

/** Sequences that count upwards, from another start each. */
const token = (i: number) => 2 + ((Math.floor(i / length) * 5 + (i % length)) % (vocabulary - 2));

/** x[N,C,8,8] → a convolution of 3x3 to `outputs` channels. */
function convolution(channels: number, outputs: number): Network {
  const builder = newBuilder("convolution");
  const value = randomTensor(seeded(2), [outputs, channels, 3, 3]);
  const parameters: Parameter[] = [{ name: "weight", role: "weight", trainable: true, value }];
  const x = builder.input("x", { dtype: "float32", shape: [1, channels, 8, 8] });
  const weight = builder.input("weight", value);
  builder.output("y", builder.one("Conv", [x, weight], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }));
  return { name: "convolution", graph: builder.finish(), parameters };
}

interface Case {
  readonly arrays: Readonly<Record<string, Uint8Array>>;
  readonly model: (folder: string) => Promise<string>;
  readonly data: object;
  readonly metric: string;
}

const tokens = (classes: number, head: "sample" | "positions") => (folder: string) =>
  writeTokenNetwork(join(folder, "m.onnx"), { vocabulary, length, classes, head });
const image = (outputs: number) => async (folder: string) => {
  const file = join(folder, "m.onnx");
  await writeFile(file, exportOnnx(convolution(2, outputs)));
  return file;
};
const side = 8 * 8;
const pixel = (i: number) => Math.sin(i * 0.37) + Math.cos(Math.floor(i / side));
const input_ids = integers([count, length], token);

const cases: Readonly<Record<string, Case>> = {
  tokenClassification: {
    arrays: { input_ids, labels: integers([count, length], (i) => (i % length === 5 ? -100 : token(i) % 3)) },
    model: tokens(3, "positions"),
    data: { task: "tokenClassification" },
    metric: "tokenAccuracy",
  },
  maskedTokens: {
    arrays: { input_ids },
    model: tokens(vocabulary, "positions"),
    data: { task: "maskedTokens", maskToken: 1, maskShare: 0.5 },
    metric: "maskedAccuracy",
  },
  nextToken: {
    arrays: { input_ids },
    model: tokens(vocabulary, "positions"),
    data: { task: "nextToken" },
    metric: "nextTokenAccuracy",
  },
  "nextToken of the last place": {
    arrays: { x: integers([count, length + 1], (i) => (i * 5) % vocabulary) },
    model: tokens(vocabulary, "sample"),
    data: { task: "nextToken" },
    metric: "nextTokenAccuracy",
  },
  segmentation: {
    arrays: {
      x: floats([count, 2, 8, 8], pixel),
      y: integers([count, 8, 8], (i) =>
        i % 17 === 0 ? 255 : Number(pixel(Math.floor(i / side) * 2 * side + (i % side)) > 0),
      ),
    },
    model: image(2),
    data: { task: "segmentation" },
    metric: "meanIoU",
  },
  autoencoder: {
    arrays: { x: floats([count, 2, 8, 8], pixel) },
    model: image(2),
    data: { task: "autoencoder" },
    metric: "reconstruction",
  },
  anomalies: {
    arrays: {
      x_train: floats([count, 2, 8, 8], pixel),
      x_test: floats([count, 2, 8, 8], (i) => (Math.floor(i / (2 * side)) % 2 === 1 ? 3 * Math.sin(i * i) : pixel(i))),
      y_train: labels(count, () => 0),
      y_test: labels(count, (i) => i % 2),
    },
    model: image(2),
    data: { task: "autoencoder" },
    metric: "auc",
  },
  regression: {
    arrays: {
      x: floats([count, 2, 8, 8], pixel),
      y: floats([count, 1, 8, 8], (i) => pixel(Math.floor(i / side) * 2 * side + (i % side))),
    },
    model: image(1),
    data: { task: "regression" },
    metric: "r2",
  },
};

async function setUp({ arrays, model, data }: Case, quantized: boolean) {
  const folder = await temporaryFolder();
  await put(folder, { "data.npz": npz(arrays) });
  const config = resolveTrainingConfig({
    name: "task",
    text: JSON.stringify({
      model: { file: await model(folder) },
      data: { folder: join(folder, "data.npz"), ...data },
      train: { epochs: 6, batchSize: 16, optimizer: { name: "adam", learningRate: 0.03 } },
      ...(quantized ? { quantization: { preset: "lsq", weightBits: 8, activationBits: 8 } } : {}),
      threads: 1,
    }),
  });
  return { config, parent: folder };
}

describe("tasks", () => {
  it.each(Object.entries(cases))("%s trains, and evaluates as trained", async (_, task) => {
    const { config, parent } = await setUp(task, true);
    const seen: number[] = [];
    const { summary, paths } = await startRun(
      { config, parent, name: "run" },
      { onEpoch: ({ test }) => seen.push(test.loss) },
    );
    expect(summary.metric).toBe(task.metric);
    expect(seen.at(-1)).toBeLessThan(seen[0] ?? 0);
    const loaded = await loadRun(paths.folder);
    expect(loaded.notes).toEqual([]);
    const again = await evaluate(loaded.network, loaded.data.test, nodeEngine({ threads: 1 }));
    expect([again.metric, again.accuracy, again.loss]).toEqual([summary.metric, summary.accuracy, summary.loss]);
  });

  it("masked tokens: a run that was stopped and resumed equals one that was not", async () => {
    const { config, parent } = await setUp(cases.maskedTokens ?? expect.fail(), true);
    const whole = await startRun({ config, parent, name: "whole" });
    const controller = new AbortController();
    const stopped = startRun(
      { config, parent, name: "stopped" },
      { signal: controller.signal, onStep: ({ step }) => step === 7 && controller.abort() },
    );
    await expect(stopped).rejects.toThrow(InterruptedError);
    const resumed = await resumeRun(join(parent, "stopped"));
    expect(await readFile(resumed.paths.metrics, "utf8")).toBe(await readFile(whole.paths.metrics, "utf8"));
    expect(resumed.summary.perplexity).toBe(whole.summary.perplexity);
  });

  it("masked tokens are the same in a run that is repeated", async () => {
    const { config, parent } = await setUp(cases.maskedTokens ?? expect.fail(), false);
    const losses: number[][] = [];
    for (const name of ["a", "b"]) {
      const own: number[] = [];
      await startRun({ config, parent, name }, { onStep: ({ loss }) => own.push(loss) });
      losses.push(own);
    }
    expect(losses[0]).toEqual(losses[1]);
  });

  it.each([
    [
      "classes of other positions",
      { ...cases.tokenClassification, arrays: { input_ids, labels: integers([count, 4], () => 0) } },
      /4 positions need/,
    ],
    [
      "more classes than scores",
      { ...cases.tokenClassification, arrays: { input_ids, labels: integers([count, length], (i) => i % 5) } },
      /has 3 classes, the data 5/,
    ],
    [
      "the last place without a token after it",
      { ...cases["nextToken of the last place"], arrays: { input_ids } },
      /no position has a class that counts/,
    ],
    [
      "an autoencoder of another size",
      { ...cases.autoencoder, model: image(3) },
      /gives \[N,3,8,8\], its input is \[N,2,8,8\]/,
    ],
    [
      "a crop of classes of positions",
      { ...cases.segmentation, data: { task: "segmentation", crop: 1 } },
      /neither cropped nor mirrored/,
    ],
  ] as const)("refused before training: %s", async (_, task, message) => {
    const { config, parent } = await setUp({ ...(cases.segmentation ?? expect.fail()), ...task }, false);
    const error = await errorOf(() => startRun({ config, parent, name: "run" }));
    expect(error.message).toMatch(message);
    expect(error.exitCode).toBe(2);
  });
});
