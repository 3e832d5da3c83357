import { describe, expect, it } from "vitest";
import { buildEvaluation } from "../../../src/compile/build/evaluation.ts";
import { evaluationMode, type ForwardMode, trainingMode } from "../../../src/compile/build/forward.ts";
import { type Dataset, inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import type { Network } from "../../../src/ir/network.ts";
import { float32Data, float32Tensor, makeTensor, type Tensor } from "../../../src/ir/tensor.ts";
import { ForwardJob } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";
import { inputOf } from "../../../src/train/loop/evaluate.ts";
import { withRestoredStatistics } from "../../../src/train/loop/restored-batch-norm.ts";
import { type FileText, onnxModel } from "../../support/onnx/model.ts";
import { seeded } from "../../support/random.ts";

const engine = nodeEngine({ threads: 1 });
const count = 24;

/** A chain of convolutions with biases, ReLU after each, and a linear layer at the end. */
function chain(seed: number): { readonly bytes: Uint8Array; readonly convolutions: number } {
  const random = seeded(seed);
  const convolutions = 2 + Math.floor(random() * 3);
  const values = (...shape: number[]) =>
    float32Tensor(
      shape,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 3 * random() - 1.4),
    );
  const nodes: FileText["nodes"][number][] = [];
  const initializers: Record<string, Tensor> = {};
  let [value, channels] = ["x", 3];
  for (let i = 0; i < convolutions; i++) {
    const group = i > 0 && random() < 0.4 ? channels : 1;
    const outputs = group > 1 ? channels : 2 + Math.floor(random() * 6);
    initializers[`w${i}`] = values(outputs, channels / group, 3, 3);
    initializers[`b${i}`] = values(outputs);
    nodes.push(["Conv", [value, `w${i}`, `b${i}`], [`c${i}`], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], group }]);
    nodes.push(["Relu", [`c${i}`], [`r${i}`]]);
    [value, channels] = [`r${i}`, outputs];
  }
  initializers.v = values(channels, 4);
  nodes.push(["GlobalAveragePool", [value], ["p"]], ["Flatten", ["p"], ["f"]], ["MatMul", ["f", "v"], ["y"]]);
  return { bytes: onnxModel({ inputs: { x: ["n", 3, 6, 6] }, outputs: ["y"], nodes, initializers }), convolutions };
}

function samples(seed: number): Dataset {
  const random = seeded(seed);
  return inMemoryDataset({
    name: "noise",
    samples: Float32Array.from({ length: count * 108 }, () => 2 * random() - 0.7),
    sampleShape: [3, 6, 6],
    targets: Int32Array.from({ length: count }, (_, i) => i % 4),
    target: { kind: "classes", classes: ["a", "b", "c", "d"] },
  });
}

async function outputs(network: Network, dataset: Dataset, mode: ForwardMode): Promise<Float32Array> {
  const evaluation = buildEvaluation(network, { batchSize: count, input: inputOf(dataset), mode });
  const job = await ForwardJob.create(engine, evaluation);
  const indices = Int32Array.from({ length: count }, (_, i) => i);
  const batch = { samples: new Float32Array(count * 108), targets: new Int32Array(count) };
  dataset.readBatch(indices, batch);
  const state = new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
  const { y } = await job.run(state, makeTensor("float32", [count, 3, 6, 6], batch.samples));
  const result = y === undefined ? new Float32Array() : float32Data(y).slice();
  await job.release();
  return result;
}

/** The largest difference, relative to the largest value. */
function difference(actual: Float32Array, expected: Float32Array): number {
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(value - (actual[i] ?? Number.NaN)))) / scale;
}

describe("batch normalization that is put back into a file's network", () => {
  it.each([1, 2, 3, 4, 5, 6])(
    "computes what the file does, in evaluation and in training (network %i)",
    async (seed) => {
      const { bytes, convolutions } = chain(seed);
      const dataset = samples(seed + 100);
      const plain = importOnnx(bytes);
      const expected = await outputs(plain, dataset, evaluationMode);
      const read = importOnnx(bytes, { restoreBatchNorm: true });
      expect(read.imported.restored).toHaveLength(convolutions);
      const restored = await withRestoredStatistics(read, read.imported.restored ?? [], dataset, {
        batchSize: count,
        engine,
      });
      expect(difference(await outputs(restored, dataset, evaluationMode), expected)).toBeLessThan(1e-4);
      expect(difference(await outputs(restored, dataset, trainingMode), expected)).toBeLessThan(1e-4);
      // Without the statistics, training computes something else: the reason why they are taken.
      expect(difference(await outputs(read, dataset, trainingMode), expected)).toBeGreaterThan(1e-2);
    },
  );

  it("takes the statistics over all batches", async () => {
    const { bytes } = chain(7);
    const dataset = samples(7);
    const read = importOnnx(bytes, { restoreBatchNorm: true });
    const [whole, parts] = await Promise.all(
      [count, count / 4].map((batchSize) =>
        withRestoredStatistics(read, read.imported.restored ?? [], dataset, { batchSize, engine }),
      ),
    );
    for (const [i, { value }] of (whole?.parameters ?? []).entries()) {
      const other = parts?.parameters[i]?.value;
      expect(difference(float32Data(other ?? value), float32Data(value))).toBeLessThan(1e-4);
    }
  });
});

describe("what gets none", () => {
  const inputs = { x: ["n", 3, 6, 6] };
  const weights = {
    w: float32Tensor([4, 3, 3, 3], new Float32Array(108).fill(0.1)),
    b: float32Tensor([4], new Float32Array(4)),
  };

  it("the last layer, whose bias is its own", () => {
    const nodes: FileText["nodes"] = [["Conv", ["x", "w", "b"], ["y"], { kernel_shape: [3, 3] }]];
    const read = importOnnx(onnxModel({ inputs, outputs: ["y"], nodes, initializers: weights }), {
      restoreBatchNorm: true,
    });
    expect(read.imported.restored).toBeUndefined();
  });
});
