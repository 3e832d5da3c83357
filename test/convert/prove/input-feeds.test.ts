/** Samples as the inputs of a graph read them: types, parts, normalization; and a comparison of a run with its own file. */
import { describe, expect, it } from "vitest";
import { bindBatch } from "../../../src/compile/passes/bind-batch.ts";
import { inferTypes, newBuilder } from "../../../src/compile/registry.ts";
import { answerPlan } from "../../../src/convert/prove/answers.ts";
import { compareModels } from "../../../src/convert/prove/compare.ts";
import { comparedGraph, comparedNetwork } from "../../../src/convert/prove/compared-model.ts";
import { inputFeeds } from "../../../src/convert/prove/input-feeds.ts";
import { inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { packSamples } from "../../../src/data/dataset/packed-samples.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import { makeTensor } from "../../../src/ir/tensor.ts";
import { readOnnx } from "../../../src/onnx/read/read.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { tokenNetwork } from "../../support/training/token-network.ts";

const [count, length] = [4, 6];
const packed = packSamples(
  [
    {
      name: "input_ids",
      shape: [length],
      elements: Int32Array.from({ length: count * length }, (_, i) => i % 12),
      where: "",
    },
    {
      name: "attention_mask",
      shape: [length],
      elements: Int32Array.from({ length: count * length }, (_, i) => i % 2),
      where: "",
    },
  ],
  count,
);
const dataset = inMemoryDataset({
  name: "tokens",
  ...packed,
  targets: Int32Array.of(0, 1, 0, 1),
  target: { kind: "classes", classes: ["a", "b"] },
});
const batch = makeTensor("int32", [count, 2 * length], packed.samples);

describe("feeds of a graph", () => {
  it("are cut out of the row of a sample, in the type of each input", () => {
    const builder = newBuilder("graph");
    const inputs = [
      builder.input("attention_mask", { dtype: "float32", shape: [2, length] }),
      builder.input("input_ids", { dtype: "int64", shape: [2, length] }),
    ];
    const feeds = inputFeeds(inputs, batch, dataset, 1, 2);
    expect(feeds.input_ids?.data).toEqual(
      BigInt64Array.from({ length: 2 * length }, (_, i) => BigInt((length + i) % 12)),
    );
    expect(feeds.attention_mask?.data).toEqual(Float32Array.from({ length: 2 * length }, (_, i) => i % 2));
  });

  it("are refused for an input that the data does not have", () => {
    const other = newBuilder("graph").input("position_ids", { dtype: "int64", shape: [2, length] });
    expect(() => inputFeeds([other], batch, dataset, 0, 2)).toThrow(/no values for the input position_ids/);
  });
});

describe("models of two inputs", () => {
  it("are compared: a network with the file that is exported of it", async () => {
    const network = tokenNetwork({ vocabulary: 12, length, classes: 2, mask: "int64", head: "sample" });
    const graph = readOnnx(exportOnnx(bindBatch(network, 2), { batch: false }), inferTypes).graph;
    const engine = nodeEngine({ threads: 1 });
    const models = [comparedNetwork(network), comparedGraph(graph, "tokens.onnx")] as const;
    const { layers, output, accuracy } = await compareModels(models[0], models[1], dataset, engine, { batchSize: 2 });
    expect(layers.length).toBeGreaterThan(0);
    for (const { largest } of [...layers, output]) expect(largest).toBeLessThan(1e-6);
    expect(accuracy?.a).toBe(accuracy?.b);
  });
});

describe("answers", () => {
  it.each([
    ["classes last", [3, 2], [0, 2, 1, 0, 3, 0]],
    ["classes first", [2, 3], [0, 1, 3, 2, 0, 0]],
  ] as const)("of positions are the largest of each: %s", (_, output, scores) => {
    const target = { kind: "dense", shape: [3], classes: ["a", "b"], meaning: "tokens" } as const;
    const plan = answerPlan({ target }, output);
    expect(plan.positions).toBe(3);
    expect([0, 1, 2].map((i) => plan.of(scores, i, 1))).toEqual([1, 0, 0]);
    expect([0, 1, 2].map((i) => plan.label(Int32Array.of(1, -1, 0), i))).toEqual([1, -1, 0]);
  });
});
