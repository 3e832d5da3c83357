/** Data and task: faults that are none of the quantization (rows 40 to 49 and 53). */

import { type DataFacts, outlierFactor } from "../data-facts.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../finding.ts";
import type { DiagnosisInput } from "../input.ts";
import { brokenTraining } from "./consequences.ts";

/** The rows of docs/diagnosis.md. */
const rows = {
  "input-scale": 40,
  "normalization-differs": 41,
  "test-shift": 42,
  "test-labels": 43,
  "noisy-labels": 44,
  "class-imbalance": 45,
  "missing-classes": 46,
  "augmentation-too-strong": 47,
  "wrong-teacher": 48,
  "outlier-samples": 49,
  "test-overlap": 53,
} as const;
type Found = CauseFinding<keyof typeof rows>;

function find(input: DiagnosisInput): Found[] {
  return [
    ...inputScale(input),
    ...normalizationDiffers(input),
    ...outlierSamples(input),
    ...testShift(input),
    ...testLabels(input),
    ...noisyLabels(input),
    ...imbalance(input),
    ...missingClasses(input),
    ...augmentation(input),
    ...wrongTeacher(input),
    ...testOverlap(input),
  ];
}

const notQuantization = "this is no fault of the quantization";

function inputScale({ data }: DiagnosisInput): Found[] {
  if (data === undefined || data.areUnscaled === true) return [];
  const { deviation, typicalLargest } = data.train;
  return [
    {
      cause: "input-scale",
      title: `The inputs of the network are ${deviation.toFixed(1)} in standard deviation instead of about 1: ${notQuantization}`,
      layers: [],
      evidence: [
        evidence("standard deviation of the inputs", deviation, 4, "above"),
        evidence("largest input of a sample, median", typicalLargest, 20, "above"),
      ],
      confidence: 0.95 * logRamp(deviation, 3, 10),
      remedy: { title: "normalize by the data's mean and deviation", changes: { "data.normalization": "measure" } },
    },
  ];
}

type Numbers = NonNullable<DataFacts["normalization"]>;

/** How far two normalizations are from each other: means in deviations, deviations by ln of their ratio. */
function distanceOf(own: Numbers, before: Numbers): number {
  const distances = own.mean.flatMap((mean, channel) => {
    const [std = 1, otherMean = 0, otherStd = 1] = [own.std[channel], before.mean[channel], before.std[channel]];
    return [Math.abs(mean - otherMean) / otherStd, Math.abs(Math.log(std / otherStd))];
  });
  return Math.max(...distances);
}

/** A training on other data may take the numbers of the float run over, or measure nearly the same: that is no difference. */
const sameNormalization = 0.1;

function normalizationDiffers({ facts: { settings }, history, data }: DiagnosisInput): Found[] {
  if (settings === undefined || history === undefined) return [];
  const [own, before] = [settings.data.normalization, history.config.data.normalization];
  if (JSON.stringify(own) === JSON.stringify(before)) return [];
  const ownNumbers = typeof own === "object" ? own : data?.normalization;
  const numbersBefore = typeof before === "object" ? before : history.normalization;
  const areKnown = ownNumbers !== undefined && numbersBefore !== undefined;
  const distance = areKnown ? distanceOf(ownNumbers, numbersBefore) : 1;
  if (distance < sameNormalization) return [];
  return [
    {
      cause: "normalization-differs",
      title: `The inputs are normalized by other values than in ${history.folder}, where the weights come from: ${notQuantization}`,
      layers: [],
      evidence: [evidence("distance of the normalizations, in deviations", distance, sameNormalization, "above")],
      confidence: 0.9,
      remedy: {
        title: "normalize as the float run does",
        changes: { "data.normalization": typeof before === "object" ? "measure" : (before ?? "measure") },
      },
    },
  ];
}

function outlierSamples({ data }: DiagnosisInput): Found[] {
  if (data === undefined || data.areUnscaled === true) return [];
  const { train, test } = data;
  const factor = train.largest / train.typicalLargest;
  const share = train.outlierShare ?? Number.NaN;
  // Where the test samples have them too, they belong to the data.
  const others = logRamp(test.largest / test.typicalLargest, outlierFactor, 3 * outlierFactor);
  return [
    {
      cause: "outlier-samples",
      title: `Some training samples are up to ${factor.toFixed(0)} times as large as the others, and ranges that are calibrated on them are too wide: ${notQuantization}`,
      layers: [],
      evidence: [
        evidence("largest training sample / median one, by the largest magnitude", factor, outlierFactor, "above"),
        evidence("share of training samples that are outliers", share, 0.001, "above"),
        evidence("largest test sample / median one", test.largest / test.typicalLargest, outlierFactor, "below"),
      ],
      confidence: 0.93 * logRamp(factor, outlierFactor, 2 * outlierFactor) * (1 - 0.6 * others),
      remedy: { title: "remove these samples or limit their values, and calibrate again", changes: {} },
    },
  ];
}

