/** Faults of scales and of the observers that give them. */

import type { RawData } from "./data.ts";
import {
  type FaultKind,
  fromScratch,
  graded,
  learnedPresets,
  observedPresets,
  oneOf,
  type Planted,
  type Situation,
} from "./fault.ts";

const isLearned = ({ preset }: Pick<Situation, "preset">) => learnedPresets.includes(preset);
const isObserved = ({ preset }: Situation) => observedPresets.includes(preset);
const groups = "train.optimizer.groups.quantizer";

/**
 * Whether values outgrow the ranges of a random start: batch normalization keeps them, and a perceptron's weights fit themselves
 * to ranges that stay.
 */
const isLeftBehind = ({ preset, base }: Situation) => preset === "minmax" && base.family === "plain";

/** A moving average with another constant, at every activation. */
function averaging(constant: number): Planted["settings"] {
  return {
    "quantization.overrides": [
      {
        layer: "**",
        activation: { observer: { observer: "movingAverageMinMax", options: { averagingConstant: constant } } },
      },
    ],
  };
}

/** Scales of weights and activations that begin at a percentile of the magnitudes. */
function clippedStart(percentile: number): readonly unknown[] {
  const options = { initializer: "percentile", percentile: Number(percentile.toPrecision(4)) };
  return [{ layer: "**", weight: { options }, activation: { options } }];
}

/** Data with every so many training samples multiplied by a factor. */
function withOutliers(data: RawData, factor: number, every: number): RawData {
  const length = data.train.samples.length / data.train.labels.length;
  const samples = Float32Array.from(data.train.samples, (value, i) =>
    Math.floor(i / length) % every === 0 ? value * factor : value,
  );
  return { ...data, train: { ...data.train, samples } };
}

export const scaleFaults: readonly FaultKind[] = [
  {
    name: "learning rate of the scales too high",
    family: "scales",
    causes: ["scale-rate-too-high", "scale-collapsed", "scale-gradient-imbalance"],
    isRepairable: true,
    fits: isLearned,
    plant: ({ base }, random, severity) => ({
      settings: {
        [`${groups}.learningRateScale`]:
          base.optimizer["train.optimizer.name"] === "adam"
            ? graded(random, severity, 10, 300)
            : graded(random, severity, 100, 10_000),
      },
    }),
  },
  {
    name: "scales are not trained, after a poor start",
    family: "scales",
    causes: ["scales-not-trained", "bad-initial-scale"],
    isRepairable: true,
    fits: ({ preset, weightBits, activationBits }) =>
      learnedPresets.includes(preset) && Math.min(weightBits, activationBits) <= 4,
    // The scales of both runs begin too small; those of the reference are trained.
    plant: (_, random, severity) => {
      const overrides = clippedStart(100 - graded(random, severity, 5, 30));
      return {
        settings: { "quantization.overrides": overrides, [`${groups}.learningRateScale`]: 0 },
        reference: { "quantization.overrides": overrides },
      };
    },
  },
  {
    name: "calibrated on unrepresentative samples",
    family: "scales",
    causes: ["outlier-samples", "bad-initial-scale", "outlier-range"],
    isRepairable: true,
    fits: ({ preset, base }) => learnedPresets.includes(preset) && ["waves", "table"].includes(base.data),
    // The numbers of the float run: outliers must not change a measured normalization, which would be a second fault.
    plant: ({ normalization }, random, severity) => {
      const factor = graded(random, severity, 10, 200);
      const every = oneOf(random, [12, 24, 48]);
      return {
        data: (data) => withOutliers(data, factor, every),
        settings: { "data.normalization": normalization },
        reference: { "data.normalization": normalization },
      };
    },
  },
  {
    name: "averaging constant too small",
    family: "scales",
    causes: ["observer-too-slow", "saturated", "observer-frozen-early"],
    isRepairable: true,
    fits: isLeftBehind,
    // The range stays that of the first batch, which random weights leave behind.
    plant: (situation, random, severity) => ({
      settings: { ...fromScratch(situation), ...averaging(1 / graded(random, severity, 1e4, 1e6)) },
      reference: fromScratch(situation),
    }),
  },
  {
    name: "observers frozen too early",
    family: "scales",
    causes: ["observer-frozen-early"],
    isRepairable: true,
    fits: isLeftBehind,
    plant: (situation) => ({
      settings: { ...fromScratch(situation), "quantization.freezeObserversAfterEpoch": 1 },
      reference: fromScratch(situation),
    }),
  },
  {
    name: "observers never enabled",
    family: "scales",
    causes: ["observer-frozen-early"],
    isRepairable: true,
    fits: isObserved,
    plant: () => ({ settings: { "quantization.freezeObserversAfterEpoch": 0 } }),
  },
  {
    name: "scales begin far too small",
    family: "scales",
    causes: ["bad-initial-scale"],
    isRepairable: true,
    fits: ({ preset, weightBits, base }) =>
      ["lsq", "lsq+", "ewgs"].includes(preset) && weightBits >= 3 && base.hasBatchNorm,
    plant: (_, random, severity) => ({
      settings: { "quantization.overrides": clippedStart(100 - graded(random, severity, 30, 50)) },
    }),
  },
  {
    name: "gradient of the scales without its factor",
    family: "scales",
    causes: ["scale-gradient-imbalance", "scale-collapsed", "scale-rate-too-high"],
    isRepairable: true,
    // TQT's own gradient has no factor, and its thresholds move in powers of two: it does without.
    fits: ({ preset }) => isLearned({ preset }) && preset !== "tqt",
    plant: () => {
      const options = { gradientScale: "none" };
      return {
        settings: { "quantization.overrides": [{ layer: "**", weight: { options }, activation: { options } }] },
      };
    },
  },
];
