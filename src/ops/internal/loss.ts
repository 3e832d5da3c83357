/** Losses, built of operators whose gradients are known. Each returns a scalar, the mean over the batch. */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { int64Tensor } from "../../ir/tensor.ts";
import { cast } from "../families/cast.ts";
import { greaterOrEqual } from "../families/comparison.ts";
import { add, divide, maximum, multiply, negate, subtract } from "../families/elementwise.ts";
import { reduceMean, reduceSum } from "../families/reduce.ts";
import { oneHot } from "../families/shape/indexing.ts";
import { reshape } from "../families/shape/shape-ops.ts";
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

/**
 * Cross-entropy of logits[R,C] with labels[R] (int64), as `torch.nn.CrossEntropyLoss` with `ignore_index`: rows with a label below 0
 * do not count. Where no row counts, the loss is 0 and not NaN.
 */
export function maskedCrossEntropy(b: GraphBuilder, logits: Value, labels: Value, labelSmoothing = 0): Value {
  const [rows = 1, classes = 1] = logits.type.shape;
  const zero = b.constant(int64Tensor([0], []));
  const counts = cast(b, greaterOrEqual(b, labels, zero), "float32");
  const column = reshape(b, counts, [rows, 1]);
  const hard = multiply(b, oneHot(b, maximum(b, labels, zero), classes), column);
  const shared = multiply(b, column, labelSmoothing / classes);
  const targets = labelSmoothing === 0 ? hard : add(b, multiply(b, hard, 1 - labelSmoothing), shared);
  const total = reduceSum(b, multiply(b, targets, logSoftmax(b, logits, 1)), undefined, { keepDimensions: false });
  const known = maximum(b, reduceSum(b, counts, undefined, { keepDimensions: false }), 1);
  return negate(b, divide(b, total, known));
}

/** Mean of squared differences over all elements, as `torch.nn.MSELoss`. */
export function meanSquaredError(b: GraphBuilder, prediction: Value, target: Value): Value {
  const difference = subtract(b, prediction, target);
  return reduceMean(b, multiply(b, difference, difference), undefined, { keepDimensions: false });
}
