/** The recipe of the optimizer: decay, momentum, schedule, length, batch and groups (rows 21 to 27). */

import { median } from "../../../base/statistics.ts";
import { type CauseFamily, type CauseFinding, evidence, logRamp, ramp } from "../../finding.ts";
import type { DiagnosisInput } from "../../input.ts";
import { brokenTraining } from "../consequences.ts";
import { meanOf, wayOf } from "../view.ts";

/** The rows of docs/diagnosis.md. */
const rows = {
  "weight-decay-too-strong": 21,
  "momentum-too-high": 22,
  "learning-rate-not-lowered": 23,
  "too-few-steps": 24,
  "batch-too-small": 25,
  "label-smoothing": 26,
  "batch-norm-rate": 27,
  "weights-not-trained": 28,
} as const;
type Found = CauseFinding<keyof typeof rows>;

const rate = "train.optimizer.learningRate";

function find(input: DiagnosisInput): Found[] {
  return [
    ...weightDecay(input),
    ...momentum(input),
    ...notLowered(input),
    ...tooFewSteps(input),
    ...smallBatch(input),
    ...labelSmoothing(input),
    ...batchNormRate(input),
    ...weightsNotTrained(input),
  ];
}

/** Steps of the whole run; NaN where the recipe does not say. */
export function stepsOf({ facts: { recipe }, data, records }: DiagnosisInput): number {
  const last = records.at(-1);
  if (recipe === undefined) return Number.NaN;
  if (data !== undefined && recipe.batchSize !== undefined) {
    return recipe.epochs * Math.floor(data.train.count / recipe.batchSize);
  }
  return last === undefined || last.epoch === 0 ? Number.NaN : (last.step / last.epoch) * recipe.epochs;
}

/**
 * Share of a parameter that a decay takes away over a run whose rate falls to 0: λ·η a step, which momentum multiplies by
 * 1/(1 − m). Adam's decay is a part of its gradient, so that a decay which outweighs the gradient is a step of full size.
 */
export function decayed(input: DiagnosisInput, decay: number): number {
  const { recipe } = input.facts;
  const optimizer = recipe?.optimizer;
  if (recipe === undefined || optimizer === undefined) return Number.NaN;
  const gain = optimizer.name === "sgd" ? 1 / Math.max(1e-3, 1 - optimizer.momentum) : 1;
  const share = (decay * recipe.learningRate * gain * stepsOf(input)) / 2;
  return optimizer.name === "adam" ? Math.max(share, decay * 10) : share;
}

function weightDecay(input: DiagnosisInput): Found[] {
  const { recipe } = input.facts;
  const decay = recipe?.weightDecay?.weights ?? 0;
  const share = decayed(input, decay);
  if (!(share > 0)) return [];
  const norms = (index: number) => median(input.records.at(index)?.weights.map(({ norm }) => norm) ?? []);
  return [
    {
      cause: "weight-decay-too-strong",
      title: `The weight decay of ${decay} pulls the weights towards 0 faster than the training holds them`,
      layers: [],
      evidence: [
        evidence("weight decay", decay, 0.01, "above"),
        evidence("share of a weight that it takes away over the run", share, 0.2, "above"),
        evidence("norm of the weights / at the start", norms(-1) / norms(0), 0.9, "below"),
      ],
      // A usual decay is none, however the momentum multiplies it.
      confidence: 0.92 * logRamp(share, 0.08, 0.4) * logRamp(decay, 1e-3, 5e-3),
      remedy: { title: "lower the weight decay", changes: { "train.optimizer.weightDecay": 1e-4 } },
    },
  ];
}

function momentum(input: DiagnosisInput): Found[] {
  const { optimizer } = input.facts.recipe ?? {};
  if (optimizer?.name !== "sgd") return [];
  const value = optimizer.momentum;
  return [
    {
      cause: "momentum-too-high",
      title: `The momentum of ${value} multiplies the learning rate by ${Math.round(1 / Math.max(1e-3, 1 - value))}`,
      layers: [],
      evidence: [
        evidence("momentum", value, 0.98, "above"),
        evidence("‖w − w₀‖ / ‖w₀‖", wayOf(input.records.at(-1)), 0.4, "above"),
      ],
      confidence: 0.9 * ramp(value, 0.965, 0.982),
      remedy: { title: "lower the momentum", changes: { "train.optimizer.momentum": 0.9 } },
    },
  ];
}

function notLowered(input: DiagnosisInput): Found[] {
  const { recipe } = input.facts;
  if (recipe?.schedule?.name !== "constant") return [];
  const update = meanOf(input.records.slice(-3).map(({ weights }) => median(weights.map((weight) => weight.update))));
  return [
    {
      cause: "learning-rate-not-lowered",
      title: "The learning rate stays as it is to the end, and the weights still move",
      layers: [],
      evidence: [
        evidence("‖Δw‖ / ‖w‖ a step at the end", update, 0.003, "above"),
        evidence("‖w − w₀‖ / ‖w₀‖", wayOf(input.records.at(-1)), 0.4, "above"),
      ],
      confidence: 0.85 * logRamp(update, 0.0005, 0.003),
      remedy: {
        title: "let the learning rate fall to 0 (cosine)",
        changes: {
          "train.schedule.name": "cosine",
          [rate]: recipe.learningRate,
        },
      },
    },
  ];
}

