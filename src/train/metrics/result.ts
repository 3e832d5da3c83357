/** The result of an evaluation, and what adds it up. */
import type { TargetArray } from "../../data/dataset/dataset.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { MetricName } from "../../runs/ablation.ts";

/** The result of an evaluation. */
export interface EvaluationResult {
  readonly metric: MetricName;
  /** The value of that metric, whichever it is. */
  readonly accuracy: number;
  /** Classes: mean cross-entropy, to a teacher the mean divergence KL(teacher ‖ network). Values: mean squared error. */
  readonly loss: number;
  readonly count: number;
  /** Share of the samples whose class is among the five largest outputs; of six classes and more. */
  readonly top5Accuracy?: number;
  /** Of values. */
  readonly meanAbsoluteError?: number;
  /** Of values, to a teacher: the norm of the differences by the norm of the teacher's outputs. */
  readonly relativeError?: number;
  /** Of classes of positions: how many positions counted. */
  readonly positions?: number;
  /** Of masked and of next tokens: e to the power of the loss. */
  readonly perplexity?: number;
  /** Of tokens: the mean over the classes of F1, and F1 of each; null for a class that occurs nowhere. */
  readonly macroF1?: number;
  readonly classF1?: readonly (number | null)[];
  /** Of regions: the share of the positions whose class came out right, and the IoU of each class. */
  readonly positionAccuracy?: number;
  readonly classIoU?: readonly (number | null)[];
  /** Of boxes: the average precision at an IoU of 0.5, and of each class the mean over the thresholds; null without a box. */
  readonly averagePrecision50?: number;
  readonly classAveragePrecision?: readonly (number | null)[];
  /** Of an autoencoder's labelled samples: R² of the reconstruction. */
  readonly reconstruction?: number;
}

/** Adds the metrics of batches up. */
export interface MetricTotals {
  /**
   * @param targets As the data set has them, or the teacher's outputs in the shape of the prediction.
   * @param valid Only the first samples of the batch count.
   * @param labels What is known of samples that are their own targets.
   */
  add(prediction: Tensor, targets: TargetArray, valid: number, labels?: TargetArray): void;
  result(): EvaluationResult;
}
