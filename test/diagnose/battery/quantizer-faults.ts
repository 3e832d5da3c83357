/** Faults of the quantizers: codes, granularity, placement, bits of single layers, and when they act. */

import { float32Data, float32Tensor } from "../../../src/ir/tensor.ts";
import {
  anyBitsPresets,
  type FaultKind,
  fromScratch,
  graded,
  isQuickFromScratch,
  observedPresets,
  oneOf,
  type Situation,
  type Weights,
} from "./fault.ts";

const few = ({ weightBits, activationBits }: Situation) => Math.min(weightBits, activationBits) <= 4;

/** One of the layers between the first and the last. */
function innerLayer({ layers }: Situation, pick: number): Situation["layers"][number] | undefined {
  const inner = layers.slice(1, -1);
  return inner[pick % Math.max(1, inner.length)];
}

/** Multiplies the weights of some output channels; the function changes as little as BatchNormalization lets it. */
function withChannels(weights: Weights, name: string, factor: number, share: number): Weights {
  const value = weights.get(name);
  if (value === undefined) return weights;
  const data = float32Data(value);
  const channels = value.shape[0] ?? 1;
  const changed = Math.max(1, Math.round(channels * share));
  const length = data.length / channels;
  const scaled = data.map((each, i) => (Math.floor(i / length) < changed ? each * factor : each));
  return new Map([...weights, [name, float32Tensor(value.shape, scaled)]]);
}

