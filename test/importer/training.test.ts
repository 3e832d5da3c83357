/** An imported network is trained in float, quantized and trained again, and written: the way of a user's own model. */

import { describe, expect, it } from "vitest";
import { trainingMode } from "../../src/compile/build/forward.ts";
import { buildTrainingStep, learningRateInput } from "../../src/compile/build/training-step.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { type Network, withParameterValues } from "../../src/ir/network.ts";
import { makeTensor, type Tensor } from "../../src/ir/tensor.ts";
import { genericTarget } from "../../src/ops/targets.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { TrainingJob } from "../../src/runtime/job.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { StateBuffers } from "../../src/runtime/state.ts";
import { sample } from "../support/onnx/imported.ts";
import { type FileText, floats, onnxModel, ramp } from "../support/onnx/model.ts";

const text: FileText = {
  inputs: { x: ["N", 3, 6, 6] },
  outputs: ["y"],
  nodes: [
    ["Conv", ["x", "conv.weight"], ["c"], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
    ["BatchNormalization", ["c", "bn.weight", "bn.bias", "bn.mean", "bn.var"], ["n"]],
    ["HardSwish", ["n"], ["a"]],
    ["GlobalAveragePool", ["a"], ["p"]],
    ["Flatten", ["p"], ["f"]],
    ["Gemm", ["f", "fc.weight", "fc.bias"], ["y"], { transB: 1 }],
  ],
  initializers: {
    "conv.weight": ramp(8, 3, 3, 3),
    "bn.weight": floats([8], [1, 1, 1, 1, 1, 1, 1, 1]),
    "bn.bias": ramp(8),
    "bn.mean": ramp(8),
    "bn.var": floats([8], [1, 2, 1, 2, 1, 2, 1, 2]),
    "fc.weight": ramp(4, 8),
    "fc.bias": ramp(4),
  },
};

async function train(
  network: Network,
  steps: number,
): Promise<{ losses: number[]; state: ReadonlyMap<string, Tensor> }> {
  const none = { weights: 0, normalization: 0, quantizers: 0 };
  const step = buildTrainingStep(network, {
    batchSize: 8,
    input: { dtype: "float32" },
    loss: { name: "crossEntropy", labelSmoothing: 0 },
    optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
    weightDecay: none,
    mode: trainingMode,
  });
  const job = await TrainingJob.create(nodeEngine({ threads: 1 }), step, genericTarget);
  const state = new StateBuffers([]);
  job.prepare(state);
  const batch = {
    data: sample([8, 3, 6, 6]),
    targets: makeTensor("int32", [8], Int32Array.of(0, 1, 2, 3, 0, 1, 2, 3)),
  };
  const rates = { weights: 0.1, normalization: 0.1, quantizers: 0.001 };
  const scalars = Object.fromEntries(step.scalars.map((name) => [name, 0]));
  for (const group of ["weights", "normalization", "quantizers"] as const)
    scalars[learningRateInput(group)] = rates[group];
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await job.run(state, batch, scalars)).loss);
  await job.release();
  return { losses, state: state.snapshot() };
}

it("trains in float, then with four bits, and is read again", async () => {
  const network = importOnnx(onnxModel(text));
  const float = await train(network, 15);
  expect(float.losses.at(-1)).toBeLessThan(0.95 * (float.losses[0] ?? 0));
  const tuned = withParameterValues(network, float.state);
  const quantized = quantize(tuned, presetNamed("lsq", { weightBits: 4, activationBits: 4 }));
  expect(quantized.sites).toHaveLength(4);
  const low = await train(quantized, 10);
  expect(low.losses.every(Number.isFinite)).toBe(true);
  const again = importOnnx(exportOnnx(tuned));
  expect(again.parameters.find(({ name }) => name === "fc.weight")?.value.data).toEqual(
    float.state.get("fc.weight")?.data,
  );
});

it("trains a model that divides by its batch like one that divides by the number of samples", async () => {
  const divided = (divisor: FileText["nodes"], initializers: FileText["initializers"] = {}): FileText => ({
    ...text,
    nodes: [...text.nodes.slice(0, -1), ["Gemm", ["f", "fc.weight", "fc.bias"], ["g"], { transB: 1 }], ...divisor],
    initializers: { ...text.initializers, ...initializers },
  });
  const byBatch = divided(
    [
      ["Shape", ["x"], ["shape"]],
      ["Gather", ["shape", "zero"], ["rows"]],
      ["Cast", ["rows"], ["count"], { to: 1 }],
      ["Div", ["g", "count"], ["y"]],
    ],
    { zero: makeTensor("int64", [], BigInt64Array.of(0n)) },
  );
  const byEight = divided([["Div", ["g", "eight"], ["y"]]], { eight: floats([], [8]) });
  const network = importOnnx(onnxModel(byBatch));
  expect(network.imported).toMatchObject({ batch: "any", notes: [] });
  const { losses } = await train(network, 5);
  expect(losses).toEqual((await train(importOnnx(onnxModel(byEight)), 5)).losses);
  expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
});

describe("one initializer in several places", () => {
  it("is a parameter for each place, even of one node: a fresh normalization stores its ones once", () => {
    const network = importOnnx(
      onnxModel({
        inputs: { x: ["N", 2, 3, 3] },
        outputs: ["y"],
        nodes: [["BatchNormalization", ["x", "ones", "zeros", "zeros", "ones"], ["y"]]],
        initializers: { ones: floats([2], [1, 1]), zeros: floats([2], [0, 0]) },
      }),
    );
    const roles = ["normalization-scale", "normalization-bias", "running-mean", "running-variance"];
    expect(network.parameters.map(({ role }) => role).sort()).toEqual(roles.sort());
  });
});
