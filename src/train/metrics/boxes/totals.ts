/** Adds up how boxes were found. */
import type { TargetArray } from "../../../data/dataset/dataset.ts";
import { type BoxTarget, boxesIn, cellsOf } from "../../../data/tasks/boxes.ts";
import { float32Data, type Tensor } from "../../../ir/tensor.ts";
import type { EvaluationResult, MetricTotals } from "../result.ts";
import { averagePrecision, type ImageBoxes } from "./average-precision.ts";
import { boxLossSums, decodeBoxes } from "./decode.ts";

/** The totals of boxes; the metric is COCO's average precision. */
export class BoxTotals implements MetricTotals {
  readonly #target: BoxTarget;
  readonly #images: ImageBoxes[] = [];
  #scores = 0;
  #boxes = 0;
  #positives = 0;

  constructor(target: BoxTarget) {
    this.#target = target;
  }

  add(prediction: Tensor, targets: TargetArray, valid: number): void {
    const cells = cellsOf(this.#target);
    const data = float32Data(prediction);
    const length = data.length / (prediction.shape[0] ?? 1);
    const targetLength = targets.length / (prediction.shape[0] ?? 1);
    const { classes } = this.#target;
    for (let sample = 0; sample < valid; sample++) {
      const found = decodeBoxes(data, sample * length, cells, classes.length);
      this.#images.push({ boxes: boxesIn(targets, sample, this.#target), found });
      const sums = boxLossSums(data, sample * length, targets, sample * targetLength, this.#target, cells.length);
      this.#scores += sums.scores;
      this.#boxes += sums.boxes;
      this.#positives += sums.positives;
    }
  }

  result(): EvaluationResult {
    const { mean, at50, classes } = averagePrecision(this.#images, this.#target.classes.length);
    const loss = (this.#scores + this.#boxes) / Math.max(1, this.#positives);
    const common = { metric: "meanAveragePrecision", loss, count: this.#images.length } as const;
    return { ...common, accuracy: mean, averagePrecision50: at50, classAveragePrecision: classes };
  }
}
