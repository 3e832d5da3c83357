/**
 * The operators of classical models (domain ai.onnx.ml) that scikit-learn's converter writes around networks and linear models,
 * as standard ones. Trees, kernels and texts are refused.
 */

import { UnsupportedError } from "../../errors.ts";
import { intAttribute, stringAttribute } from "../../ir/attributes.ts";
import type { Attribute } from "../../ir/graph.ts";
import { productOf } from "../../ir/size.ts";
import { float32Tensor, int64Tensor, type Tensor } from "../../ir/tensor.ts";
import { type Decomposition, int64Slot, type RewriteContext } from "./context.ts";
import { type Slot, type SourceNode, typeOf } from "./slots.ts";

function refused({ op, where }: SourceNode, message: string): UnsupportedError {
  return new UnsupportedError(`${message} of ${op} is not supported`, {
    where,
    remedy: "Export the model's scores, as float32, without what follows them.",
  });
}

function input(node: SourceNode): Slot {
  const [x] = node.inputs;
  if (x === undefined) throw refused(node, "a missing input");
  return x;
}

function numbers(attribute: Attribute | undefined): readonly number[] {
  return typeof attribute === "object" && "floats" in attribute ? attribute.floats : [];
}

/** (x − offset)·scale */
export const scaler: Decomposition = (e, node) => {
  const { offset, scale } = node.attributes;
  const moved = e.one("Sub", [asFloat(e, input(node)), e.constant(vector(numbers(offset)))]);
  return [e.one("Mul", [moved, e.constant(vector(numbers(scale)))])];
};

function vector(values: readonly number[]): Tensor {
  return float32Tensor([values.length], values);
}

function asFloat(e: RewriteContext, x: Slot): Slot {
  return typeOf(x).dtype === "float32" ? x : e.one("Cast", [x], { to: 1 });
}

/** x·Wᵀ + b, with weights that can be trained. */
function linear(e: RewriteContext, node: SourceNode, outputs: number): Slot {
  const { coefficients, intercepts } = node.attributes;
  const weights = numbers(coefficients);
  const biases = numbers(intercepts);
  const weight = e.constant(float32Tensor([outputs, weights.length / outputs], weights), `${node.name}.weight`, true);
  const bias = biases.length === 0 ? [] : [e.constant(vector(biases), `${node.name}.bias`, true)];
  return e.one("Gemm", [asFloat(e, input(node)), weight, ...bias], { transB: 1 });
}

/** What follows the scores. @throws UnsupportedError for a function that networks do not have. */
function transformed(e: RewriteContext, node: SourceNode, scores: Slot): Slot {
  switch (stringAttribute(node, "post_transform", "NONE")) {
    case "NONE":
      return scores;
    case "SOFTMAX":
      return e.one("Softmax", [scores], { axis: -1 });
    case "LOGISTIC":
      return e.one("Sigmoid", [scores]);
    default:
      throw refused(node, "this post_transform");
  }
}

/** Targets of a linear regression. */
export const linearRegressor: Decomposition = (e, node) => [
  transformed(e, node, linear(e, node, intAttribute(node, "targets", 1))),
];

/** Labels and scores of a linear classifier. */
export const linearClassifier: Decomposition = (e, node) => {
  const labels = node.attributes.classlabels_ints;
  if (!Array.isArray(labels)) throw refused(node, "a label that is a text");
  const classes = labels.map(Number);
  const rows = numbers(node.attributes.intercepts).length;
  if (rows !== classes.length) throw refused(node, "one score for two classes");
  const scores = transformed(e, node, linear(e, node, classes.length));
  const best = e.one("ArgMax", [scores], { axis: 1, keepdims: 0 });
  return [e.one("Gather", [e.constant(int64Tensor(classes)), best], { axis: 0 }), scores];
};

/** Rows over their norm. */
export const normalizer: Decomposition = (e, node) => {
  const x = asFloat(e, input(node));
  const axis = int64Slot(e, [-1]);
  const norms: Readonly<Record<string, () => Slot>> = {
    L1: () => e.one("ReduceL1", [x, axis], { keepdims: 1 }),
    L2: () => e.one("ReduceL2", [x, axis], { keepdims: 1 }),
    MAX: () => e.one("ReduceMax", [e.one("Abs", [x]), axis], { keepdims: 1 }),
  };
  const norm = norms[stringAttribute(node, "norm", "MAX")]?.();
  if (norm === undefined) throw refused(node, "this norm");
  return [e.one("Div", [x, norm])];
};

/** Elements along the last axis, by a list of indices: [1, indices] of a list. */
export const arrayFeatureExtractor: Decomposition = (e, node) => {
  const x = input(node);
  const index = node.inputs[1];
  if (index === undefined) throw refused(node, "a missing index");
  const flat = e.reshape(index, [productOf(typeOf(index).shape)]);
  const picked = e.one("Gather", [x, flat], { axis: typeOf(x).shape.length - 1 });
  return typeOf(x).shape.length > 1 ? [picked] : [e.one("Unsqueeze", [picked, int64Slot(e, [0])])];
};
