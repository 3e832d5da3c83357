/**
 * Picking elements by index, and the operators that make tensors out of shapes.
 *
 * Gradients scatter back with addition, because an element may have been picked more than once.
 */

import { UnsupportedError } from "../../../errors.ts";
import { intAttribute } from "../../../ir/attributes.ts";
import {
  type Attribute,
  type GraphBuilder,
  type Node,
  type OperatorCall,
  showNode,
  type Value,
} from "../../../ir/graph.ts";
import { makeTensor, type Tensor, toInt64, toNumbers } from "../../../ir/tensor.ts";
import type { Shape, TensorType } from "../../../ir/types.ts";
import { dtypeFromOnnx } from "../../../onnx/wire/proto.ts";
import { foldGatherElements, foldGatherND, foldScatterElements, foldScatterND } from "../../build/fold/indexed.ts";
import { foldConstantOfShape, foldGather, foldRange, foldTriangle } from "../../build/fold/layout.ts";
import { arrangesFirst } from "../../build/fold/symbolic.ts";
import { at, axisOf, countFromFront, indices, int64Constant, noGradient, present } from "../../build/operands.ts";
import {
  type GradientContext,
  type OperatorColumns,
  type OperatorDefinition,
  requiredConstant,
  requiredInput,
  typeError,
} from "../../definition.ts";
import { embeddingTable } from "../../inputs.ts";
import { shapeOfInput, sizeOfInput } from "../../rewrite/simplify.ts";
import { topKUpgrades } from "../../rewrite/upgrades.ts";
import { multiply } from "../elementwise.ts";
import { filledLike, inversePermutation, transpose, unsqueeze } from "./shape-ops.ts";

/** Slices of x along an axis, one for each index. */
export function gather(b: GraphBuilder, x: Value, index: Value, axis = 0): Value {
  return b.one("Gather", [x, index], { axis });
}

/** One element of x for each index, at the index's own place in the other axes. */
export function gatherElements(b: GraphBuilder, x: Value, index: Value, axis = 0): Value {
  return b.one("GatherElements", [x, index], { axis });
}

/** x with `updates` added at, or put to, the places that `index` names in its last axis. */
export function scatterND(b: GraphBuilder, x: Value, index: Value, updates: Value, reduction: "none" | "add"): Value {
  return b.one("ScatterND", [x, index, updates], { reduction });
}

/** x with `updates` added at, or put to, `index` along an axis, each at its own place in the other axes. */
export function scatterElements(
  b: GraphBuilder,
  x: Value,
  index: Value,
  updates: Value,
  axis: number,
  reduction: "none" | "add",
): Value {
  return b.one("ScatterElements", [x, index, updates], { axis, reduction });
}

/** Axis and values of a one-hot encoding. */
export interface OneHotOptions {
  /** The position of the new axis; default last. */
  readonly axis?: number;
  /** Default 1. */
  readonly on?: number;
  /** Default 0. */
  readonly off?: number;
}

/** float32 vectors that are `on` at an index and `off` elsewhere. */
export function oneHot(b: GraphBuilder, index: Value, depth: number, options: OneHotOptions = {}): Value {
  const { axis = -1, on = 1, off = 0 } = options;
  const pair = b.constant(makeTensor("float32", [2], Float32Array.of(off, on)), "off_on");
  return b.one("OneHot", [index, int64Constant(b, [depth]), pair], { axis });
}

/** A float32 tensor of one repeated number. */
export function constantOfShape(b: GraphBuilder, shape: Shape, number = 0): Value {
  const value: Attribute = { tensor: makeTensor("float32", [1], Float32Array.of(number)) };
  return b.one("ConstantOfShape", [int64Constant(b, shape)], { value });
}

function isIndex(type: TensorType): boolean {
  return type.dtype === "int64" || type.dtype === "int32";
}

function gatherType(call: OperatorCall): readonly TensorType[] {
  const [x, index] = [requiredInput(call, 0), requiredInput(call, 1)];
  if (!isIndex(index)) throw typeError(call, "the indices should be int32 or int64");
  const axis = axisOf(call, intAttribute(call, "axis", 0), x.shape.length);
  return [{ dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)] }];
}

function rowsOfGather(node: Node): { readonly index: number; readonly rows: number } {
  const shape = node.inputs[0]?.type.shape ?? [];
  return { index: 1, rows: shape[countFromFront(intAttribute(node, "axis", 0), shape.length)] ?? 0 };
}

/** Adds each slice to its place, with the gathered axis moved to the front because ScatterND indexes leading axes. */
function gatherGradient({ builder: b, node, input, outputGradient, needed }: GradientContext): (Value | undefined)[] {
  if (!needed[0]) return [];
  const { shape, dtype } = input(0).type;
  const axis = countFromFront(intAttribute(node, "axis", 0), shape.length);
  const indexRank = input(1).type.shape.length;
  const others = indices(shape.length).filter((i) => i !== axis);
  const toFront = [axis, ...others];
  const picked = indices(indexRank).map((i) => axis + i);
  const rest = indices(outputGradient(0).type.shape.length).filter((i) => !picked.includes(i));
  const updates = transpose(b, outputGradient(0), [...picked, ...rest]);
  const zeros = filledLike(b, 0, { dtype, shape: toFront.map((i) => at(shape, i)) });
  const index = unsqueeze(b, b.one("Cast", [input(1)], { to: 7 }), [indexRank]);
  return [transpose(b, scatterND(b, zeros, index, updates, "add"), inversePermutation(toFront))];
}

