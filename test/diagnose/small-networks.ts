/** The small networks that faults are planted in, and one training of them that takes a second or two. */

import { randomStream } from "../../src/base/random.ts";
import type { DatasetSplits } from "../../src/data/dataset/dataset.ts";
import type { ProbeRecord } from "../../src/diagnose/probe/measurement.ts";
import { type WatchOptions, watchTraining } from "../../src/diagnose/watch-run.ts";
import type { Value } from "../../src/ir/graph.ts";
import type { Network } from "../../src/ir/network.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import { resnet } from "../../src/models/resnet.ts";
import { maxPool } from "../../src/ops/families/pool.ts";
import { flatten } from "../../src/ops/families/shape/shape-ops.ts";
import type { Finding } from "../../src/runs/finding.ts";
import type { Engine } from "../../src/runtime/engine.ts";
import { calibrate } from "../../src/train/loop/calibrate.ts";
import type { TrainingRecipe, TrainingResult } from "../../src/train/loop/recipe.ts";
import { train } from "../../src/train/loop/trainer.ts";
import { healthyQuantization, type Places, quantizedOf, type Setup } from "./planted-faults.ts";

export interface SmallNetwork {
  readonly name: string;
  readonly places: Places;
  make(seed: number): Network;
}

const sampleShape = [1, 28, 28];

/** Two residual blocks less than resnet8 has, for the faults of residual additions. */
function residual(name: string, width: number, blocks: readonly number[]): SmallNetwork {
  return {
    name,
    places: {
      first: "conv1",
      layer: "layer1.0.conv2",
      norm: "layer1.0.bn1",
      addition: "layer1.0.add",
      branchNorm: "layer1.0.bn2",
    },
    make: (seed) =>
      resnet(name, { sampleShape, classes: 10, width, stem: "imagenet", blocks }, randomStream(seed, "weights")),
  };
}

const strided = { kernel: 3, stride: 2, padding: 1 };

/** Three convolutions with batch normalization, and a classifier of two layers. */
const plain: SmallNetwork = {
  name: "plain",
  places: { first: "conv1", layer: "conv3", norm: "bn2" },
  make(seed) {
    const network = new NetworkBuilder("plain", randomStream(seed, "weights"));
    let x = network.input("images", sampleShape);
    for (const [index, channels] of [8, 16, 24].entries()) {
      const number = index + 1;
      x = network.batchNorm(
        `bn${number}`,
        network.conv(`conv${number}`, x, channels, index === 0 ? { kernel: 3, padding: 1 } : strided),
      );
      x = network.relu(`relu${number}`, x);
      if (index === 0) x = maxPool(network.builder, x, { kernel: [2, 2], strides: [2, 2] });
    }
    const hidden = network.relu("relu4", network.linear("fc1", flatten(network.builder, x), 48));
    return network.finish(network.linear("fc2", hidden, 10));
  },
};

/** Depthwise separable convolutions: few weights to a channel, and a batch normalization behind each. */
const separable: SmallNetwork = {
  name: "separable",
  places: { first: "conv1", layer: "point1", norm: "depth1.bn" },
  make(seed) {
    const network = new NetworkBuilder("separable", randomStream(seed, "weights"));
    const normed = (name: string, x: Value) => network.relu(`${name}.relu`, network.batchNorm(`${name}.bn`, x));
    let x = normed("conv1", network.conv("conv1", network.input("images", sampleShape), 8, strided));
    for (const [number, channels] of [
      [1, 16],
      [2, 24],
    ] as const) {
      const depth = network.conv(`depth${number}`, x, number === 1 ? 8 : 16, {
        ...strided,
        groups: number === 1 ? 8 : 16,
      });
      x = normed(
        `point${number}`,
        network.conv(`point${number}`, normed(`depth${number}`, depth), channels, { kernel: 1 }),
      );
    }
    return network.finish(network.linear("fc", flatten(network.builder, x), 10));
  },
};

export const smallNetworks = {
  resnet8: residual("resnet8", 8, [1, 1, 1]),
  plain,
  resnet6: residual("resnet6", 8, [1, 1]),
  separable,
} as const;

/** Three epochs of SGD. */
export const baseRecipe: TrainingRecipe = {
  epochs: 3,
  batchSize: 32,
  loss: { name: "crossEntropy", labelSmoothing: 0 },
  optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
  learningRate: 0.02,
  learningRateScale: { weights: 1, normalization: 1, quantizers: 1 },
  weightDecay: { weights: 1e-4, normalization: 0, quantizers: 0 },
  schedule: { name: "cosine", warmupEpochs: 0, warmupSteps: 0, milestones: [], gamma: 0.1, finalLearningRate: 0 },
  cropPadding: 0,
  horizontalFlip: false,
  seed: 0,
};

/** The network trained in float, and a run from there with nothing broken. */
export async function healthySetup(
  network: SmallNetwork,
  data: DatasetSplits,
  engine: Engine,
  seed = 0,
): Promise<Setup> {
  const fresh = network.make(seed);
  const { network: float } = await train({
    network: fresh,
    data,
    engine,
    recipe: { ...baseRecipe, learningRate: 0.05, seed },
  });
  return { float, fresh, quantization: healthyQuantization(), recipe: { learningRate: 0.02, seed } };
}

export interface DiagnosedRun {
  readonly findings: readonly Finding[];
  readonly records: readonly ProbeRecord[];
  readonly result: TrainingResult;
}

/** Trains a setup under watch. */
export async function runSetup(
  setup: Setup,
  data: DatasetSplits,
  engine: Engine,
  options: WatchOptions = {},
): Promise<DiagnosedRun> {
  const recipe = { ...baseRecipe, ...setup.recipe };
  const quantized = quantizedOf(setup);
  const indices = Int32Array.from({ length: Math.min(64, data.train.count) }, (_, i) => i);
  const calibrated = quantized === undefined ? undefined : await calibrate(quantized, data.train, indices, engine);
  const network = calibrated === undefined ? setup.float : (setup.spoil?.(calibrated) ?? calibrated);
  const run = { network, data, engine, recipe };
  const watch = watchTraining(run, { every: 16, ...options });
  const result = await train({ ...run, watcher: watch.watcher });
  return { findings: watch.findings(), records: watch.records, result };
}