export const quantizerFaults: readonly FaultKind[] = [
  {
    name: "reduce_range halves the codes",
    family: "quantizers",
    causes: ["reduced-range"],
    isRepairable: true,
    fits: ({ preset, activationBits }) => observedPresets.includes(preset) && activationBits <= 5,
    plant: (_s, _r, severity) => ({
      settings: { "quantization.reduceRange": true, ...(severity > 1 ? { "quantization.activationBits": 3 } : {}) },
      reference: { "quantization.reduceRange": false, ...(severity > 1 ? { "quantization.activationBits": 3 } : {}) },
    }),
  },
  {
    name: "signed codes after ReLU",
    family: "quantizers",
    causes: ["sign-wasted"],
    isRepairable: true,
    fits: ({ base, activationBits, preset }) =>
      !base.hasSigned && activationBits <= 3 && ["lsq", "ewgs"].includes(preset),
    plant: (_s, _r, severity) => {
      const bits = severity > 0 ? { "quantization.activationBits": 2 } : {};
      return {
        settings: { ...bits, "quantization.overrides": [{ layer: "**", activation: { signed: true } }] },
        reference: bits,
      };
    },
  },
  {
    name: "unsigned codes on signed values",
    family: "quantizers",
    causes: ["negative-lost"],
    isRepairable: true,
    // SiLU and hard swish have few values below 0, which cost little; these families have signed sums.
    fits: ({ base, preset }) => ["depthwise", "transformer"].includes(base.family) && ["lsq", "ewgs"].includes(preset),
    plant: () => ({ settings: { "quantization.overrides": [{ layer: "**", activation: { signed: false } }] } }),
  },
  {
    name: "one scale for channels of different size",
    family: "quantizers",
    causes: ["channel-disparity"],
    isRepairable: true,
    fits: ({ base, weightBits }) => base.hasBatchNorm && weightBits <= 4,
    plant: (situation, random, severity) => {
      const factor = graded(random, severity, 10, 300);
      const names = situation.layers.slice(1, -1).map(({ weight }) => weight);
      return {
        settings: {
          "quantization.overrides": [{ layer: "**", weight: { granularity: "tensor" } }],
          "train.optimizer.groups.batchNorm.learningRateScale": 0.1,
        },
        reference: { "train.optimizer.groups.batchNorm.learningRateScale": 0.1 },
        weights: (weights) => names.reduce((all, name) => withChannels(all, name, factor, 0.1), weights),
      };
    },
  },
  {
    name: "quantizers after every module",
    family: "quantizers",
    causes: ["unfused-placement"],
    isRepairable: true,
    fits: ({ base, activationBits }) => base.hasBatchNorm && activationBits <= 4,
    plant: (_s, _r, severity) => ({
      settings: {
        "quantization.placement": "everyModule",
        ...(severity > 1 ? { "quantization.activationBits": 2 } : {}),
      },
      reference: severity > 1 ? { "quantization.activationBits": 2 } : {},
    }),
  },
  {
    name: "one layer with far fewer bits",
    family: "quantizers",
    causes: ["low-bits-layer"],
    isRepairable: true,
    fits: ({ weightBits, activationBits, layers }) => Math.min(weightBits, activationBits) >= 4 && layers.length > 3,
    plant: (situation, random, severity) => {
      const layer = innerLayer(situation, random.integerBelow(100));
      return {
        settings: {
          "quantization.overrides": [{ layer: layer?.name ?? "**", bits: severity > 1 ? 1 : oneOf(random, [1, 2]) }],
        },
      };
    },
  },
  {
    name: "first layer at few bits",
    family: "quantizers",
    causes: ["edge-layer-bits", "low-bits-layer"],
    isRepairable: true,
    fits: ({ preset }) => anyBitsPresets.includes(preset),
    plant: (_, random, severity) => ({
      settings: { "quantization.firstLayerBits": severity > 1 ? 1 : oneOf(random, [1, 2]) },
    }),
  },
  {
    name: "last layer at few bits",
    family: "quantizers",
    causes: ["edge-layer-bits", "low-bits-layer"],
    isRepairable: true,
    fits: ({ preset }) => anyBitsPresets.includes(preset),
    plant: (_, random, severity) => ({
      settings: { "quantization.lastLayerBits": severity > 1 ? 1 : oneOf(random, [1, 2]) },
    }),
  },
  {
    name: "skip paths at few bits",
    family: "quantizers",
    causes: ["residual-mismatch"],
    isRepairable: true,
    fits: ({ base, preset }) => base.hasResidual && anyBitsPresets.includes(preset),
    plant: (_, random, severity) => ({
      settings: { "quantization.residualBits": severity > 1 ? 1 : oneOf(random, [1, 2]) },
    }),
  },
  {
    name: "weights never quantized in training",
    family: "quantizers",
    causes: ["never-quantized"],
    isRepairable: true,
    fits: ({ weightBits }) => weightBits <= 3,
    plant: ({ epochs }) => ({ settings: { "quantization.quantizeWeightsFromEpoch": epochs } }),
  },
  {
    name: "activations never quantized in training",
    family: "quantizers",
    causes: ["never-quantized"],
    isRepairable: true,
    fits: ({ activationBits, preset }) => activationBits <= 3 && preset !== "n2uq",
    plant: ({ epochs }, _, severity) => {
      const bits = severity > 0 ? { "quantization.activationBits": severity > 2 ? 1 : 2 } : {};
      return { settings: { ...bits, "quantization.quantizeActivationsFromEpoch": epochs }, reference: bits };
    },
  },
  {
    name: "weights frozen at the start",
    family: "quantizers",
    causes: ["weights-frozen"],
    isRepairable: true,
    fits: (situation) =>
      situation.weightBits <= 3 && ["lsq", "lsq+", "ewgs"].includes(situation.preset) && isQuickFromScratch(situation),
    // Weights of a float run are near where they have to be: codes that cannot change cost little there.
    plant: (situation) => ({
      settings: {
        ...fromScratch(situation),
        "quantization.freezing": { startThreshold: 1e-6, endThreshold: 1e-6 },
      },
      reference: fromScratch(situation),
    }),
  },
  {
    name: "dampening too strong",
    family: "quantizers",
    causes: ["dampening-too-strong"],
    isRepairable: true,
    fits: ({ weightBits, preset }) => weightBits <= 3 && ["lsq", "lsq+", "ewgs"].includes(preset),
    plant: (_, random, severity) => ({
      settings: { "quantization.dampening": { strength: graded(random, severity, 100, 100_000) } },
    }),
  },
  {
    name: "attention at few bits",
    family: "quantizers",
    causes: ["low-bits-layer"],
    isRepairable: true,
    fits: ({ base, activationBits }) => base.family === "transformer" && activationBits >= 4,
    plant: (_, random, severity) => ({
      settings: {
        "quantization.overrides": [
          {
            operator: "MatMul",
            activation: {
              quantizer: "uniform",
              bits: severity > 1 ? 1 : oneOf(random, [1, 2]),
              observer: { observer: "minMax" },
            },
          },
        ],
      },
    }),
  },
  {
    name: "ternary weights that are nearly all 0",
    family: "quantizers",
    causes: ["dead-weights"],
    isRepairable: true,
    fits: few,
    plant: (_, random, severity) => ({
      settings: {
        "quantization.overrides": [
          {
            layer: "**",
            weight: { quantizer: "ternary", bits: 2, options: { threshold: graded(random, severity, 1.8, 4) } },
          },
        ],
      },
      reference: { "quantization.overrides": [{ layer: "**", weight: { quantizer: "ternary", bits: 2 } }] },
    }),
  },
  {
    name: "saturated weights",
    family: "quantizers",
    causes: ["saturated-weights"],
    isRepairable: true,
    fits: ({ preset, base }) => ["dorefa", "pact"].includes(preset) && base.hasBatchNorm,
    plant: (situation, random, severity) => {
      const factor = graded(random, severity, 10, 200);
      const names = situation.layers.slice(1, -1).map(({ weight }) => weight);
      return { weights: (weights) => names.reduce((all, name) => withChannels(all, name, factor, 1), weights) };
    },
  },
  {
    name: "scale of a whole byte at few bits",
    family: "quantizers",
    causes: ["reduced-range"],
    isRepairable: true,
    fits: ({ preset, activationBits }) => observedPresets.includes(preset) && activationBits <= 6,
    plant: () => ({
      settings: { "quantization.overrides": [{ layer: "**", activation: { options: { convention: "pre-1.12" } } }] },
    }),
  },
  {
    name: "too few bits",
    family: "capacity",
    causes: ["capacity"],
    isRepairable: true,
    fits: ({ preset }) => ["lsq", "lsq+", "ewgs", "binary"].includes(preset),
    plant: (_, random, severity) => ({
      settings: {
        "quantization.weightBits": severity > 0 ? 1 : oneOf(random, [1, 2]),
        "quantization.activationBits": 1,
      },
    }),
  },
];
