/** Training steps of all models: graphs that keep every rule, and the same losses by both lowerings. @slow */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { trainingMode } from "../../../src/compile/build/forward.ts";
import { buildTrainingStep } from "../../../src/compile/build/training-step.ts";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { inferTypes, operators } from "../../../src/compile/registry.ts";
import type { Network } from "../../../src/ir/network.ts";
import { filled, makeTensor } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { modelNames } from "../../../src/models/names.ts";
import type { Target } from "../../../src/ops/definition.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { TrainingJob } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";
import { verifyGraph } from "../../support/graphs/verify.ts";

const engine = nodeEngine({ threads: 1 });
const batchSize = 16;
const sampleShape = [3, 32, 32];

function step(network: Network) {
  return buildTrainingStep(network, {
    batchSize,
    input: { dtype: "uint8", mean: [0.5, 0.4, 0.3], deviation: [0.25, 0.2, 0.3] },
    loss: { name: "crossEntropy", labelSmoothing: 0.1 },
    optimizer: { name: "sgd", momentum: 0.9, nesterov: true },
    weightDecay: { weights: 1e-4, normalization: 0, quantizers: 0 },
    mode: trainingMode,
  });
}

function network(model: string, preset: "float" | "thread" | "minmax" | "lsq", bits = 4): Network {
  const float = makeModel(model, { sampleShape, classes: 10, width: 16 }, randomStream(1, "initial weights"));
  return preset === "float" ? float : quantize(float, presetNamed(preset, { weightBits: bits, activationBits: bits }));
}

async function losses(source: Network, target: Target, steps: number): Promise<number[]> {
  const job = await TrainingJob.create(engine, step(source), target);
  const state = new StateBuffers([]);
  job.prepare(state);
  for (const name of state.names) if (isActivationStep(name)) state.set(name, filled([], activationStep));
  const random = randomStream(2, "batch");
  const count = batchSize * 3 * 32 * 32;
  const batch = {
    data: makeTensor(
      "uint8",
      [batchSize, ...sampleShape],
      Uint8Array.from({ length: count }, () => random.integerBelow(256)),
    ),
    targets: makeTensor(
      "int32",
      [batchSize],
      Int32Array.from({ length: batchSize }, () => random.integerBelow(10)),
    ),
  };
  const rates = {
    "learning_rate.weights": 0.02,
    "learning_rate.normalization": 0.02,
    "learning_rate.quantizers": 0.001,
  };
  const result: number[] = [];
  for (let i = 0; i < steps; i++) result.push((await job.run(state, batch, rates)).loss);
  await job.release();
  return result;
}

/** A learned step that no batch has set yet is 1, and a flip moves a value by that much; this is one of 12 bits. */
const activationStep = 2 ** -9;

function isActivationStep(name: string): boolean {
  return name.endsWith(".input.quantizer.scale") && !name.startsWith("optimizer.");
}

describe("the training step", () => {
  it.each(
    modelNames.flatMap((model) => (["float", "thread", "minmax", "lsq"] as const).map((p) => [model, p] as const)),
  )("of %s with %s is a graph that keeps every rule, before and after lowering", (model, preset) => {
    const { graph } = step(network(model, preset));
    expect(() => verifyGraph(graph, inferTypes)).not.toThrow();
    for (const target of [genericTarget, { name: "cpu", blockSize: 8 } as const]) {
      const lowered = lowerGraph(graph, operators, target);
      expect(() => verifyGraph(lowered, inferTypes)).not.toThrow();
    }
  });

  it.each(["float", "thread", "minmax", "lsq"] as const)(
    "gives the same losses by the generic and by the cpu lowering (%s)",
    async (preset) => {
      // The two round differently, and a value on the edge between two codes may fall to either side. At 12 bits such a
      // flip is as small as a rounding error, so the comparison stays sharp.
      const source = network("resnet8", preset, 12);
      const generic = await losses(source, genericTarget, 5);
      const cpu = await losses(source, await engine.target(), 5);
      expect(generic[4]).toBeLessThan(generic[0] ?? 0);
      for (const [i, loss] of generic.entries()) expect(Math.abs((cpu[i] ?? 0) - loss) / loss).toBeLessThan(1e-4);
    },
  );
});