function testShift({ data }: DiagnosisInput): Found[] {
  if (data === undefined) return [];
  const { train, test } = data;
  const shift = Math.abs(test.mean - train.mean) / train.deviation;
  const stretch = Math.abs(Math.log(test.deviation / train.deviation));
  return [
    {
      cause: "test-shift",
      title: `The test inputs have another mean or spread than the training inputs: ${notQuantization}`,
      layers: [],
      evidence: [
        evidence("|mean of the test inputs − of the training inputs| / deviation", shift, 0.2, "above"),
        evidence("|ln of the ratio of their deviations|", stretch, 0.2, "above"),
      ],
      confidence: 0.93 * ramp(Math.max(shift, stretch), 0.12, 0.3),
      remedy: null,
    },
  ];
}

/** Accuracy if every class were called what it is most often answered with; each answer counts for one class. */
function renamedAccuracy(confusion: readonly (readonly number[])[]): number {
  const entries = confusion.flatMap((row, label) => row.map((count, answer) => ({ label, answer, count })));
  const [labels, answers] = [new Set<number>(), new Set<number>()];
  let right = 0;
  for (const { label, answer, count } of entries.sort((a, b) => b.count - a.count)) {
    if (labels.has(label) || answers.has(answer)) continue;
    labels.add(label);
    answers.add(answer);
    right += count;
  }
  return right / entries.reduce((sum, { count }) => sum + count, 0);
}

function testLabels({ examination }: DiagnosisInput): Found[] {
  if (examination === undefined) return [];
  const { test, train } = examination;
  const renamed = renamedAccuracy(test.confusion);
  const gain = renamed - test.quantized.accuracy;
  return [
    {
      cause: "test-labels",
      title: `The test labels number the classes in another order than the training labels: ${notQuantization}`,
      layers: [],
      evidence: [
        evidence("test accuracy if the classes were renamed", renamed, 0.5, "above"),
        evidence("test accuracy", test.quantized.accuracy, 0.3, "below"),
        evidence("training accuracy", train.quantized.accuracy, 0.5, "above"),
      ],
      // A network that learned another order itself answers the training samples in that order too.
      confidence:
        0.97 * ramp(gain, 0.15, 0.35) * ramp(renamedAccuracy(train.confusion) - train.quantized.accuracy, 0.2, 0.1),
      remedy: null,
    },
  ];
}

function noisyLabels({ examination }: DiagnosisInput): Found[] {
  if (examination === undefined) return [];
  const { test, train } = examination;
  const gap = test.quantized.accuracy - train.quantized.accuracy;
  const middle = (test.quantized.accuracy + train.quantized.accuracy) / 2;
  // Two standard errors of the difference of two shares.
  const noise = 2 * Math.sqrt(Math.max(0.02, middle * (1 - middle)) * (1 / test.samples + 1 / train.samples));
  return [
    {
      cause: "noisy-labels",
      title: `The network is right more often on test samples than on training samples: many training labels are wrong, and ${notQuantization}`,
      layers: [],
      evidence: [
        evidence("test accuracy − training accuracy", gap, noise, "above"),
        evidence("training loss, evaluated", train.quantized.loss, test.quantized.loss, "above"),
      ],
      confidence: 0.93 * ramp(gap, noise, noise + 0.06),
      remedy: null,
    },
  ];
}

function imbalance({ data }: DiagnosisInput): Found[] {
  const [train, test] = [data?.train.shares, data?.test.shares];
  if (train === undefined || test === undefined) return [];
  const largest = Math.max(...train);
  const divergence = test.reduce((sum, share, label) => {
    const trained = Math.max(train[label] ?? 0, 1e-3);
    return share > 0 ? sum + share * Math.log(share / trained) : sum;
  }, 0);
  return [
    {
      cause: "class-imbalance",
      title: `${Math.round(100 * largest)} % of the training samples are of one class: ${notQuantization}`,
      layers: [],
      evidence: [
        evidence("share of the largest class in training", largest, 0.4, "above"),
        evidence("divergence of the test classes from the trained ones, nats", divergence, 0.3, "above"),
      ],
      confidence: 0.93 * ramp(divergence, 0.12, 0.45),
      remedy: null,
    },
  ];
}

