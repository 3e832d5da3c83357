/**
 * Operators that arrange elements differently and compute nothing: their gradients arrange them back.
 *
 * Shapes and axes must be known when the graph is built, as constants or as the attributes of older opsets.
 */

import { UnsupportedError } from "../../../errors.ts";
import { intAttribute, stringAttribute } from "../../../ir/attributes.ts";
import { type GraphBuilder, type OperatorCall, showNode, type Value } from "../../../ir/graph.ts";
import { toNumbers } from "../../../ir/tensor.ts";
import { elementCount, type Shape, sameShape, type TensorType } from "../../../ir/types.ts";
import { broadcastShapes, sumTo } from "../../build/broadcast.ts";
import {
  foldDepthToSpace,
  foldExpand,
  foldReshape,
  foldSpaceToDepth,
  foldTile,
  foldTranspose,
} from "../../build/fold/layout.ts";
import { arrangesFirst } from "../../build/fold/symbolic.ts";
import {
  at,
  axesOf,
  axisOf,
  constantIntegers,
  indices,
  int64Constant,
  integersOf,
  permutationOf,
  product,
  scalarOf,
} from "../../build/operands.ts";
import {
  type GradientContext,
  type OperatorColumns,
  type OperatorDefinition,
  type OperatorTraits,
  requiredConstant,
  requiredInput,
  typeError,
} from "../../definition.ts";
import { token } from "../../inputs.ts";
import { sameAxes } from "../../rewrite/simplify.ts";
import { dropoutUpgrades, spaceToDepthUpgrades, squeezeUpgrades, unsqueezeUpgrades } from "../../rewrite/upgrades.ts";

/** The same elements in another shape; one size may be −1. The value itself when it has that shape. */
export function reshape(b: GraphBuilder, x: Value, shape: Shape): Value {
  return sameShape(x.type.shape, shape) ? x : b.one("Reshape", [x, int64Constant(b, shape)]);
}

/** A matrix: the axes before `axis` as rows, the others as columns. */
export function flatten(b: GraphBuilder, x: Value, axis = 1): Value {
  return b.one("Flatten", [x], { axis });
}

/** The axes in another order: axis i of the result is axis `permutation[i]` of x. */
export function transpose(b: GraphBuilder, x: Value, permutation: readonly number[]): Value {
  return permutation.every((axis, i) => axis === i) ? x : b.one("Transpose", [x], { perm: permutation });
}

/** Without the given axes of size 1, or without all of them. */
export function squeeze(b: GraphBuilder, x: Value, axes?: readonly number[]): Value {
  return b.one("Squeeze", axes === undefined ? [x] : [x, int64Constant(b, axes)]);
}

/** With new axes of size 1, at these places of the result. */
export function unsqueeze(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  return b.one("Unsqueeze", [x, int64Constant(b, axes)]);
}

/** Broadcast to a shape; the value itself when it has that shape. */
export function expand(b: GraphBuilder, x: Value, shape: Shape): Value {
  return sameShape(x.type.shape, shape) ? x : b.one("Expand", [x, int64Constant(b, shape)]);
}

/** A tensor of one repeated number. */
export function filledLike(b: GraphBuilder, number: number, type: TensorType): Value {
  return expand(b, scalarOf(b, number, type.dtype), type.shape);
}

/** Blocks of channels become blocks of pixels: [N, C·s², H, W] to [N, C, H·s, W·s]. */
export function depthToSpace(b: GraphBuilder, x: Value, blocksize: number, mode: "DCR" | "CRD" = "DCR"): Value {
  return b.one("DepthToSpace", [x], { blocksize, mode });
}

/** Blocks of pixels become blocks of channels: [N, C, H·s, W·s] to [N, C·s², H, W]. */
export function spaceToDepth(b: GraphBuilder, x: Value, blocksize: number): Value {
  return b.one("SpaceToDepth", [x], { blocksize });
}

/** Gradient of operators that only change the shape. */
function reshapeBack({ builder, input, outputGradient, needed }: GradientContext): readonly (Value | undefined)[] {
  return [needed[0] ? reshape(builder, outputGradient(0), input(0).type.shape) : undefined];
}

function reshapeType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const wanted = integersOf(call, 1, "shape");
  if (wanted === undefined) throw typeError(call, "the new shape is missing");
  const keepZeros = intAttribute(call, "allowzero", 0) === 1;
  const sizes = wanted.map((size, i) => {
    if (size !== 0 || keepZeros) return size;
    const copied = shape[i];
    if (copied === undefined) throw typeError(call, `there is no axis ${i} to copy to [${wanted}]`);
    return copied;
  });
  if (sizes.filter((size) => size === -1).length > 1) throw typeError(call, `[${wanted}] leaves two sizes open`);
  const total = elementCount(shape);
  const fixed = product(sizes.filter((size) => size !== -1));
  const result = sizes.map((size) => (size === -1 ? (fixed === 0 ? 0 : total / fixed) : size));
  if (elementCount(result) !== total || result.some((size) => !Number.isInteger(size) || size < 0)) {
    throw typeError(call, `${total} elements cannot take the shape [${wanted}]`);
  }
  return [{ dtype, shape: result }];
}

