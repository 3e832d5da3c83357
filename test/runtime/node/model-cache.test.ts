import { mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { trainingMode } from "../../../src/compile/build/forward.ts";
import { buildTrainingStep } from "../../../src/compile/build/training-step.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { float32Data, makeTensor } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import type { Engine } from "../../../src/runtime/engine.ts";
import { TrainingJob } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";

const float = makeModel("resnet8", { sampleShape: [3, 16, 16], classes: 10, width: 16 }, randomStream(1, "weights"));
const network = quantize(float, presetNamed("lsq", { weightBits: 4, activationBits: 4 }));

/** Losses and the first weights after some steps. */
async function trainedOn(engine: Engine): Promise<number[]> {
  const step = buildTrainingStep(network, {
    batchSize: 8,
    input: { dtype: "float32" },
    loss: { name: "crossEntropy", labelSmoothing: 0 },
    optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
    weightDecay: { weights: 1e-4, normalization: 0, quantizers: 0 },
    mode: trainingMode,
  });
  const job = await TrainingJob.create(engine, step);
  const state = new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
  job.prepare(state);
  const random = randomStream(2, "batch");
  const data = makeTensor(
    "float32",
    [8, 3, 16, 16],
    Float32Array.from({ length: 8 * 3 * 256 }, () => random.normal()),
  );
  const targets = makeTensor(
    "int32",
    [8],
    Int32Array.from({ length: 8 }, (_, i) => i),
  );
  const rates = Object.fromEntries(step.scalars.map((name) => [name, 0.05]));
  const seen: number[] = [];
  for (let i = 0; i < 3; i++) seen.push((await job.run(state, { data, targets }, rates)).loss);
  await job.release();
  return [...seen, ...float32Data(state.get("conv1.weight")).slice(0, 20)];
}

describe("the cache of optimised graphs", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "subbyte-cache-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("gives a graph that computes the same, to the last bit", async () => {
    const plain = await trainedOn(nodeEngine({ threads: 1 }));
    const cached = nodeEngine({ threads: 1, modelCache: folder });
    expect(await trainedOn(cached)).toEqual(plain);
    const files = await readdir(folder);
    expect(files.length).toBeGreaterThan(0);
    expect(files.every((name) => /^[0-9a-f]{32}\.onnx$/.test(name))).toBe(true);
    expect(await trainedOn(cached)).toEqual(plain);
    expect(await readdir(folder)).toEqual(files);
  });

  it("costs nothing but time where it is damaged, or cannot be written", async () => {
    const plain = await trainedOn(nodeEngine({ threads: 1 }));
    // Half a file is what a full disk leaves.
    for (const name of await readdir(folder)) await truncate(join(folder, name), 100);
    expect(await trainedOn(nodeEngine({ threads: 1, modelCache: folder }))).toEqual(plain);
    const inTheWay = join(folder, "file");
    await writeFile(inTheWay, "");
    expect(await trainedOn(nodeEngine({ threads: 1, modelCache: inTheWay }))).toEqual(plain);
  });
});
