/** A file's momentum of batch normalization, trained: ONNX's is the share of the running statistics that a step keeps. */
import { describe, expect, it } from "vitest";
import { resolveTrainingConfig } from "../../../src/config/config.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import type { Network } from "../../../src/ir/network.ts";
import { filled, float32Data } from "../../../src/ir/tensor.ts";
import { isOperator } from "../../../src/ops/definition.ts";
import { batchNormalizationOperator } from "../../../src/ops/families/normalization.ts";
import { TrainingJob } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { notesOnStatistics } from "../../../src/train/inputs/running-statistics.ts";
import {
  learningRates,
  smallBatch,
  smallNetwork,
  smallState,
  smallStep,
} from "../../support/training/small-training.ts";

const engine = nodeEngine({ threads: 1 });

/** The network of a file whose batch normalizations have this momentum. */
function importedWith(momentum: number): Network {
  const network = smallNetwork("float");
  const nodes = network.graph.nodes.map((node) =>
    isOperator(batchNormalizationOperator, node)
      ? { ...node, attributes: { ...node.attributes, momentum: { float: momentum } } }
      : node,
  );
  return importOnnx(exportOnnx({ ...network, graph: { ...network.graph, nodes } }));
}

/** The running statistics after a step that began with others. */
async function statisticsAfterStep(momentum: number, before: number): Promise<Map<string, Float32Array>> {
  const network = importedWith(momentum);
  const names = network.parameters.filter(({ role }) => role === "running-mean").map(({ name }) => name);
  expect(names).toHaveLength(2);
  const job = await TrainingJob.create(engine, smallStep(network));
  const state = smallState(job);
  for (const name of names) state.set(name, filled(state.get(name).shape, before));
  await job.run(state, smallBatch(), learningRates);
  await job.release();
  return new Map(names.map((name) => [name, float32Data(state.get(name)).slice()]));
}

describe("the momentum of a file's batch normalization", () => {
  it("is noted before the training where it gives no statistics to evaluate with", () => {
    const notes = (momentum: number, text = "") =>
      notesOnStatistics(resolveTrainingConfig({ name: "run", text }), importedWith(momentum));
    expect(notes(0.9)).toEqual([]);
    expect(notes(1)).toEqual([
      expect.stringContaining("2 of 2 batch normalizations stay as they are: their momentum is 1"),
    ]);
    expect(notes(0)).toEqual([expect.stringContaining("are those of the last batch: their momentum is 0")]);
    expect(notes(1, "train: { reestimateBatchNormBatches: 5 }")).toEqual([]);
    expect(notes(1, "quantization: { freezeBatchNormAfterEpoch: 0 }")).toEqual([]);
  });

  it("of 1 leaves the running statistics as they are", async () => {
    for (const values of (await statisticsAfterStep(1, 0.25)).values()) {
      expect(values.every((value) => value === 0.25)).toBe(true);
    }
  });

  it("of 0 takes those of the batch, and of 0.9 a tenth of them", async () => {
    const last = await statisticsAfterStep(0, 0.25);
    const others = await statisticsAfterStep(0, 1);
    for (const [name, values] of await statisticsAfterStep(0.9, 0.25)) {
      values.forEach((value, i) => {
        const batch = last.get(name)?.[i] ?? Number.NaN;
        // The deviation is taken from the running mean, which rounds otherwise.
        expect(others.get(name)?.[i]).toBeCloseTo(batch, 4);
        expect(value).toBeCloseTo(0.9 * 0.25 + 0.1 * batch, 4);
      });
    }
  });
});