function flattenType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const axis = intAttribute(call, "axis", 1);
  const place = axis === shape.length ? axis : axisOf(call, axis, shape.length);
  return [{ dtype, shape: [product(shape.slice(0, place)), product(shape.slice(place))] }];
}

function transposeType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const permutation = permutationOf(call, shape.length);
  if (axesOf(call, permutation, shape.length).length !== shape.length) {
    throw typeError(call, `[${permutation}] does not order ${shape.length} axes`);
  }
  return [{ dtype, shape: permutation.map((axis) => at(shape, axis)) }];
}

/** The permutation that undoes another. */
export function inversePermutation(permutation: readonly number[]): number[] {
  return indices(permutation.length).map((axis) => permutation.indexOf(axis));
}

function squeezeType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const given = integersOf(call, 1, "axes");
  const axes = given === undefined ? undefined : axesOf(call, given, shape.length);
  const wide = axes?.find((axis) => shape[axis] !== 1);
  if (wide !== undefined) throw typeError(call, `axis ${wide} is not of size 1`);
  return [{ dtype, shape: shape.filter((size, i) => (axes === undefined ? size !== 1 : !axes.includes(i))) }];
}

function unsqueezeType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const given = integersOf(call, 1, "axes");
  if (given === undefined) throw typeError(call, "the axes are missing");
  const rank = shape.length + given.length;
  const axes = new Set(axesOf(call, given, rank));
  const rest = shape[Symbol.iterator]();
  return [{ dtype, shape: indices(rank).map((i) => (axes.has(i) ? 1 : (rest.next().value ?? 1))) }];
}

function expandType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const wanted = toNumbers(requiredConstant(call, 1));
  const result = broadcastShapes(shape, wanted);
  if (result === undefined) throw typeError(call, `the shape does not broadcast with [${wanted}]`);
  return [{ dtype, shape: result }];
}

/** A vector `copies` times, one after another. */
export function repeated(b: GraphBuilder, x: Value, copies: number): Value {
  return b.one("Tile", [x, int64Constant(b, [copies])]);
}

function tileType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const repeats = toNumbers(requiredConstant(call, 1));
  if (repeats.length !== shape.length) throw typeError(call, `[${repeats}] should hold a count for each axis`);
  return [{ dtype, shape: shape.map((size, i) => size * at(repeats, i)) }];
}

/** Sums over the copies, each of which gets an axis of its own. */
function tileGradient({ builder: b, node, input, outputGradient, needed }: GradientContext): (Value | undefined)[] {
  if (!needed[0]) return [];
  const { shape } = input(0).type;
  const repeats = constantIntegers(b, node.inputs[1]) ?? [];
  const apart = shape.flatMap((size, i) => [at(repeats, i), size]);
  const single = shape.flatMap((size) => [1, size]);
  return [reshape(b, sumTo(b, reshape(b, outputGradient(0), apart), single), shape)];
}

function imageOf(call: OperatorCall) {
  const { dtype, shape } = requiredInput(call, 0);
  const [n, c, h, w] = shape;
  if (shape.length !== 4 || n === undefined || c === undefined || h === undefined || w === undefined) {
    throw typeError(call, "the input should have four axes");
  }
  return { dtype, n, c, h, w };
}

function depthToSpaceType(call: OperatorCall): readonly TensorType[] {
  const { dtype, n, c, h, w } = imageOf(call);
  const block = intAttribute(call, "blocksize");
  if (c % block ** 2 !== 0) throw typeError(call, `${c} channels do not divide into blocks of ${block ** 2}`);
  return [{ dtype, shape: [n, c / block ** 2, h * block, w * block] }];
}

function depthToSpaceGradient({ builder: b, node, input, outputGradient, needed }: GradientContext) {
  if (!needed[0]) return [];
  const block = intAttribute(node, "blocksize");
  const dy = outputGradient(0);
  if (stringAttribute(node, "mode", "DCR") === "DCR") return [spaceToDepth(b, dy, block)];
  const [n = 1, c = 1, h = 1, w = 1] = input(0).type.shape;
  const blocks = reshape(b, dy, [n, c / block ** 2, h, block, w, block]);
  return [reshape(b, transpose(b, blocks, [0, 1, 3, 5, 2, 4]), [n, c, h, w])];
}

function spaceToDepthType(call: OperatorCall): readonly TensorType[] {
  const { dtype, n, c, h, w } = imageOf(call);
  const block = intAttribute(call, "blocksize");
  if (h % block !== 0 || w % block !== 0) throw typeError(call, `the image does not divide into blocks of ${block}`);
  return [{ dtype, shape: [n, c * block ** 2, h / block, w / block] }];
}

