/** Accuracy and loss from a network's outputs, in float64. */
import { float32Data, type Tensor } from "../graph/tensor.ts";

export interface BatchMetrics {
  /** Samples whose largest output is that of their class. */
  readonly correct: number;
  /** Sum of the samples' cross-entropies. */
  readonly loss: number;
}

/** @param valid Only the first samples of the batch count. */
export function classificationMetrics(logits: Tensor, labels: ArrayLike<number>, valid: number): BatchMetrics {
  const data = float32Data(logits);
  const classes = logits.shape[1] ?? 1;
  let correct = 0;
  let loss = 0;
  for (let sample = 0; sample < valid; sample++) {
    const start = sample * classes;
    let best = 0;
    for (let k = 1; k < classes; k++) if ((data[start + k] ?? 0) > (data[start + best] ?? 0)) best = k;
    const largest = data[start + best] ?? 0;
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += Math.exp((data[start + k] ?? 0) - largest);
    const label = labels[sample] ?? 0;
    // A network that has diverged gives NaN, whose comparisons are all false: that is not a correct answer.
    if (best === label && !Number.isNaN(largest)) correct++;
    loss += largest + Math.log(sum) - (data[start + label] ?? 0);
  }
  return { correct, loss };
}
