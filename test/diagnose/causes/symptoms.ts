/** For each cause a run made by hand in which one measurement is as the cause makes it. */

import { resolveTrainingConfig } from "../../../src/config/config.ts";
import type { CauseName } from "../../../src/diagnose/diagnose.ts";
import type { DiagnosisInput } from "../../../src/diagnose/input.ts";
import {
  dataFacts,
  decays,
  distillation,
  examination,
  facts,
  factsOfRecipe,
  history,
  layer,
  normMeasurement,
  rates,
  record,
  records,
  schedule,
  siteFacts,
  siteMeasurement,
  weightMeasurement,
} from "../synthetic.ts";

/** PACT's clipping limit, as a decay of 5 left it. */
const alpha = { name: "alpha", kind: "factor", change: -16, largestChange: 16, update: 0.05 } as const;

export const observed = { quantizer: "uniform", observer: "movingAverageMinMax", learned: false };
export const weightSite = {
  kind: "weight",
  name: `${layer}.weight.quantizer`,
  tensor: `${layer}.weight`,
  nonNegative: false,
} as const;

/** A scale thirty times that of the first batch. */
export const badStart = { sqnr: 1, deadShare: 0.99, scaleRatio: 30, initialRatio: 30 };

/** A run in which one measurement is as the cause makes it. */
export const symptoms: Readonly<Record<CauseName, DiagnosisInput>> = {
  "reduced-range": {
    facts: facts([siteFacts({ ...observed, quantMax: 7, levels: 8 })]),
    records: records({ sites: [siteMeasurement({ distinctCodes: 8, entropy: 2 })] }),
  },
  "outlier-range": {
    facts: facts([siteFacts(observed)]),
    records: records({
      sites: [
        siteMeasurement({
          magnitude: { p50: 0.4, p975: 2, p999: 3, max: 30 },
          sqnr: 8,
          optimalSqnr: 18,
          coverage: 1,
        }),
      ],
    }),
  },
  "range-moving": {
    facts: facts([siteFacts(observed)]),
    records: [0.1, 0.2, 0.4, 2].map((scale, i) => record(i * 320, { sites: [siteMeasurement({ scale })] })),
  },
  "observer-frozen-early": {
    facts: facts([siteFacts(observed)], { recipe: { epochs: 10, learningRate: 0.05, freezeObserversAfterEpoch: 1 } }),
    records: records({ observing: false, sites: [siteMeasurement({ coverage: 0.3, clippedShare: 0.06 })] }),
  },
  "observer-too-slow": {
    facts: facts([siteFacts({ ...observed, averagingConstant: 1e-5 })]),
    records: records({ sites: [siteMeasurement({ coverage: 0.3, clippedShare: 0.06 })] }),
  },
  "bad-initial-scale": {
    facts: facts(),
    records: records({}, { sites: [siteMeasurement(badStart)] }),
  },
  "mask-missing": { facts: facts(), records: records({ sites: [siteMeasurement({ outsideGradientShare: 1 })] }) },
  "gradient-mismatch": {
    facts: facts(),
    records: records({ weights: [weightMeasurement({ gradientCosine: 0.05 })] }),
  },
  "scale-gradient-imbalance": {
    facts: facts(),
    records: records({ sites: [siteMeasurement({ scaleBalance: 1500 })] }),
  },
  "scale-collapsed": {
    facts: facts(),
    records: records({ sites: [siteMeasurement({ floorShare: 0.25 })] }, {}),
  },
  saturated: { facts: facts(), records: records({ sites: [siteMeasurement({ clippedShare: 0.3 })] }) },
  "batch-norm-stale": {
    facts: facts(),
    records: records({ runningLoss: 2, norms: [normMeasurement({ divergence: 0.5, meanShift: 1, varianceShift: 1 })] }),
    epochs: [{ epoch: 10, trainLoss: 0.4, testLoss: 2, testAccuracy: 0.3 }],
  },
  oscillation: {
    facts: facts(),
    records: records({ weights: [weightMeasurement({ oscillatingShare: 0.2, flipRate: 0.08 })] }),
  },
  "learning-rate-too-high": {
    facts: facts(),
    records: records(
      {
        weights: [weightMeasurement({ update: 0.1, distance: 2 })],
        recent: { steps: 80, mean: 2.2, max: 9, notFinite: 0 },
      },
      {},
    ),
  },
  "learning-rate-too-low": {
    facts: facts(),
    records: records({
      weights: [weightMeasurement({ update: 1e-7, distance: 1e-4 })],
      recent: { steps: 80, mean: 1.6, max: 2, notFinite: 0 },
    }),
  },
  "warm-up-missing": {
    facts: factsOfRecipe({ optimizer: { name: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } }),
    records: records().map((each, index) =>
      index === 0
        ? each
        : {
            ...each,
            weights: [weightMeasurement({ distance: 0.25 })],
            recent: { steps: 16, mean: 1.5, max: 5, notFinite: 0 },
          },
    ),
  },
  "edge-layer-bits": {
    facts: facts([siteFacts({ edge: "first", bits: 2, levels: 4, quantMax: 3 })]),
    records: records({ sites: [siteMeasurement({ sqnr: 6, optimalSqnr: 6 })] }),
  },
  "random-start": { facts: facts(), records: records({}, { loss: 2.4, floatLoss: 2.3, floatAccuracy: 0.1 }) },
  "sign-wasted": {
    facts: facts([siteFacts({ quantMin: -8, quantMax: 7 })]),
    records: records({ sites: [siteMeasurement({ levelsBelowZero: 0.5, distinctCodes: 8 })] }),
  },
  "negative-lost": {
    facts: facts([siteFacts({ nonNegative: false })]),
    records: records({ sites: [siteMeasurement({ min: -3, negativeShare: 0.5, lostNegativeShare: 0.4 })] }),
  },
  "channel-disparity": {
    facts: facts([siteFacts(weightSite)]),
    records: records({
      sites: [
        siteMeasurement({
          name: weightSite.name,
          kind: "weight",
          channelDisparity: 30,
          sqnr: 6,
          optimalSqnr: 6,
        }),
      ],
    }),
  },
  "residual-mismatch": {
    facts: facts(),
    records: records({ additions: [{ name: "layer1.0.add", ratio: 12, smallerSqnr: 0 }] }),
  },
  "heavy-tailed-weights": {
    facts: facts([siteFacts({ ...weightSite, perChannel: true })]),
    records: records({
      sites: [siteMeasurement({ name: weightSite.name, kind: "weight", kurtosis: 40, entropy: 1.5 })],
    }),
  },
  capacity: {
    facts: facts([siteFacts({ bits: 2, levels: 4, quantMax: 3 })]),
    records: records({ loss: 1.4, floatLoss: 0.3 }),
  },
  "activations-or-weights": {
    facts: facts(),
    records: records(),
    ablation: {
      metric: "accuracy",
      samples: 100,
      float: { loss: 0.4, accuracy: 0.86 },
      quantized: { loss: 1.6, accuracy: 0.5 },
      weightsOnly: { loss: 0.45, accuracy: 0.85 },
      activationsOnly: { loss: 1.5, accuracy: 0.52 },
      layers: [{ layer, alone: { loss: 1.4, accuracy: 0.6 }, without: { loss: 0.5, accuracy: 0.84 } }],
    },
  },
  "weight-decay-too-strong": { facts: factsOfRecipe({ weightDecay: decays({ weights: 0.3 }) }), records: records() },
  "momentum-too-high": {
    facts: factsOfRecipe({ optimizer: { name: "sgd", momentum: 0.995, nesterov: false } }),
    records: records(),
  },
  "learning-rate-not-lowered": {
    facts: factsOfRecipe({ schedule: schedule({ name: "constant" }) }),
    records: records({ weights: [weightMeasurement({ update: 0.01 })] }),
  },
  "too-few-steps": {
    facts: factsOfRecipe({ epochs: 1, batchSize: 64 }),
    records: records(),
    data: dataFacts({ count: 640 }),
  },
  "batch-too-small": { facts: factsOfRecipe({ batchSize: 2 }), records: records() },
  "gradient-clip-too-tight": {
    facts: factsOfRecipe({ gradientClip: 0.001 }),
    records: records({ weights: [weightMeasurement({ gradientNorm: 1, distance: 0.001 })] }),
  },
  "batch-norm-momentum": {
    facts: { ...facts(), batchNorms: [{ name: "bn1", kept: 1 }] },
    records: records({ runningLoss: 0.9 }),
  },
  "label-smoothing": {
    facts: factsOfRecipe({ loss: { name: "crossEntropy", labelSmoothing: 0.9 } }),
    records: records(),
  },
  "batch-norm-rate": { facts: factsOfRecipe({ learningRateScale: rates({ normalization: 300 }) }), records: records() },
  "weights-not-trained": { facts: factsOfRecipe({ learningRateScale: rates({ weights: 0.001 }) }), records: records() },
  "scale-decay": {
    facts: factsOfRecipe({ weightDecay: decays({ quantizers: 3 }) }),
    records: records({ sites: [siteMeasurement({ learned: [alpha] })] }),
  },
  "scale-rate-too-high": {
    facts: factsOfRecipe({ learningRateScale: rates({ quantizers: 500 }) }),
    records: records({ sites: [siteMeasurement({ scaleChange: 2, largestScaleChange: 3 })] }),
  },
  "scales-not-trained": { facts: factsOfRecipe({ learningRateScale: rates({ quantizers: 0 }) }), records: records() },
  "never-quantized": { facts: factsOfRecipe({ quantizeWeightsFromEpoch: 12 }), records: records() },
  "weights-frozen": {
    facts: factsOfRecipe({ freezing: { fromEpoch: 0, startThreshold: 1e-6, endThreshold: 1e-6 } }),
    records: records(),
  },
  "dampening-too-strong": { facts: factsOfRecipe({ dampening: { fromEpoch: 0, strength: 1000 } }), records: records() },
  "low-bits-layer": {
    facts: facts(
      ["a", "b", "c"].map((name) =>
        siteFacts({ name, layer: name, tensor: `${name}.input`, ...(name === "b" ? { bits: 1, levels: 2 } : {}) }),
      ),
    ),
    records: records({ sites: ["a", "b", "c"].map((name) => siteMeasurement({ name })) }),
  },
  "dead-weights": {
    facts: facts([siteFacts({ ...weightSite, perChannel: true })]),
    records: records({ sites: [siteMeasurement({ name: weightSite.name, kind: "weight", deadShare: 0.97 })] }),
  },
  "saturated-weights": {
    facts: facts([siteFacts({ ...weightSite, perChannel: true })]),
    records: records({ sites: [siteMeasurement({ name: weightSite.name, kind: "weight", clippedShare: 0.8 })] }),
  },
  "dead-channels": { facts: facts(), records: records({ sites: [siteMeasurement({ deadChannels: 0.7 })] }) },
  "weak-start": { facts: facts(), records: records(), history: history(0.2), examination: examination() },
  "input-scale": { facts: facts(), records: records(), data: dataFacts({ deviation: 70, typicalLargest: 200 }) },
  "normalization-differs": {
    facts: facts([siteFacts()], {
      settings: resolveTrainingConfig({ name: "run", text: "data: { normalization: { mean: [0.9], std: [0.1] } }" }),
    }),
    records: records(),
    history: history(0.87),
  },
  "test-overlap": { facts: facts(), records: records(), data: dataFacts({}, { repeated: 0.6 }) },
  "outlier-samples": { facts: facts(), records: records(), data: dataFacts({ largest: 100, outlierShare: 0.04 }) },
  "test-shift": { facts: facts(), records: records(), data: dataFacts({}, { mean: 1.4, deviation: 2 }) },
  "test-labels": {
    facts: facts(),
    records: records(),
    examination: examination({
      confusion: [
        [2, 40],
        [45, 3],
      ],
      quantized: { accuracy: 0.06, loss: 6 },
    }),
  },
  "noisy-labels": {
    facts: facts(),
    records: records(),
    examination: examination({}, { quantized: { accuracy: 0.5, loss: 1.9 } }),
  },
  "class-imbalance": {
    facts: facts(),
    records: records(),
    data: dataFacts({ shares: [0.9, 0.1] }, { shares: [0.5, 0.5] }),
  },
  "missing-classes": {
    facts: facts(),
    records: records(),
    data: dataFacts({ shares: [0.5, 0.5, 0] }, { shares: [0.4, 0.3, 0.3] }),
  },
  "augmentation-too-strong": { facts: factsOfRecipe({ cropPadding: 20 }), records: records() },
  "wrong-teacher": {
    facts: factsOfRecipe({
      distillation: distillation(0.9),
    }),
    records: records(),
    examination: { ...examination(), teacher: { accuracy: 0.1, loss: 4 } },
  },
  "unfused-placement": { facts: facts([siteFacts({ intermediate: true })]), records: records() },
};