/** Dropout as it is in evaluation: the input itself, and a mask of ones. */
function dropoutType(call: OperatorCall): readonly TensorType[] {
  const input = requiredInput(call, 0);
  if (call.constants[2] !== undefined && toNumbers(requiredConstant(call, 2))[0] === 1) {
    throw new UnsupportedError("Dropout in training mode is not supported", {
      where: showNode(call),
      remedy: "Export the model in evaluation mode.",
    });
  }
  return (call.outputCount ?? 1) > 1 ? [input, { dtype: "bool", shape: input.shape }] : [input];
}

/** A reshaping by its type rule: the same elements in the same order. */
function reshaping(
  op: string,
  infer: OperatorDefinition["infer"],
  traits: OperatorTraits,
  columns: OperatorColumns = {},
): OperatorDefinition {
  return {
    op,
    domain: "",
    infer,
    gradient: reshapeBack,
    fold: foldReshape,
    symbolic: arrangesFirst,
    traits: { movement: true, view: true, ...traits },
    ...columns,
  };
}

/** The same elements in another shape. */
export const reshapeOperator: OperatorDefinition = reshaping("Reshape", reshapeType, {
  passesCodes: "moved",
  nonNegative: "when-first-input",
});
/** The same elements as a matrix. */
export const flattenOperator: OperatorDefinition = reshaping("Flatten", flattenType, {
  passesCodes: "moved",
  nonNegative: "when-first-input",
});
/** Without axes of size 1. */
export const squeezeOperator: OperatorDefinition = reshaping(
  "Squeeze",
  squeezeType,
  { passesCodes: "moved", nonNegative: "when-first-input" },
  { upgrades: squeezeUpgrades },
);
/** With further axes of size 1. */
export const unsqueezeOperator: OperatorDefinition = reshaping(
  "Unsqueeze",
  unsqueezeType,
  { passesCodes: "moved", nonNegative: "when-first-input" },
  { upgrades: unsqueezeUpgrades },
);

/** The axes in another order. */
export const transposeOperator: OperatorDefinition = {
  op: "Transpose",
  domain: "",
  infer: transposeType,
  gradient: ({ builder: b, node, input, outputGradient }) => [
    transpose(b, outputGradient(0), inversePermutation(permutationOf(node, input(0).type.shape.length))),
  ],
  fold: foldTranspose,
  symbolic: arrangesFirst,
  simplify: sameAxes,
  traits: { movement: true, passesCodes: "moved", nonNegative: "when-first-input" },
};

/** x broadcast to a shape. */
export const expandOperator: OperatorDefinition = {
  op: "Expand",
  domain: "",
  inputs: [token("x")],
  fold: foldExpand,
  symbolic: arrangesFirst,
  infer: expandType,
  gradient: ({ builder: b, input, outputGradient, needed }) => [
    needed[0] ? sumTo(b, outputGradient(0), input(0).type.shape) : undefined,
  ],
  traits: { movement: true, passesCodes: "moved", nonNegative: "when-first-input" },
};

/** Dropout in evaluation mode: x itself. */
export const dropoutOperator: OperatorDefinition = {
  op: "Dropout",
  domain: "",
  upgrades: dropoutUpgrades,
  infer: dropoutType,
  gradient: ({ outputGradient }) => [outputGradient(0)],
  traits: { passesCodes: "each", nonNegative: "when-first-input" },
};

/** A tensor several times, one after another along each axis. */
export const tileOperator: OperatorDefinition = {
  op: "Tile",
  domain: "",
  infer: tileType,
  gradient: tileGradient,
  fold: foldTile,
  symbolic: arrangesFirst,
  traits: { movement: true },
};

/** Traits of operators that exchange blocks of channels with blocks of pixels. */
const blocks = { movement: true, passesCodes: "moved", nonNegative: "when-first-input" } as const;

/** The operators of this file. */
export const reshapingOperators: readonly OperatorDefinition[] = [
  reshapeOperator,
  flattenOperator,
  squeezeOperator,
  unsqueezeOperator,
  transposeOperator,
  expandOperator,
  tileOperator,
  {
    op: "DepthToSpace",
    domain: "",
    infer: depthToSpaceType,
    gradient: depthToSpaceGradient,
    fold: foldDepthToSpace,
    traits: blocks,
  },
  {
    op: "SpaceToDepth",
    domain: "",
    upgrades: spaceToDepthUpgrades,
    infer: spaceToDepthType,
    fold: foldSpaceToDepth,
    traits: blocks,
    gradient: ({ builder: b, node, outputGradient }) => [
      depthToSpace(b, outputGradient(0), intAttribute(node, "blocksize")),
    ],
  },
  dropoutOperator,
];
