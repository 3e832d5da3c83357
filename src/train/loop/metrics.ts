/** Accuracy and loss from a network's outputs, in float64. */
import type { OutputKind } from "../../compile/build/outputs.ts";
import type { LabelType, TargetArray } from "../../data/dataset/dataset.ts";
import { float32Data, type Tensor } from "../../ir/tensor.ts";
import { BoxTotals } from "../metrics/boxes/totals.ts";
import { DenseTotals } from "../metrics/dense.ts";
import { areaUnderCurve } from "../metrics/ranking.ts";
import type { EvaluationResult, MetricTotals } from "../metrics/result.ts";

export type { MetricName } from "../../runs/ablation.ts";
export type { EvaluationResult, MetricTotals } from "../metrics/result.ts";

/** Outputs that a right answer may be among for the top-5 accuracy. */
const topCount = 5;

/** Counts and sums over a batch that metrics are made of. */
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

/** The totals for what a data set asks for; where it asks for nothing, for a teacher's outputs of this kind. */
export function metricTotals(target: LabelType, teacher: OutputKind = "classes"): MetricTotals {
  if (target.kind === "classes") return new ClassificationTotals();
  if (target.kind === "values") return new RegressionTotals("r2");
  if (target.kind === "dense") return new DenseTotals(target);
  if (target.kind === "boxes") return new BoxTotals(target);
  if (target.kind === "input") return new ReconstructionTotals(target.hasAnomalies);
  return teacher === "classes" ? new AgreementTotals() : new RegressionTotals("teacherR2");
}

/** Probabilities as the scores that they are the Softmax of. One that is 0 in float32 counts as the smallest above. */
export function scoresOf(probabilities: Tensor): Tensor {
  const smallest = 2 ** -126;
  return {
    ...probabilities,
    data: float32Data(probabilities).map((probability) => Math.log(Math.max(probability, smallest))),
  };
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
    return { metric: "accuracy", accuracy: this.#correct / count, loss: this.#loss / count, count, ...top5 };
  }
}

/** Of every row of the last axis: whether both name the same class, and how far their distributions are apart. */
class AgreementTotals implements MetricTotals {
  #count = 0;
  #rows = 0;
  #same = 0;
  #divergence = 0;

  add(prediction: Tensor, teacher: TargetArray, valid: number): void {
    const data = float32Data(prediction);
    const classes = prediction.shape.at(-1) ?? 1;
    const rows = (valid * data.length) / (prediction.shape[0] ?? 1) / classes;
    for (let row = 0; row < rows; row++) {
      const own = logProbabilities(data, row * classes, classes);
      const wanted = logProbabilities(teacher, row * classes, classes);
      if (own.best === wanted.best) this.#same++;
      for (let k = 0; k < classes; k++) {
        const target = wanted.values[k] ?? 0;
        this.#divergence += Math.exp(target) * (target - (own.values[k] ?? 0));
      }
    }
    this.#count += valid;
    this.#rows += rows;
  }

  result(): EvaluationResult {
    const [rows, count] = [this.#rows, this.#count];
    return { metric: "agreement", accuracy: this.#same / rows, loss: this.#divergence / rows, count };
  }
}

/** The log-softmax of one row, and its largest entry; -1 where that is NaN, which agrees with nothing. */
function logProbabilities(
  data: ArrayLike<number>,
  start: number,
  classes: number,
): { readonly values: Float64Array; readonly best: number } {
  const values = new Float64Array(classes);
  let best = 0;
  for (let k = 0; k < classes; k++) {
    values[k] = data[start + k] ?? 0;
    if ((values[k] ?? 0) > (values[best] ?? 0)) best = k;
  }
  const largest = values[best] ?? 0;
  const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
  const shift = largest + Math.log(sum);
  return { values: values.map((value) => value - shift), best: Number.isNaN(largest) ? -1 : best };
}

/** How well samples are reconstructed, and how well the error tells anomalies. */
class ReconstructionTotals implements MetricTotals {
  readonly #whole = new RegressionTotals("reconstruction");
  readonly #hasAnomalies: boolean;
  readonly #errors: number[] = [];
  readonly #labels: number[] = [];

  constructor(hasAnomalies: boolean) {
    this.#hasAnomalies = hasAnomalies;
  }

  add(prediction: Tensor, targets: TargetArray, valid: number, labels?: TargetArray): void {
    this.#whole.add(prediction, targets, valid);
    if (!this.#hasAnomalies || labels === undefined) return;
    const data = float32Data(prediction);
    const length = data.length / (prediction.shape[0] ?? 1);
    for (let sample = 0; sample < valid; sample++) {
      let squares = 0;
      for (let i = sample * length; i < (sample + 1) * length; i++)
        squares += ((data[i] ?? 0) - (targets[i] ?? 0)) ** 2;
      this.#errors.push(squares / length);
      this.#labels.push(labels[sample] ?? 0);
    }
  }

  result(): EvaluationResult {
    const whole = this.#whole.result();
    if (!this.#hasAnomalies) return whole;
    const accuracy = areaUnderCurve(this.#errors, this.#labels);
    return { ...whole, metric: "auc", accuracy, reconstruction: whole.accuracy };
  }
}

class RegressionTotals implements MetricTotals {
  readonly #metric: "r2" | "teacherR2" | "reconstruction";
  #count = 0;
  #outputs = 1;
  #squares = 0;
  #absolutes = 0;
  #targetSquares = 0;
  /** For each output the mean of the targets and the sum of their squared distances from it (Welford, 1962). */
  #means = new Float64Array(0);
  #spread = 0;

  constructor(metric: "r2" | "teacherR2" | "reconstruction") {
    this.#metric = metric;
  }

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
        this.#targetSquares += target * target;
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
    const relative = Math.sqrt(this.#squares / this.#targetSquares);
    return {
      metric: this.#metric,
      accuracy: Number.isNaN(this.#squares) ? Number.NaN : explained,
      loss: this.#squares / values,
      count: this.#count,
      meanAbsoluteError: this.#absolutes / values,
      ...(this.#metric === "teacherR2" && this.#targetSquares > 0 ? { relativeError: relative } : {}),
    };
  }
}
