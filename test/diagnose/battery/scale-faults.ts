/** Faults of scales and of the observers that give them. */

import { type FaultKind, graded, learnedPresets, observedPresets, type Planted, type Situation } from "./fault.ts";

const isLearned = ({ preset }: Situation) => learnedPresets.includes(preset);
const isObserved = ({ preset }: Situation) => observedPresets.includes(preset);
const groups = "train.optimizer.groups.quantizer";

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
    fits: ({ preset, weightBits, activationBits }) => preset === "lsq" && Math.min(weightBits, activationBits) <= 3,
    plant: () => ({ settings: { [`${groups}.learningRateScale`]: 0 } }),
  },
  {
    name: "calibrated on unrepresentative samples",
    family: "scales",
    causes: ["bad-initial-scale", "outlier-range"],
    isRepairable: true,
    // The first batch, which gives the scales their first values, is chosen by the seed: the fault is in all of its samples.
    fits: ({ preset, base }) => isLearned({ preset } as Situation) && base.data === "waves",
    plant: (_, random, severity) => ({
      data: (data) => {
        const factor = graded(random, severity, 10, 200);
        const length = data.train.samples.length / data.train.labels.length;
        const samples = Float32Array.from(data.train.samples);
        for (let i = 0; i < data.train.labels.length; i += 24) {
          for (let j = 0; j < length; j++) samples[i * length + j] = (samples[i * length + j] ?? 0) * factor;
        }
        return { ...data, train: { ...data.train, samples } };
      },
      settings: { "data.normalization": "none" },
      reference: { "data.normalization": "none" },
    }),
  },
  {
    name: "averaging constant too small",
    family: "scales",
    causes: ["saturated", "observer-frozen-early"],
    isRepairable: true,
    fits: isObserved,
    plant: (_, random, severity) => ({
      settings: { ...averaging(1 / graded(random, severity, 1e4, 1e6)) },
      start: "random",
      reference: {},
    }),
  },
  {
    name: "observers frozen too early",
    family: "scales",
    causes: ["observer-frozen-early"],
    isRepairable: true,
    fits: isObserved,
    plant: () => ({ settings: { "quantization.freezeObserversAfterEpoch": 0 }, start: "random", reference: {} }),
  },
];
