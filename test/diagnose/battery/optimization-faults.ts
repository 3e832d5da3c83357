/** Faults of the optimizer and its schedule. */

import { type FaultKind, graded, learnedPresets, oneOf, type Situation } from "./fault.ts";

const always = () => true;
const isSgd = ({ base }: Situation) => base.optimizer["train.optimizer.name"] === "sgd";
const rate = "train.optimizer.learningRate";

export const optimizationFaults: readonly FaultKind[] = [
  {
    name: "learning rate too low",
    family: "optimization",
    causes: ["learning-rate-too-low"],
    isRepairable: true,
    fits: ({ weightBits, activationBits }) => Math.min(weightBits, activationBits) <= 3,
    plant: ({ learningRate }, random, severity) => ({
      settings: { [rate]: learningRate / graded(random, severity, 50, 20_000) },
    }),
  },
  {
    name: "learning rate too high",
    family: "optimization",
    causes: ["learning-rate-too-high"],
    isRepairable: true,
    fits: always,
    plant: ({ learningRate }, random, severity) => ({
      settings: { [rate]: learningRate * graded(random, severity, 8, 150) },
    }),
  },
  {
    name: "learning rate never lowered",
    family: "optimization",
    causes: ["learning-rate-not-lowered", "learning-rate-too-high"],
    isRepairable: true,
    fits: always,
    plant: ({ learningRate }, random, severity) => ({
      settings: { "train.schedule.name": "constant", [rate]: learningRate * graded(random, severity, 3, 20) },
      reference: { [rate]: learningRate },
    }),
  },
  {
    name: "momentum too high",
    family: "optimization",
    causes: ["momentum-too-high", "learning-rate-too-high"],
    isRepairable: true,
    // Short runs feel a high momentum at a high rate alone, which the run without the fault has too.
    fits: (situation) => isSgd(situation) && situation.preset !== "n2uq",
    plant: ({ learningRate }, random, severity) => ({
      settings: {
        "train.optimizer.momentum": 1 - 1 / graded(random, severity, 60, 1000),
        [rate]: learningRate * (severity > 2 ? 3 : 2),
      },
      reference: { [rate]: learningRate * (severity > 2 ? 3 : 2) },
    }),
  },
  {
    name: "too few steps",
    family: "optimization",
    causes: ["too-few-steps"],
    isRepairable: true,
    fits: ({ weightBits, activationBits }) => Math.min(weightBits, activationBits) <= 3,
    plant: ({ batchSize }, random, severity) => ({
      settings: {
        "train.epochs": 1,
        "data.trainLimit": Math.max(2, Math.round(40 / graded(random, severity, 2, 20))) * batchSize,
      },
    }),
  },
  {
    name: "batch too small for its normalization",
    family: "optimization",
    causes: ["batch-too-small"],
    isRepairable: true,
    fits: ({ base }) => base.hasBatchNorm,
    plant: (_, random, severity) => ({
      settings: { "train.batchSize": severity > 1 ? 2 : oneOf(random, [2, 3, 4]), "data.trainLimit": 600 },
      reference: { "data.trainLimit": 600 },
    }),
  },
  {
    name: "weight decay too strong",
    family: "optimization",
    causes: ["weight-decay-too-strong"],
    isRepairable: true,
    fits: always,
    plant: ({ base }, random, severity) => ({
      settings: {
        "train.optimizer.weightDecay":
          base.optimizer["train.optimizer.name"] === "adam"
            ? graded(random, severity, 0.02, 2)
            : graded(random, severity, 0.03, 1),
      },
    }),
  },
  {
    name: "weight decay on the scales",
    family: "scales",
    causes: ["scale-decay"],
    isRepairable: true,
    fits: ({ preset }) => learnedPresets.includes(preset) || preset === "pact",
    plant: ({ learningRate, base }, random, severity) => {
      // A step takes away the rate times the decay: 0.5 to 10 %.
      const decay = graded(random, severity, 0.005, 0.1) / learningRate;
      const isAdam = base.optimizer["train.optimizer.name"] === "adam";
      return {
        settings: {
          "train.optimizer.groups.quantizer.weightDecay": Number(decay.toPrecision(3)),
          // With Adam the decay is part of the gradient, and only its sign counts.
          ...(isAdam ? { "train.optimizer.name": "adamw" } : {}),
        },
        ...(isAdam ? { reference: { "train.optimizer.name": "adamw" } } : {}),
      };
    },
  },
  {
    name: "weights are not trained",
    family: "optimization",
    causes: ["weights-not-trained", "learning-rate-too-low"],
    isRepairable: true,
    fits: ({ weightBits, activationBits }) => Math.min(weightBits, activationBits) <= 3,
    plant: (_, random, severity) => ({
      settings: {
        "train.optimizer.groups.weights.learningRateScale":
          severity > 2 ? 0 : Number((1 / graded(random, severity, 100, 20_000)).toPrecision(2)),
      },
    }),
  },
  {
    name: "learning rate of BatchNorm too high",
    family: "optimization",
    causes: ["batch-norm-rate", "learning-rate-too-high"],
    isRepairable: true,
    fits: ({ base }) => base.hasBatchNorm,
    plant: (_, random, severity) => ({
      settings: { "train.optimizer.groups.batchNorm.learningRateScale": graded(random, severity, 50, 5000) },
    }),
  },
  {
    name: "gradient clipping too tight",
    family: "optimization",
    causes: ["gradient-clip-too-tight"],
    isRepairable: true,
    // With Adam a factor on all gradients changes nothing; with 3 bits the float weights are good enough as they are.
    fits: (situation) => isSgd(situation) && Math.min(situation.weightBits, situation.activationBits) <= 2,
    plant: (_, random, severity) => ({
      settings: { "train.optimizer.gradientClip": 1 / graded(random, severity, 10, 50_000) },
    }),
  },
  {
    name: "label smoothing too strong",
    family: "optimization",
    causes: ["label-smoothing"],
    isRepairable: true,
    fits: always,
    plant: (_, random, severity) => ({
      settings: { "train.labelSmoothing": Number((1 - 0.2 / graded(random, severity, 1, 40)).toPrecision(3)) },
    }),
  },
  {
    name: "warm-up missing",
    family: "optimization",
    causes: ["warm-up-missing", "learning-rate-too-high"],
    isRepairable: true,
    // In the other networks Adam finds back from its first steps.
    fits: ({ base }) => base.family === "transformer",
    plant: ({ learningRate }, random, severity) => {
      const high = { [rate]: Number((learningRate * graded(random, severity, 2.5, 6)).toPrecision(3)) };
      return {
        settings: { ...high, "train.schedule.warmupEpochs": 0 },
        reference: { ...high, "train.schedule.warmupEpochs": 1 },
      };
    },
  },
  {
    name: "oscillation at a rate that is not lowered",
    family: "optimization",
    causes: ["oscillation", "learning-rate-not-lowered"],
    isRepairable: true,
    fits: ({ base, weightBits, preset }) =>
      base.hasBatchNorm && weightBits <= 3 && ["lsq", "lsq+", "ewgs"].includes(preset),
    plant: ({ learningRate }, _, severity) => {
      const high = { [rate]: Number((learningRate * (severity > 1 ? 2 : 1.5)).toPrecision(3)) };
      return {
        settings: { ...high, "train.schedule.name": "constant" },
        reference: { ...high, "train.schedule.name": "cosine" },
      };
    },
  },
];
