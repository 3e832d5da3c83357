/**
 * Operators that are written as several others: functions that ONNX got after opset 21, and a few of ONNX Runtime's own
 * that its optimizer leaves in files. What they are made of has gradients and quantizers.
 */

import { UnsupportedError } from "../errors.ts";
import { floatAttribute, intAttribute, intsAttribute } from "../graph/graph.ts";
import { float32Scalar, float32Tensor } from "../graph/tensor.ts";
import { elementCount } from "../graph/types.ts";
import { int64Slot, reshapeTo } from "./batch-forms.ts";
import type { Emitter } from "./emitter.ts";
import { type Slot, type SourceNode, tensorOf, typeOf } from "./slots.ts";

type Decomposition = (e: Emitter, node: SourceNode) => readonly (Slot | undefined)[];

function input(node: SourceNode, index: number): Slot {
  const slot = node.inputs[index];
  if (slot !== undefined) return slot;
  throw new UnsupportedError(`input ${index} of ${node.op} is missing`, { where: node.where });
}

function number(e: Emitter, value: number): Slot {
  return e.constant(float32Scalar(value));
}

/** x · sigmoid(alpha·x) */
function swishOf(e: Emitter, x: Slot, alpha: number): Slot {
  const inner = alpha === 1 ? x : e.one("Mul", [x, number(e, alpha)]);
  return e.one("Mul", [x, e.one("Sigmoid", [inner])]);
}

const swish: Decomposition = (e, node) => [swishOf(e, input(node, 0), floatAttribute(node, "alpha", 1))];
const quickGelu: Decomposition = (e, node) => [swishOf(e, input(node, 0), floatAttribute(node, "alpha", 1.702))];

const gelu: Decomposition = (e, node) => [e.one("Gelu", [input(node, 0)])];

function geluAfterBias(approximate: "none" | "tanh"): Decomposition {
  return (e, node) => {
    const bias = node.inputs[1];
    const x = bias === undefined ? input(node, 0) : e.one("Add", [input(node, 0), bias]);
    return [e.one("Gelu", [x], { approximate })];
  };
}

/** x / √(mean(x²) + ε) · scale */
const rmsNormalization: Decomposition = (e, node) => {
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
const meanVarianceNormalization: Decomposition = (e, node) => {
  const x = input(node, 0);
  const axes = int64Slot(e, intsAttribute(node, "axes", [0, 2, 3]));
  const centred = e.one("Sub", [x, e.one("ReduceMean", [x, axes], { keepdims: 1 })]);
  const variance = e.one("ReduceMean", [e.one("Mul", [centred, centred]), axes], { keepdims: 1 });
  return [e.one("Div", [centred, e.one("Add", [e.one("Sqrt", [variance]), number(e, 1e-9)])])];
};

/** [batch, length, heads·size] as [batch, heads, length, size]; four axes stay as they are. */
function inHeads(e: Emitter, x: Slot, heads: number, node: SourceNode): Slot {
  const { shape } = typeOf(x);
  if (shape.length === 4) return x;
  const [batch = 1, length = 1, width = 1] = shape;
  if (shape.length !== 3 || heads < 1 || width % heads !== 0) {
    throw new UnsupportedError(`Attention over [${shape}] with ${heads} heads is not supported`, {
      where: node.where,
      remedy: "Export the model with an older opset, in which attention is written out.",
    });
  }
  return e.one("Transpose", [reshapeTo(e, x, [batch, length, heads, width / heads])], { perm: [0, 2, 1, 3] });
}

/** softmax(Q·Kᵀ·scale + mask)·V of opset 23, without caches, softcap or grouped heads. */
const attention: Decomposition = (e, node) => {
  const refuse = (what: string) => {
    throw new UnsupportedError(`Attention with ${what} is not supported`, {
      where: node.where,
      remedy: "Export the model for training, or with an older opset, in which attention is written out.",
    });
  };
  if (node.inputs[4] !== undefined || node.inputs[5] !== undefined || node.outputCount > 1) refuse("a cache");
  if (floatAttribute(node, "softcap", 0) !== 0) refuse("a soft cap");
  const heads = intAttribute(node, "q_num_heads", 0);
  const shared = intAttribute(node, "kv_num_heads", heads);
  const [q, k, v] = [input(node, 0), input(node, 1), input(node, 2)];
  const [query, key, value] = [inHeads(e, q, heads, node), inHeads(e, k, shared, node), inHeads(e, v, shared, node)];
  const [queryShape, keyShape] = [typeOf(query).shape, typeOf(key).shape];
  if (queryShape[1] !== keyShape[1]) refuse("heads that share keys");
  const scale = floatAttribute(node, "scale", 1 / Math.sqrt(queryShape[3] ?? 1));
  const scaled = e.one("Mul", [query, number(e, scale)]);
  let scores = e.one("MatMul", [scaled, e.one("Transpose", [key], { perm: [0, 1, 3, 2] })]);
  const mask = node.inputs[3];
  if (mask !== undefined) {
    const added = typeOf(mask).dtype === "bool" ? e.one("Where", [mask, number(e, 0), number(e, -3e38)]) : mask;
    scores = e.one("Add", [scores, added]);
  }
  if (intAttribute(node, "is_causal", 0) === 1) {
    const [rows, columns] = [queryShape[2] ?? 1, keyShape[2] ?? 1];
    const later = Float32Array.from({ length: rows * columns }, (_, i) =>
      i % columns > Math.floor(i / columns) ? -3e38 : 0,
    );
    scores = e.one("Add", [scores, e.constant(float32Tensor([rows, columns], later), "causal_mask")]);
  }
  const result = e.one("MatMul", [e.one("Softmax", [scores], { axis: -1 }), value]);
  if (typeOf(q).shape.length === 4) return [result];
  const [batch = 1, count = 1, length = 1, size = 1] = typeOf(result).shape;
  const rows = e.one("Transpose", [result], { perm: [0, 2, 1, 3] });
  return [reshapeTo(e, rows, [batch, length, count * size])];
};

/** Per-axis scale and offset of ONNX Runtime's fused MatMul. */
const fusedMatMul: Decomposition = (e, node) => {
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

const decompositions: ReadonlyMap<string, Decomposition> = new Map([
  ["Swish", swish],
  ["RMSNormalization", rmsNormalization],
  ["MeanVarianceNormalization", meanVarianceNormalization],
  ["Attention", attention],
  ["com.microsoft:Gelu", gelu],
  ["com.microsoft:BiasGelu", geluAfterBias("none")],
  ["com.microsoft:FastGelu", geluAfterBias("tanh")],
  ["com.microsoft:QuickGelu", quickGelu],
  ["com.microsoft:FusedMatMul", fusedMatMul],
]);

/** The operators that are written as others, by their key. */
export const decomposedOperators: readonly string[] = [...decompositions.keys()];

/** What stands for the outputs of a node that is written as others; undefined for every other node. */
export function decompose(e: Emitter, node: SourceNode): readonly (Slot | undefined)[] | undefined {
  const key = node.domain === "" ? node.op : `${node.domain}:${node.op}`;
  const decomposition = decompositions.get(key);
  if (decomposition === undefined) return undefined;
  const isConstant = node.inputs.length > 0 && node.inputs.every((slot) => tensorOf(slot) !== undefined);
  const isLarge = node.inputs.some((slot) => slot !== undefined && elementCount(typeOf(slot).shape) > 1 << 24);
  return isConstant && isLarge ? undefined : decomposition(e, node);
}
