/**
 * Metrics of a class for each position: accuracy, F1 and intersection over union of each class, perplexity.
 *
 * Of class c with t right, p wrongly given and n missed positions: F1 = 2t / (2t + p + n), IoU = t / (t + p + n). Their means are over the
 * classes that occur in the targets or in the answers, as scikit-learn's macro average and torchvision's reference scripts have them.
 */
import { type DenseLayout, denseLayout } from "../../compile/build/dense.ts";
import { type DenseMeaning, ignoredLabel, type LabelType, type TargetArray } from "../../data/dataset/dataset.ts";
import { float32Data, type Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import type { MetricName } from "../../runs/ablation.ts";
import type { EvaluationResult, MetricTotals } from "./result.ts";

/** The targets of positions. */
type DenseTarget = LabelType & { readonly kind: "dense" };

const metricOfMeaning: Readonly<Record<DenseMeaning, MetricName>> = {
  tokens: "tokenAccuracy",
  regions: "meanIoU",
  "masked tokens": "maskedAccuracy",
  "next tokens": "nextTokenAccuracy",
};

/** Returns the metric of a class for each position. */
export function denseMetric({ meaning }: DenseTarget): MetricName {
  return metricOfMeaning[meaning];
}

/** Adds up how positions were classified. */
export class DenseTotals implements MetricTotals {
  readonly #target: DenseTarget;
  #samples = 0;
  #positions = 0;
  #correct = 0;
  #loss = 0;
  /** Of each class: positions right, given, and there are. */
  #right = new Float64Array(0);
  #given = new Float64Array(0);
  #there = new Float64Array(0);

  constructor(target: DenseTarget) {
    this.#target = target;
  }

  add(prediction: Tensor, targets: TargetArray, valid: number): void {
    const each = prediction.shape.slice(1);
    const layout = denseLayout(each, this.#target.shape);
    if (layout === undefined) return;
    const { classes, positions, isLastOnly } = layout;
    if (this.#right.length !== classes) {
      this.#right = new Float64Array(classes);
      this.#given = new Float64Array(classes);
      this.#there = new Float64Array(classes);
    }
    const count = elementCount(this.#target.shape);
    const data = float32Data(prediction);
    for (let sample = 0; sample < valid; sample++) {
      for (let position = 0; position < positions; position++) {
        const label = targets[sample * count + (isLastOnly ? count - 1 : position)] ?? ignoredLabel;
        if (label >= 0) this.#position(data, sample, position, label, layout);
      }
    }
    this.#samples += valid;
  }

  #position(data: Float32Array, sample: number, position: number, label: number, layout: DenseLayout): void {
    const { axis, classes, positions, isLastOnly } = layout;
    // Scores of one position lie next to each other where the classes are the last axis, else a plane apart.
    const isFirst = axis === 0 && !isLastOnly;
    const start = sample * positions * classes + (isFirst ? position : position * classes);
    const stride = isFirst ? positions : 1;
    let best = 0;
    for (let k = 1; k < classes; k++) {
      if ((data[start + k * stride] ?? 0) > (data[start + best * stride] ?? 0)) best = k;
    }
    const largest = data[start + best * stride] ?? 0;
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += Math.exp((data[start + k * stride] ?? 0) - largest);
    this.#positions++;
    this.#loss += largest + Math.log(sum) - (data[start + label * stride] ?? 0);
    this.#there[label] = (this.#there[label] ?? 0) + 1;
    if (Number.isNaN(largest)) return;
    this.#given[best] = (this.#given[best] ?? 0) + 1;
    if (best !== label) return;
    this.#correct++;
    this.#right[label] = (this.#right[label] ?? 0) + 1;
  }

  result(): EvaluationResult {
    const { meaning } = this.#target;
    const accuracy = this.#correct / this.#positions;
    const loss = this.#loss / this.#positions;
    const common = { metric: denseMetric(this.#target), loss, count: this.#samples, positions: this.#positions };
    if (meaning === "masked tokens" || meaning === "next tokens") {
      return { ...common, accuracy, perplexity: Math.exp(loss) };
    }
    if (meaning === "regions") {
      const perClass = this.#shares((right, given, there) => right / (given + there - right));
      return { ...common, accuracy: meanOf(perClass), positionAccuracy: accuracy, classIoU: perClass };
    }
    const perClass = this.#shares((right, given, there) => (2 * right) / (given + there));
    return { ...common, accuracy, macroF1: meanOf(perClass), classF1: perClass };
  }

  /** A share for each class of the data; null for one that occurs nowhere. */
  #shares(share: (right: number, given: number, there: number) => number): (number | null)[] {
    return Array.from(this.#right, (right, k) => {
      const [given, there] = [this.#given[k] ?? 0, this.#there[k] ?? 0];
      return given + there === 0 ? null : share(right, given, there);
    });
  }
}

function meanOf(values: readonly (number | null)[]): number {
  const known = values.flatMap((value) => value ?? []);
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}
