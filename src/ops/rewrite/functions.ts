/**
 * Operators that are written as several others: functions that ONNX got after opset 21, and a few of ONNX Runtime's own
 * that its optimizer leaves in files. What they are made of has gradients and quantizers.
 */

import { UnsupportedError } from "../../errors.ts";
import { floatAttribute, intAttribute, intsAttribute } from "../../ir/attributes.ts";
import { float32Scalar } from "../../ir/tensor.ts";
import { type Decomposition, int64Slot, type RewriteContext } from "./context.ts";
import { type Slot, type SourceNode, typeOf } from "./slots.ts";

function input(node: SourceNode, index: number): Slot {
  const slot = node.inputs[index];
  if (slot !== undefined) return slot;
  throw new UnsupportedError(`input ${index} of ${node.op} is missing`, { where: node.where });
}

function number(e: RewriteContext, value: number): Slot {
  return e.constant(float32Scalar(value));
}

/** x · sigmoid(alpha·x) */
function swishOf(e: RewriteContext, x: Slot, alpha: number): Slot {
  const inner = alpha === 1 ? x : e.one("Mul", [x, number(e, alpha)]);
  return e.one("Mul", [x, e.one("Sigmoid", [inner])]);
}

/** x · sigmoid(alpha·x) */
export const swish: Decomposition = (e, node) => [swishOf(e, input(node, 0), floatAttribute(node, "alpha", 1))];
/** x · sigmoid(1.702·x) */
export const quickGelu: Decomposition = (e, node) => [swishOf(e, input(node, 0), floatAttribute(node, "alpha", 1.702))];

/** Gelu in the standard domain. */
export const gelu: Decomposition = (e, node) => [e.one("Gelu", [input(node, 0)])];

/** Gelu of a sum with a bias. */
export function geluAfterBias(approximate: "none" | "tanh"): Decomposition {
  return (e, node) => {
    const bias = node.inputs[1];
    const x = bias === undefined ? input(node, 0) : e.one("Add", [input(node, 0), bias]);
    return [e.one("Gelu", [x], { approximate })];
  };
}

/** x / √(mean(x²) + ε) · scale */
export const rmsNormalization: Decomposition = (e, node) => {
  const x = input(node, 0);
  const rank = typeOf(x).shape.length;
  const given = intAttribute(node, "axis", -1);
  const first = given < 0 ? given + rank : given;
  const axes = Array.from({ length: rank - first }, (_, i) => first + i);
  const square = e.one("ReduceMean", [e.one("Mul", [x, x]), int64Slot(e, axes)], { keepdims: 1 });
  const root = e.one("Sqrt", [e.one("Add", [square, number(e, floatAttribute(node, "epsilon", 1e-5))])]);
  return [e.one("Mul", [e.one("Div", [x, root]), input(node, 1)])];
};

/** (x − mean) / deviation over the axes, without an epsilon, as the operator is defined. */
export const meanVarianceNormalization: Decomposition = (e, node) => {
  const x = input(node, 0);
  const axes = int64Slot(e, intsAttribute(node, "axes", [0, 2, 3]));
  const centred = e.one("Sub", [x, e.one("ReduceMean", [x, axes], { keepdims: 1 })]);
  const variance = e.one("ReduceMean", [e.one("Mul", [centred, centred]), axes], { keepdims: 1 });
  return [e.one("Div", [centred, e.one("Add", [e.one("Sqrt", [variance]), number(e, 1e-9)])])];
};

/** TensorFlow's own, which tf2onnx leaves as it is: 1 - erf(x), inside of every exact GELU of Keras. */
export const complementaryError: Decomposition = (e, node) => [
  e.one("Sub", [number(e, 1), e.one("Erf", [input(node, 0)])]),
];

/** Per-axis scale and offset of ONNX Runtime's fused MatMul. */
export const fusedMatMul: Decomposition = (e, node) => {
  const turned = (slot: Slot, flag: string) => {
    if (intAttribute(node, flag, 0) === 0) return slot;
    const rank = typeOf(slot).shape.length;
    const axes = Array.from({ length: rank }, (_, axis) => axis);
    return e.one("Transpose", [slot], { perm: [...axes.slice(0, -2), rank - 1, rank - 2] });
  };
  const product = e.one("MatMul", [turned(input(node, 0), "transA"), turned(input(node, 1), "transB")]);
  const alpha = floatAttribute(node, "alpha", 1);
  return [alpha === 1 ? product : e.one("Mul", [product, number(e, alpha)])];
};