function tooFewSteps(input: DiagnosisInput): Found[] {
  const { recipe } = input.facts;
  const steps = stepsOf(input);
  if (recipe === undefined) return [];
  return [
    {
      cause: "too-few-steps",
      title: `The run is only ${steps} steps long: too few for quantizers and weights to settle`,
      layers: [],
      evidence: [evidence("steps", steps, 30, "below")],
      confidence: 0.9 * logRamp(steps, 45, 20),
      remedy: {
        title: "train longer",
        changes: { "train.epochs": Math.max(recipe.epochs + 1, Math.ceil((recipe.epochs * 150) / Math.max(1, steps))) },
      },
    },
  ];
}

function smallBatch({ facts: { recipe }, records }: DiagnosisInput): Found[] {
  const size = recipe?.batchSize;
  const norms = records.at(-1)?.norms.length ?? 0;
  if (size === undefined || norms === 0 || recipe?.freezeBatchNormAfterEpoch === 0) return [];
  return [
    {
      cause: "batch-too-small",
      title: `A batch of ${size} samples is too small for the statistics of batch normalization`,
      layers: [],
      evidence: [evidence("samples in a batch", size, 8, "below"), evidence("batch normalizations", norms, 1, "above")],
      confidence: 0.92 * ramp(size, 9, 5),
      remedy: { title: "use larger batches", changes: { "train.batchSize": 32 } },
    },
  ];
}

function labelSmoothing({ facts: { recipe } }: DiagnosisInput): Found[] {
  const smoothing = recipe?.loss?.name === "crossEntropy" ? recipe.loss.labelSmoothing : 0;
  if (smoothing === 0) return [];
  return [
    {
      cause: "label-smoothing",
      title: `Label smoothing of ${smoothing} leaves the right class little more than the others`,
      layers: [],
      evidence: [evidence("label smoothing", smoothing, 0.4, "above")],
      confidence: 0.9 * ramp(smoothing, 0.25, 0.6),
      remedy: { title: "smooth the labels less", changes: { "train.labelSmoothing": 0.1 } },
    },
  ];
}

function batchNormRate({ facts: { recipe }, records }: DiagnosisInput): Found[] {
  const factor = recipe?.learningRateScale?.normalization ?? 1;
  const last = records.at(-1)?.norms ?? [];
  if (last.length === 0) return [];
  const moved = median(last.map(({ scaleDistance, shiftDistance }) => Math.max(scaleDistance, shiftDistance)));
  return [
    {
      cause: "batch-norm-rate",
      title: `The learning rate of batch normalization is ${factor} times that of the weights`,
      layers: [],
      evidence: [
        evidence("learning rate of batch normalization / of the weights", factor, 10, "above"),
        evidence("‖γ − γ₀‖ / ‖γ₀‖", moved, 0.5, "above"),
      ],
      confidence: 0.9 * logRamp(factor, 5, 40),
      remedy: {
        title: "train batch normalization as fast as the weights",
        changes: { "train.optimizer.groups.batchNorm.learningRateScale": 1 },
      },
    },
  ];
}

function weightsNotTrained(input: DiagnosisInput): Found[] {
  const factor = input.facts.recipe?.learningRateScale?.weights ?? 1;
  if (factor >= 1) return [];
  const distance = wayOf(input.records.at(-1));
  return [
    {
      cause: "weights-not-trained",
      title:
        factor === 0
          ? "The weights are not trained: their learning rate is 0"
          : `The weights are hardly trained: their learning rate is ${factor} times that of the run`,
      layers: [],
      evidence: [
        evidence("learning rate of the weights / of the run", factor, 0.1, "below"),
        evidence("‖w − w₀‖ / ‖w₀‖", distance, 0.01, "below"),
      ],
      confidence: 0.92 * (factor === 0 ? 1 : logRamp(factor, 0.2, 0.02)),
      remedy: { title: "train the weights", changes: { "train.optimizer.groups.weights.learningRateScale": 1 } },
    },
  ];
}

/** Recipes that do not suit a training. */
export const optimizerCauses: CauseFamily<keyof typeof rows> = {
  rows,
  early: [
    "weight-decay-too-strong",
    "momentum-too-high",
    "too-few-steps",
    "batch-too-small",
    "label-smoothing",
    "batch-norm-rate",
    "weights-not-trained",
  ],
  actsAtStart: ["momentum-too-high", "too-few-steps"],
  explains: {
    "weight-decay-too-strong": [
      "learning-rate-too-low",
      "gradient-mismatch",
      "outlier-range",
      "bad-initial-scale",
      "saturated",
      "learning-rate-too-high",
      ...brokenTraining,
    ],
    "too-few-steps": ["batch-norm-momentum", "learning-rate-too-low", "batch-norm-stale", "gradient-mismatch"],
    "momentum-too-high": ["learning-rate-too-high", "outlier-range", "gradient-mismatch", ...brokenTraining],
    "batch-too-small": [
      "learning-rate-too-high",
      "outlier-range",
      "batch-norm-stale",
      "random-start",
      "gradient-mismatch",
    ],
    "learning-rate-not-lowered": ["warm-up-missing", "oscillation"],
    "batch-norm-rate": ["learning-rate-too-high", "outlier-range", "gradient-mismatch", ...brokenTraining],
    "weights-not-trained": ["learning-rate-too-low", "capacity"],
  },
  find,
};