function gatherElementsType(call: OperatorCall): readonly TensorType[] {
  const [x, index] = [requiredInput(call, 0), requiredInput(call, 1)];
  axisOf(call, intAttribute(call, "axis", 0), x.shape.length);
  if (!isIndex(index) || index.shape.length !== x.shape.length) throw typeError(call, "the indices do not fit");
  return [{ dtype: x.dtype, shape: index.shape }];
}

function gatherNDType(call: OperatorCall): readonly TensorType[] {
  const [x, index] = [requiredInput(call, 0), requiredInput(call, 1)];
  const batch = intAttribute(call, "batch_dims", 0);
  const depth = index.shape.at(-1);
  if (depth === undefined || batch + depth > x.shape.length) throw typeError(call, "the indices are too deep");
  return [{ dtype: x.dtype, shape: [...index.shape.slice(0, -1), ...x.shape.slice(batch + depth)] }];
}

function oneHotType(call: OperatorCall): readonly TensorType[] {
  const [index, values] = [requiredInput(call, 0), requiredInput(call, 2)];
  const depth = at(toNumbers(requiredConstant(call, 1)), 0);
  const axis = axisOf(call, intAttribute(call, "axis", -1), index.shape.length + 1);
  return [{ dtype: values.dtype, shape: [...index.shape.slice(0, axis), depth, ...index.shape.slice(axis)] }];
}

function topKType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const axis = axisOf(call, intAttribute(call, "axis", -1), shape.length);
  const attribute = call.attributes.k;
  const k = typeof attribute === "number" ? attribute : at(toNumbers(requiredConstant(call, 1)), 0);
  if (k > at(shape, axis)) throw typeError(call, `there are fewer than ${k} elements along axis ${axis}`);
  const result = shape.map((size, i) => (i === axis ? k : size));
  return [
    { dtype, shape: result },
    { dtype: "int64", shape: result },
  ];
}

function scatterBack(context: GradientContext, index: Value, axis: number): (Value | undefined)[] {
  const { builder: b, input, outputGradient, needed } = context;
  if (!needed[0]) return [];
  return [scatterElements(b, filledLike(b, 0, input(0).type), index, outputGradient(0), axis, "add")];
}

function reductionOf(node: Node): string {
  const reduction = node.attributes.reduction ?? "none";
  if (reduction === "none" || reduction === "add") return reduction;
  throw new UnsupportedError(`there is no gradient of ${node.op} with this reduction`, {
    where: showNode(node),
    remedy: 'Use the reduction "none" or "add", or keep what is before this node frozen.',
  });
}

/** Without reduction the updated places of x lose their gradient: multiplied by ones into which zeros are scattered. */
function scatterGradient(context: GradientContext, pick: (dy: Value) => Value): (Value | undefined)[] {
  const { builder: b, node, input, outputGradient, needed } = context;
  const dy = outputGradient(0);
  const keep = () => {
    if (reductionOf(node) === "add") return dy;
    const ones = filledLike(b, 1, input(0).type);
    const mask = b.one(node.op, [ones, input(1), filledLike(b, 0, input(2).type)], node.attributes);
    return multiply(b, dy, mask);
  };
  reductionOf(node);
  return [needed[0] ? keep() : undefined, undefined, needed[2] ? pick(dy) : undefined];
}

function shapeType(call: OperatorCall): readonly TensorType[] {
  const rank = requiredInput(call, 0).shape.length;
  const clamp = (place: number) => Math.min(Math.max(place < 0 ? place + rank : place, 0), rank);
  const [start, end] = [clamp(intAttribute(call, "start", 0)), clamp(intAttribute(call, "end", rank))];
  return [{ dtype: "int64", shape: [Math.max(0, end - start)] }];
}

function constantOfShapeType(call: OperatorCall): readonly TensorType[] {
  const shape = toNumbers(requiredConstant(call, 0));
  const { value } = call.attributes;
  const isTensor = typeof value === "object" && "tensor" in value;
  return [{ dtype: isTensor ? value.tensor.dtype : "float32", shape }];
}

function rangeType(call: OperatorCall): readonly TensorType[] {
  const [start, end, step] = [0, 1, 2].map((i) => at(toNumbers(requiredConstant(call, i)), 0));
  if (start === undefined || end === undefined || step === undefined || step === 0) {
    throw typeError(call, "the step must not be 0");
  }
  return [{ dtype: requiredInput(call, 0).dtype, shape: [Math.max(0, Math.ceil((end - start) / step))] }];
}

