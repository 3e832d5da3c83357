/** Accuracy and loss from a network's outputs, in float64. */
import type { Target, TargetArray } from "../data/dataset.ts";
import { float32Data, type Tensor } from "../graph/tensor.ts";

/** Outputs that a right answer may be among for the top-5 accuracy. */
const topCount = 5;

export interface BatchMetrics {
  /** Samples whose largest output is that of their class. */
  readonly correct: number;
  /** Samples whose class is among the five largest outputs. */
  readonly correctTop5: number;
  /** Sum of the samples' cross-entropies. */
  readonly loss: number;
}

/** @param valid Only the first samples of the batch count. */
export function classificationMetrics(logits: Tensor, labels: ArrayLike<number>, valid: number): BatchMetrics {
  const data = float32Data(logits);
  const classes = logits.shape[1] ?? 1;
  let correct = 0;
  let correctTop5 = 0;
  let loss = 0;
  for (let sample = 0; sample < valid; sample++) {
    const start = sample * classes;
    const label = labels[sample] ?? 0;
    const own = data[start + label] ?? 0;
    let best = 0;
    let larger = 0;
    for (let k = 0; k < classes; k++) {
      const output = data[start + k] ?? 0;
      if (output > (data[start + best] ?? 0)) best = k;
      // Of equal outputs the first counts as the larger, as in `best`.
      if (output > own || (output === own && k < label)) larger++;
    }
    const largest = data[start + best] ?? 0;
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += Math.exp((data[start + k] ?? 0) - largest);
    // A network that has diverged gives NaN, whose comparisons are all false: that is not a correct answer.
    if (best === label && !Number.isNaN(largest)) correct++;
    if (larger < topCount && !Number.isNaN(own)) correctTop5++;
    loss += largest + Math.log(sum) - own;
  }
  return { correct, correctTop5, loss };
}

/** What an evaluation says. */
export interface EvaluationResult {
  /**
   * Classes: the share of the samples that came out right, 0 to 1. Values: the coefficient of determination R², the
   * share of the targets' variance that is explained: 1 is perfect, 0 is as good as their mean, and it may be negative.
   */
  readonly accuracy: number;
  /** Classes: mean cross-entropy. Values: mean squared error. */
  readonly loss: number;
  readonly count: number;
  /** Share of the samples whose class is among the five largest outputs; of six classes and more. */
  readonly top5Accuracy?: number;
  /** Of values. */
  readonly meanAbsoluteError?: number;
}

/** Adds the metrics of batches up. */
export interface MetricTotals {
  /** @param valid Only the first samples of the batch count. */
  add(prediction: Tensor, targets: TargetArray, valid: number): void;
  result(): EvaluationResult;
}

/** The totals for what a data set asks for. */
export function metricTotals(target: Target): MetricTotals {
  return target.kind === "values" ? new RegressionTotals() : new ClassificationTotals();
}

class ClassificationTotals implements MetricTotals {
  #count = 0;
  #correct = 0;
  #correctTop5 = 0;
  #loss = 0;
  #classes = 0;

  add(prediction: Tensor, targets: TargetArray, valid: number): void {
    const { correct, correctTop5, loss } = classificationMetrics(prediction, targets, valid);
    this.#count += valid;
    this.#correct += correct;
    this.#correctTop5 += correctTop5;
    this.#loss += loss;
    this.#classes = prediction.shape[1] ?? 1;
  }

  result(): EvaluationResult {
    const count = this.#count;
    const top5 = this.#classes > topCount ? { top5Accuracy: this.#correctTop5 / count } : {};
    return { accuracy: this.#correct / count, loss: this.#loss / count, count, ...top5 };
  }
}

class RegressionTotals implements MetricTotals {
  #count = 0;
  #outputs = 1;
  #squares = 0;
  #absolutes = 0;
  /** For each output the mean of the targets and the sum of their squared distances from it (Welford, 1962). */
  #means = new Float64Array(0);
  #spread = 0;

  add(prediction: Tensor, targets: TargetArray, valid: number): void {
    const data = float32Data(prediction);
    const outputs = targets.length / (prediction.shape[0] ?? 1);
    if (this.#means.length !== outputs) this.#means = new Float64Array(outputs);
    this.#outputs = outputs;
    for (let sample = 0; sample < valid; sample++) {
      this.#count++;
      for (let output = 0; output < outputs; output++) {
        const target = targets[sample * outputs + output] ?? 0;
        const error = (data[sample * outputs + output] ?? 0) - target;
        this.#squares += error * error;
        this.#absolutes += Math.abs(error);
        const before = this.#means[output] ?? 0;
        const mean = before + (target - before) / this.#count;
        this.#means[output] = mean;
        this.#spread += (target - before) * (target - mean);
      }
    }
  }

  result(): EvaluationResult {
    const values = this.#count * this.#outputs;
    // Targets that are all the same leave nothing to explain: only a perfect prediction is as good as their mean.
    const explained = this.#spread > 0 ? 1 - this.#squares / this.#spread : this.#squares === 0 ? 1 : 0;
    return {
      accuracy: Number.isNaN(this.#squares) ? Number.NaN : explained,
      loss: this.#squares / values,
      count: this.#count,
      meanAbsoluteError: this.#absolutes / values,
    };
  }
}
