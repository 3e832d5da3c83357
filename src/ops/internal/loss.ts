/** Losses, built of operators whose gradients are known. Each returns a scalar, the mean over the batch. */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { add, multiply, negate, subtract } from "../families/elementwise.ts";
import { reduceMean, reduceSum } from "../families/reduce.ts";
import { oneHot } from "../families/shape/indexing.ts";
import { logSoftmax } from "../families/softmax.ts";

/**
 * Cross-entropy of logits[N,C] with class labels[N] (int64), as `torch.nn.CrossEntropyLoss`: with label smoothing ε the
 * target is (1 − ε)·onehot + ε/C.
 */
export function crossEntropy(b: GraphBuilder, logits: Value, labels: Value, labelSmoothing = 0): Value {
  const classes = logits.type.shape[1] ?? 0;
  const hard = oneHot(b, labels, classes);
  const targets = labelSmoothing === 0 ? hard : add(b, multiply(b, hard, 1 - labelSmoothing), labelSmoothing / classes);
  return softTargetCrossEntropy(b, logits, targets);
}

/** Cross-entropy of logits[N,C] with target distributions[N,C]. */
export function softTargetCrossEntropy(b: GraphBuilder, logits: Value, targets: Value): Value {
  const perSample = reduceSum(b, multiply(b, targets, logSoftmax(b, logits, 1)), [1], { keepDimensions: false });
  return negate(b, reduceMean(b, perSample, [0], { keepDimensions: false }));
}

/** Mean of squared differences over all elements, as `torch.nn.MSELoss`. */
export function meanSquaredError(b: GraphBuilder, prediction: Value, target: Value): Value {
  const difference = subtract(b, prediction, target);
  return reduceMean(b, multiply(b, difference, difference), undefined, { keepDimensions: false });
}
