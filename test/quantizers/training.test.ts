/**
 * Every preset, and quantizers that no preset uses, train a small network: calibrated on a batch, the loss of that batch
 * falls and everything stays finite. @slow
 */

import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { buildActivationSample, initializeActivations } from "../../src/compile/build/evaluation.ts";
import { trainingMode } from "../../src/compile/build/forward.ts";
import { buildTrainingStep } from "../../src/compile/build/training-step.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import type { QuantizedNetwork } from "../../src/compile/sites.ts";
import { float32Data, makeTensor, type Tensor } from "../../src/ir/tensor.ts";
import { makeModel } from "../../src/models/index.ts";
import type { Target } from "../../src/ops/definition.ts";
import { genericTarget } from "../../src/ops/targets.ts";
import type { QuantizationConfig } from "../../src/qconfig/config.ts";
import { presetNamed, presets } from "../../src/qconfig/presets.ts";
import type { TensorQuantization } from "../../src/qconfig/tensor-quantization.ts";
import { ForwardJob, TrainingJob } from "../../src/runtime/job.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { StateBuffers } from "../../src/runtime/state.ts";

const engine = nodeEngine({ threads: 1 });
const batchSize = 8;
const sampleShape = [1, 12, 12];
const input = { dtype: "uint8", mean: [0.5], deviation: [0.25] } as const;
const random = randomStream(2, "batch");
const batch = {
  data: makeTensor(
    "uint8",
    [batchSize, ...sampleShape],
    Uint8Array.from({ length: batchSize * 144 }, () => random.integerBelow(256)),
  ),
  targets: makeTensor(
    "int32",
    [batchSize],
    Int32Array.from({ length: batchSize }, () => random.integerBelow(4)),
  ),
};

async function calibrated(config: QuantizationConfig): Promise<QuantizedNetwork> {
  const float = makeModel("resnet8", { sampleShape, classes: 4, width: 8 }, randomStream(1, "initial weights"));
  const network = quantize(float, config);
  const job = await ForwardJob.create(engine, buildActivationSample(network, { batchSize, input }), genericTarget);
  const state = new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
  const samples = new Map<string, Tensor>(Object.entries(await job.run(state, batch.data)));
  await job.release();
  return initializeActivations(network, samples);
}

async function train(network: QuantizedNetwork, target: Target, steps: number): Promise<number[]> {
  const step = buildTrainingStep(network, {
    batchSize,
    input,
    loss: { name: "crossEntropy", labelSmoothing: 0 },
    optimizer: { name: "sgd", momentum: 0.9, nesterov: false },
    weightDecay: { weights: 0, normalization: 0, quantizers: 0 },
    mode: trainingMode,
  });
  const job = await TrainingJob.create(engine, step, target);
  const state = new StateBuffers([]);
  job.prepare(state);
  const rates = {
    "learning_rate.weights": 0.02,
    "learning_rate.normalization": 0.02,
    "learning_rate.quantizers": 0.002,
  };
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await job.run(state, batch, rates)).loss);
  for (const name of state.names) expect(float32Data(state.get(name)).every(Number.isFinite), name).toBe(true);
  await job.release();
  return losses;
}

function configOf(weight: TensorQuantization, activation: TensorQuantization): QuantizationConfig {
  return {
    weight,
    activation,
    placement: "fused",
    firstLayer: "float",
    lastLayer: "float",
    residualBits: null,
  };
}

const weights = { bits: 4, signed: true, granularity: "channel", options: {} } as const;
const activations = { bits: 4, signed: "auto", granularity: "tensor", options: {} } as const;
const observer = { observer: "movingAverageMinMax", options: { averagingConstant: 0.1 } };

/** By test/compile/training-step.test.ts. */
const trainedElsewhere = new Set(["thread", "minmax", "lsq"]);

const configs: Readonly<Record<string, QuantizationConfig>> = {
  ...Object.fromEntries(
    Object.keys(presets)
      .filter((name) => !trainedElsewhere.has(name))
      .map((name) => [name, presetNamed(name, { weightBits: 4, activationBits: 4 })]),
  ),
  ewgs: configOf({ ...weights, quantizer: "ewgs" }, { ...activations, quantizer: "ewgs" }),
  tqt: configOf(
    { ...weights, quantizer: "tqt", granularity: "tensor", options: { gradientScale: "lsq" } },
    { ...activations, quantizer: "tqt", options: { gradientScale: "lsq", initializer: "percentile" } },
  ),
  learnable: configOf(
    { ...weights, quantizer: "learnable", options: { scheme: "symmetric", gradientScale: "lsq" } },
    { ...activations, quantizer: "learnable", options: { gradientScale: "torch" } },
  ),
  "powers of two": configOf({ ...weights, quantizer: "powerOfTwo" }, { ...activations, quantizer: "powerOfTwo" }),
  "torch's APoT": configOf(
    { ...weights, quantizer: "apotTorch", options: { k: 3 }, observer },
    { ...activations, quantizer: "apotTorch", options: { k: 2 }, observer },
  ),
  ternary: configOf({ ...weights, quantizer: "ternary", bits: 2 }, { ...activations, quantizer: "pact" }),
  "uniform, fused and histogram": configOf(
    { ...weights, quantizer: "uniform", options: { scheme: "symmetric", convention: "fused" }, observer },
    { ...activations, quantizer: "uniform", observer: { observer: "histogram", options: {} } },
  ),
  "groups of weights": configOf(
    { ...weights, quantizer: "lsq", granularity: "group", groupSize: 8 },
    { ...activations, quantizer: "lsq" },
  ),
  "observed groups of weights": configOf(
    { ...weights, quantizer: "uniform", granularity: "group", groupSize: 8, observer },
    { ...activations, quantizer: "lsq" },
  ),
  "MX FP4": configOf(
    { ...weights, quantizer: "minifloat", granularity: "group", groupSize: 8, options: { scale: "mx" } },
    { ...activations, quantizer: "minifloat", granularity: "group", groupSize: 36, options: { scale: "mx" } },
  ),
};

/** Trained by the cpu lowering as well: one with each kind of arithmetic. */
const alsoBlocked = new Set(["lsq+", "apot", "MX FP4"]);

describe("training with every quantizer", () => {
  for (const [name, config] of Object.entries(configs)) {
    it(name, async () => {
      const network = await calibrated(config);
      const losses = await train(network, genericTarget, 5);
      expect(losses.every(Number.isFinite)).toBe(true);
      expect(Math.min(...losses.slice(-2)), losses.join(" ")).toBeLessThan(losses[0] ?? 0);
      if (!alsoBlocked.has(name)) return;
      const [first] = await train(network, await engine.target(), 1);
      expect(first).toBeCloseTo(losses[0] ?? 0, 1);
    });
  }
});