function missingClasses({ data }: DiagnosisInput): Found[] {
  const [train, test] = [data?.train.shares, data?.test.shares];
  if (train === undefined || test === undefined) return [];
  const missing = test.flatMap((share, label) => (share > 0.01 && train[label] === 0 ? [label] : []));
  const share = missing.reduce((sum, label) => sum + (test[label] ?? 0), 0);
  if (missing.length === 0) return [];
  return [
    {
      cause: "missing-classes",
      title: `${missing.length === 1 ? "A class" : `${missing.length} classes`} of the test samples never occur in training: ${notQuantization}`,
      layers: [],
      evidence: [evidence("share of test samples whose class was never trained", share, 0.03, "above")],
      confidence: 0.97 * ramp(share, 0.01, 0.04),
      remedy: null,
    },
  ];
}

function augmentation({ facts: { recipe, settings } }: DiagnosisInput): Found[] {
  const padding = recipe?.cropPadding ?? 0;
  const size = settings?.data.size;
  const side = typeof size === "number" ? size : (size?.[0] ?? 28);
  return [
    {
      cause: "augmentation-too-strong",
      title: `Random crops move the images by up to ${padding} pixels and cut most of many away: ${notQuantization}`,
      layers: [],
      evidence: [evidence("pixels of padding / side of the image", padding / side, 0.25, "above")],
      confidence: 0.9 * ramp(padding / side, 0.18, 0.4),
      remedy: { title: "crop less", changes: { "data.crop": 2 } },
    },
  ];
}

function wrongTeacher({ examination, history, facts: { recipe } }: DiagnosisInput): Found[] {
  const teacher = examination?.teacher;
  if (teacher === undefined || recipe?.distillation === undefined || examination === undefined) return [];
  const expected = history?.accuracy ?? examination.test.float.accuracy;
  const worse = expected - teacher.accuracy;
  return [
    {
      cause: "wrong-teacher",
      title: `The teacher reaches ${(100 * teacher.accuracy).toFixed(1)} % on the test samples, less than the student's start: ${notQuantization}`,
      layers: [],
      evidence: [
        evidence("accuracy of the float run − of the teacher", worse, 0.05, "above"),
        evidence("weight of the teacher in the loss", recipe.distillation.weight, 0.3, "above"),
      ],
      confidence: 0.95 * ramp(worse, 0.03, 0.12) * ramp(recipe.distillation.weight, 0.1, 0.4),
      remedy: { title: "leave the teacher out", changes: { "train.distillation": null } },
    },
  ];
}

/** Costs no accuracy, but what is measured on such samples says little about new ones. */
function testOverlap({ data }: DiagnosisInput): Found[] {
  const repeated = data?.test.repeated ?? 0;
  return [
    {
      cause: "test-overlap",
      title: `${Math.round(100 * repeated)} % of the test samples lie in the training part too, so that the accuracy says little about new ones: ${notQuantization}`,
      layers: [],
      evidence: [evidence("share of the test samples that are training samples", repeated, 0.1, "above")],
      confidence: 0.85 * ramp(repeated, 0.05, 0.3),
      remedy: null,
    },
  ];
}

/** What data and task are to blame for. */
export const dataCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: [
    "input-scale",
    "normalization-differs",
    "outlier-samples",
    "test-shift",
    "class-imbalance",
    "missing-classes",
    "augmentation-too-strong",
    "test-overlap",
  ],
  actsAtStart: ["input-scale", "normalization-differs", "outlier-samples"],
  explains: {
    "input-scale": [
      "bad-initial-scale",
      "random-start",
      "learning-rate-too-high",
      "outlier-range",
      "gradient-mismatch",
      "weak-start",
      ...brokenTraining,
    ],
    "normalization-differs": [
      "bad-initial-scale",
      "random-start",
      "learning-rate-too-high",
      "outlier-range",
      "input-scale",
      "weak-start",
      ...brokenTraining,
    ],
    "test-shift": ["batch-norm-stale"],
    "outlier-samples": [
      "test-shift",
      "input-scale",
      "bad-initial-scale",
      "outlier-range",
      "learning-rate-too-high",
      "gradient-mismatch",
      "noisy-labels",
      ...brokenTraining,
    ],
    "test-labels": ["batch-norm-stale"],
    "noisy-labels": [
      "learning-rate-too-high",
      "learning-rate-too-low",
      "capacity",
      "gradient-mismatch",
      "random-start",
      "weak-start",
    ],
    "class-imbalance": ["random-start", "gradient-mismatch", "weak-start"],
    "wrong-teacher": [
      "learning-rate-too-high",
      "noisy-labels",
      "weak-start",
      "gradient-mismatch",
      "random-start",
      "learning-rate-too-low",
    ],
  },
  find,
};