/** The tensor of a Constant node, whichever attribute holds it. @throws UnsupportedError for strings and sparse tensors. */
export function constantTensor(call: Pick<OperatorCall, "op" | "name" | "attributes">): Tensor {
  const { value, value_float: float, value_floats: floats, value_int: int, value_ints: ints } = call.attributes;
  if (typeof value === "object" && "tensor" in value) return value.tensor;
  if (typeof float === "object" && "float" in float) return makeTensor("float32", [], Float32Array.of(float.float));
  if (typeof floats === "object" && "floats" in floats) {
    return makeTensor("float32", [floats.floats.length], Float32Array.from(floats.floats));
  }
  if (typeof int === "number") return makeTensor("int64", [], BigInt64Array.of(BigInt(int)));
  if (Array.isArray(ints)) {
    const numbers = ints.map(Number);
    return makeTensor("int64", [numbers.length], BigInt64Array.from(numbers, toInt64));
  }
  throw new UnsupportedError("a Constant of this kind is not supported", {
    where: showNode(call),
    remedy: "Constants of numbers, lists of numbers and dense tensors are read.",
  });
}

function randomlessType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const attribute = call.attributes.dtype;
  const wanted = typeof attribute === "number" ? dtypeFromOnnx(attribute) : dtype;
  if (wanted === undefined) throw typeError(call, "the element type is unknown");
  return [{ dtype: wanted, shape }];
}

function flat(op: string, infer: OperatorDefinition["infer"], columns: OperatorColumns = {}): OperatorDefinition {
  return { op, domain: "", infer, gradient: noGradient, ...columns };
}

/** The shape of a value, or a range of it. */
export const shapeOperator: OperatorDefinition = flat("Shape", shapeType, {
  reading: "computed",
  simplify: shapeOfInput,
});

/** Slices of a tensor by their indices along an axis. */
export const gatherOperator: OperatorDefinition = {
  op: "Gather",
  domain: "",
  inputs: [embeddingTable("rows")],
  fold: foldGather,
  symbolic: arrangesFirst,
  infer: gatherType,
  gradient: gatherGradient,
  traits: { movement: true, nonNegative: "when-first-input", picksRows: rowsOfGather },
};

/** Numbers from a start to an end, in equal steps. */
export const rangeOperator: OperatorDefinition = flat("Range", rangeType, { fold: foldRange });

/** The operators of this file. */
export const indexingOperators: readonly OperatorDefinition[] = [
  gatherOperator,
  {
    op: "GatherElements",
    domain: "",
    fold: foldGatherElements,
    infer: gatherElementsType,
    traits: { movement: true, nonNegative: "when-first-input" },
    gradient: (context) => scatterBack(context, context.input(1), intAttribute(context.node, "axis", 0)),
  },
  {
    op: "GatherND",
    domain: "",
    fold: foldGatherND,
    infer: gatherNDType,
    traits: { movement: true, nonNegative: "when-first-input" },
    gradient: ({ builder: b, node, input, outputGradient, needed }) => {
      if (!needed[0]) return [];
      if (intAttribute(node, "batch_dims", 0) !== 0) {
        throw new UnsupportedError("there is no gradient of GatherND with batch axes", {
          where: showNode(node),
          remedy: "Use GatherElements, or keep what is before this node frozen.",
        });
      }
      return [scatterND(b, filledLike(b, 0, input(0).type), input(1), outputGradient(0), "add")];
    },
  },
  {
    op: "ScatterND",
    domain: "",
    fold: foldScatterND,
    infer: (call) => [requiredInput(call, 0)],
    gradient: (context) => scatterGradient(context, (dy) => context.builder.one("GatherND", [dy, context.input(1)])),
  },
  {
    op: "ScatterElements",
    domain: "",
    fold: foldScatterElements,
    infer: (call) => [requiredInput(call, 0)],
    gradient: (context) => {
      const axis = intAttribute(context.node, "axis", 0);
      return scatterGradient(context, (dy) => gatherElements(context.builder, dy, context.input(1), axis));
    },
  },
  {
    op: "TopK",
    domain: "",
    upgrades: topKUpgrades,
    infer: topKType,
    gradient: (context) => {
      if (context.outputGradients[0] === undefined) return [];
      return scatterBack(context, context.output(1), intAttribute(context.node, "axis", -1));
    },
  },
  {
    op: "Trilu",
    domain: "",
    fold: foldTriangle,
    infer: (call) => [requiredInput(call, 0)],
    gradient: ({ builder: b, node, outputGradient }) => [
      b.one("Trilu", present([outputGradient(0), node.inputs[1]]), node.attributes),
    ],
  },
  flat("OneHot", oneHotType),
  shapeOperator,
  flat("Size", (call) => [{ dtype: "int64", shape: requiredInput(call, 0).shape.slice(0, 0) }], {
    reading: "computed",
    simplify: sizeOfInput,
  }),
  flat("ConstantOfShape", constantOfShapeType, { fold: foldConstantOfShape }),
  rangeOperator,
  flat(
    "Constant",
    (call) => {
      const { dtype, shape } = constantTensor(call);
      return [{ dtype, shape }];
    },
    { reading: "computed" },
  ),
  flat("EyeLike", randomlessType),
];
