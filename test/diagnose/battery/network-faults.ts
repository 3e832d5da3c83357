/** Faults of the network and of the weights that a run begins with. */

import { float32Data, float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import {
  type FaultKind,
  fromScratch,
  graded,
  isQuickFromScratch,
  observedPresets,
  oneOf,
  type Weights,
} from "./fault.ts";

/** Changes the tensors whose names end with a suffix, which are the parameters of BatchNormalization in every network here. */
function changed(weights: Weights, suffix: string, change: (values: Float32Array) => Float32Array): Weights {
  const edit = (name: string, value: Tensor): Tensor =>
    name.endsWith(suffix) ? float32Tensor(value.shape, change(float32Data(value))) : value;
  return new Map([...weights].map(([name, value]) => [name, edit(name, value)]));
}

/** The parameters of a normalization: those that have running statistics next to them. */
function normalized(weights: Weights): Set<string> {
  return new Set(
    [...weights.keys()].filter((name) => name.endsWith(".running_mean")).map((name) => name.slice(0, -13)),
  );
}

/** Multiplies output channel 1 of a parameter. */
function withOutput(weights: Weights, name: string, factor: number): Weights {
  const value = weights.get(name);
  if (value === undefined) return weights;
  const changed = float32Data(value).map((each, i) => (i === 1 ? each * factor : each));
  return new Map([...weights, [name, float32Tensor(value.shape, changed)]]);
}

/** Multiplies what a layer makes of its input channel 1; a depthwise layer has one input channel for each output. */
function withInput(weights: Weights, name: string, factor: number): Weights {
  const value = weights.get(name);
  if (value === undefined) return weights;
  const [, inputs = 1, ...kernel] = value.shape;
  const inner = kernel.reduce((product, size) => product * size, 1);
  const isChannel = (i: number) => (inputs === 1 ? Math.floor(i / inner) === 1 : Math.floor(i / inner) % inputs === 1);
  const changed = float32Data(value).map((each, i) => (isChannel(i) ? each * factor : each));
  return new Map([...weights, [name, float32Tensor(value.shape, changed)]]);
}

export const networkFaults: readonly FaultKind[] = [
  {
    name: "statistics of BatchNorm frozen at a random start",
    family: "network",
    causes: ["batch-norm-stale"],
    isRepairable: true,
    fits: (situation) => situation.base.hasBatchNorm && isQuickFromScratch(situation),
    plant: (situation) => ({
      settings: { ...fromScratch(situation), "quantization.freezeBatchNormAfterEpoch": 0 },
      reference: fromScratch(situation),
    }),
  },
  {
    name: "statistics of BatchNorm frozen at wrong values",
    family: "network",
    causes: ["batch-norm-stale"],
    isRepairable: true,
    fits: ({ base }) => base.hasBatchNorm,
    plant: (_, random, severity) => {
      const factor = graded(random, severity, 3, 60);
      return {
        settings: { "quantization.freezeBatchNormAfterEpoch": 0, "train.optimizer.learningRate": 0.001 },
        reference: { "train.optimizer.learningRate": 0.001 },
        weights: (weights) => changed(weights, ".running_var", (values) => values.map((value) => value * factor)),
      };
    },
  },
  {
    name: "dead channels",
    family: "network",
    causes: ["dead-channels"],
    isRepairable: false,
    fits: ({ base }) => base.hasBatchNorm && !base.hasSigned,
    plant: (_, random, severity) => {
      const share = 0.5 + 0.11 * (severity + random.uniform());
      return {
        weights: (weights) => {
          const norms = normalized(weights);
          const edit = (name: string, value: Tensor): Tensor => {
            if (!name.endsWith(".bias") || !norms.has(name.slice(0, -5))) return value;
            const data = float32Data(value);
            return float32Tensor(
              value.shape,
              data.map((each, i) => (i < share * data.length ? -20 : each)),
            );
          };
          return new Map([...weights].map(([name, value]) => [name, edit(name, value)]));
        },
      };
    },
  },
  {
    name: "outlier channels under min-max",
    family: "network",
    causes: ["outlier-range"],
    isRepairable: true,
    fits: ({ base, preset, activationBits }) =>
      base.hasBatchNorm && !base.hasSigned && observedPresets.includes(preset) && activationBits <= 6,
    plant: ({ links }, random, severity) => {
      const factor = graded(random, severity, 10, 100);
      return {
        settings: { "train.optimizer.groups.batchNorm.learningRateScale": 0 },
        reference: { "train.optimizer.groups.batchNorm.learningRateScale": 0 },
        weights: (weights) =>
          links.reduce((all, { scale, shift, weight }) => {
            const larger = [scale, shift].reduce((each, name) => withOutput(each, name, factor), all);
            return withInput(larger, weight, 1 / factor);
          }, weights),
      };
    },
  },
  {
    name: "momentum of batch normalization in the model's file",
    family: "network",
    causes: ["batch-norm-momentum"],
    isRepairable: true,
    fits: ({ base }) => base.withMomentum !== undefined,
    plant: ({ base }, random, severity) => {
      const kept = oneOf(random, [0, 1]);
      const batch = severity > 1 ? { "train.batchSize": 16 } : {};
      return {
        model: (folder, seed) => base.withMomentum?.(folder, seed, kept) ?? {},
        settings: batch,
        reference: batch,
      };
    },
  },
  {
    name: "random weights at the start",
    family: "network",
    causes: ["random-start"],
    isRepairable: true,
    fits: ({ weightBits, activationBits }) => Math.min(weightBits, activationBits) <= 4,
    plant: () => ({ start: "random" }),
  },
  {
    name: "start from a float run that is hardly trained",
    family: "network",
    causes: ["weak-start", "random-start"],
    isRepairable: true,
    fits: () => true,
    plant: () => ({ start: "hardly trained" }),
  },
];
