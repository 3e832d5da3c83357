/** A small convolutional network with its training step: what the tests of engines and devices train. */

import { randomStream } from "../../../src/base/random.ts";
import { trainingMode } from "../../../src/compile/build/forward.ts";
import { buildTrainingStep, type TrainingStep } from "../../../src/compile/build/training-step.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import type { Network } from "../../../src/ir/network.ts";
import { filled, makeTensor, type Tensor } from "../../../src/ir/tensor.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { averagePool } from "../../../src/ops/families/pool.ts";
import { flatten } from "../../../src/ops/families/shape/shape-ops.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import type { Engine } from "../../../src/runtime/engine.ts";
import { TrainingJob } from "../../../src/runtime/job.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";

const batchSize = 8;
const sampleShape = [1, 8, 8];
const classes = 4;

/** Two convolutions with batch normalization, pooled. Without maxima: of equal ones no two engines choose the same. */
export function smallNetwork(preset: "float" | "lsq" | "minmax"): Network {
  const network = new NetworkBuilder("small", randomStream(1, "initial weights"));
  let x = network.input("images", sampleShape);
  x = network.conv("conv1", x, 8, { kernel: 3, padding: 1 });
  x = network.relu("relu1", network.batchNorm("bn1", x));
  x = network.conv("conv2", x, 8, { kernel: 3, padding: 1, stride: 2 });
  x = network.relu("relu2", network.batchNorm("bn2", x));
  x = flatten(network.builder, averagePool(network.builder, x, { kernel: [2, 2], strides: [2, 2] }));
  const float = network.finish(network.linear("fc", x, classes));
  return preset === "float" ? float : quantize(float, presetNamed(preset, { weightBits: 4, activationBits: 4 }));
}

export function smallStep(network: Network): TrainingStep {
  return buildTrainingStep(network, {
    batchSize,
    input: { dtype: "uint8", mean: [0.5], deviation: [0.25] },
    loss: { name: "crossEntropy", labelSmoothing: 0.1 },
    optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
    weightDecay: { weights: 1e-4, normalization: 0, quantizers: 0 },
    mode: trainingMode,
  });
}

export const learningRates = {
  "learning_rate.weights": 0.05,
  "learning_rate.normalization": 0.05,
  "learning_rate.quantizers": 0.005,
};

/** One batch that is seen again and again. */
export function smallBatch(): { readonly data: Tensor; readonly targets: Tensor } {
  const random = randomStream(2, "batch");
  const pixels = Uint8Array.from({ length: batchSize * 64 }, () => random.integerBelow(256));
  const labels = Int32Array.from({ length: batchSize }, () => random.integerBelow(classes));
  return {
    data: makeTensor("uint8", [batchSize, ...sampleShape], pixels),
    targets: makeTensor("int32", [batchSize], labels),
  };
}

/** A state for a step, with steps of the activations' quantizers as a first batch would set them. */
export function smallState(job: TrainingJob): StateBuffers {
  const state = new StateBuffers([]);
  job.prepare(state);
  for (const name of state.names) {
    if (name.endsWith(".input.quantizer.scale") && !name.startsWith("optimizer.")) state.set(name, filled([], 0.15));
  }
  return state;
}

/** The losses of some steps on an engine. */
export async function lossesOn(engine: Engine, step: TrainingStep, steps: number): Promise<number[]> {
  const job = await TrainingJob.create(engine, step);
  const state = smallState(job);
  const batch = smallBatch();
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await job.run(state, batch, learningRates)).loss);
  await job.release();
  return losses;
}
