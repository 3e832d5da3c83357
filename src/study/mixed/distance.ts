/**
 * How far a quantized network's outputs are from the float network's: the loss against what the float network says, less
 * what that loss is at best. It needs no labels and is 0 for no quantization at all.
 *
 * For classes it is the Kullback-Leibler divergence of the predicted distributions in nats (the rise of the
 * cross-entropy with the float network as teacher), for values the mean squared difference.
 */
import type { LabelType } from "../../data/dataset/dataset.ts";
import { float32Data, type Tensor } from "../../ir/tensor.ts";

/** How far outputs move: by KL divergence or by squared error. */
export type DistanceKind = "klDivergence" | "squaredError";

/** Returns the distance by which outputs for a target are compared. */
export function distanceKindOf(target: LabelType): DistanceKind {
  return target.kind === "classes" ? "klDivergence" : "squaredError";
}

/** The sum over the samples of a batch; infinite where the outputs are not finite. Both have the shape [N, …]. */
export function outputDistance(kind: DistanceKind, reference: Tensor, outputs: Tensor): number {
  const [p, q] = [float32Data(reference), float32Data(outputs)];
  const samples = reference.shape[0] ?? 1;
  const width = p.length / Math.max(samples, 1);
  let sum = 0;
  for (let start = 0; start < p.length; start += width) {
    const [a, b] = [p.subarray(start, start + width), q.subarray(start, start + width)];
    sum += kind === "klDivergence" ? divergence(a, b) : meanSquare(a, b);
  }
  return Number.isFinite(sum) ? sum : Number.POSITIVE_INFINITY;
}

/** KL(softmax(a) ‖ softmax(b)). */
function divergence(a: Float32Array, b: Float32Array): number {
  const [logA, logB] = [logSumExp(a), logSumExp(b)];
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const logP = (a[i] ?? 0) - logA;
    sum += Math.exp(logP) * (logP - ((b[i] ?? 0) - logB));
  }
  // Rounding may leave a little less than nothing.
  return Number.isNaN(sum) ? sum : Math.max(sum, 0);
}

function logSumExp(values: Float32Array): number {
  const largest = values.reduce((max, value) => Math.max(max, value), Number.NEGATIVE_INFINITY);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

function meanSquare(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] ?? 0) - (b[i] ?? 0)) ** 2;
  return sum / Math.max(a.length, 1);
}
