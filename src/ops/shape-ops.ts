/**
 * Operators that move elements and compute nothing: their gradients move them back.
 *
 * Shapes, axes and pads must be known when the graph is built, as constants or as the attributes of older opsets.
 */

import { UnsupportedError } from "../errors.ts";
import {
  type GraphBuilder,
  intAttribute,
  intsAttribute,
  type OperatorCall,
  showNode,
  stringAttribute,
  type Value,
} from "../graph/graph.ts";
import { toNumbers } from "../graph/tensor.ts";
import { elementCount, type Shape, sameShape, type TensorType } from "../graph/types.ts";
import { broadcastShapes, sumTo } from "./broadcast.ts";
import {
  at,
  axesOf,
  axisOf,
  constantIntegers,
  countFromFront,
  indices,
  int64Constant,
  integersOf,
  noGradient,
  type Operand,
  present,
  product,
  sameAsInput,
  scalarOf,
} from "./operands.ts";
import {
  type GradientContext,
  type OperatorDefinition,
  requiredConstant,
  requiredInput,
  typeError,
} from "./operator.ts";

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

/** The values one after the other along an axis. */
export function concat(b: GraphBuilder, values: readonly Value[], axis: number): Value {
  return values.length === 1 ? at(values, 0) : b.one("Concat", values, { axis });
}

export interface PadOptions {
  readonly mode?: "constant" | "reflect" | "edge";
  /** What constant padding is filled with; default 0. */
  readonly value?: Operand;
}

/** Pads every axis: `pads` holds the counts before each axis, then the counts after each; a negative count crops. */
export function pad(b: GraphBuilder, x: Value, pads: readonly number[], options: PadOptions = {}): Value {
  const { mode = "constant", value = 0 } = options;
  const fill = typeof value === "number" ? (value === 0 ? undefined : scalarOf(b, value, x.type.dtype)) : value;
  return b.one("Pad", present([x, int64Constant(b, pads), fill]), { mode });
}

export interface SliceRange {
  readonly axes: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** Default 1; a negative step walks backward. */
  readonly steps?: readonly number[];
}

/** A range of some axes, as numpy's `x[start:end:step]`. */
export function slice(b: GraphBuilder, x: Value, range: SliceRange): Value {
  const list = (values: readonly number[]) => int64Constant(b, values);
  const steps = range.steps === undefined || range.steps.every((step) => step === 1) ? undefined : list(range.steps);
  return b.one("Slice", present([x, list(range.starts), list(range.ends), list(range.axes), steps]));
}

/** Consecutive parts of the given sizes along an axis. */
export function split(b: GraphBuilder, x: Value, axis: number, sizes: readonly number[]): readonly Value[] {
  return b.node("Split", [x, int64Constant(b, sizes)], { axis }, { outputCount: sizes.length });
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

/** The tensor repeated along each axis. */
export function tile(b: GraphBuilder, x: Value, repeats: readonly number[]): Value {
  return b.one("Tile", [x, int64Constant(b, repeats)]);
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

function permutationOf(source: Parameters<typeof intsAttribute>[0], rank: number): readonly number[] {
  return intsAttribute(source, "perm", indices(rank).reverse());
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

function concatType(call: OperatorCall): readonly TensorType[] {
  const first = requiredInput(call, 0);
  const axis = axisOf(call, intAttribute(call, "axis"), first.shape.length);
  let size = 0;
  for (let i = 0; i < call.inputs.length; i++) {
    const { dtype, shape } = requiredInput(call, i);
    const fits = dtype === first.dtype && shape.length === first.shape.length;
    if (!fits || shape.some((other, j) => j !== axis && other !== first.shape[j])) {
      throw typeError(call, `input ${i} does not fit the first along axis ${axis}`);
    }
    size += at(shape, axis);
  }
  return [{ dtype: first.dtype, shape: first.shape.map((other, i) => (i === axis ? size : other)) }];
}

function concatGradient({ builder: b, node, input, outputGradient, needed }: GradientContext): (Value | undefined)[] {
  const axis = countFromFront(intAttribute(node, "axis"), input(0).type.shape.length);
  let start = 0;
  return node.inputs.map((_, i) => {
    const end = start + at(input(i).type.shape, axis);
    const range = { axes: [axis], starts: [start], ends: [end] };
    start = end;
    return needed[i] ? slice(b, outputGradient(0), range) : undefined;
  });
}

/** Counts before and after every axis, from the pads and the optional axes of a Pad node. */
function allPads(
  pads: readonly number[],
  axes: readonly number[],
  rank: number,
): { before: number[]; after: number[] } {
  const before = new Array<number>(rank).fill(0);
  const after = new Array<number>(rank).fill(0);
  axes.forEach((axis, i) => {
    before[countFromFront(axis, rank)] = at(pads, i);
    after[countFromFront(axis, rank)] = at(pads, axes.length + i);
  });
  return { before, after };
}

function padType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const rank = shape.length;
  const pads = integersOf(call, 1, "pads");
  const axes = axesOf(call, integersOf(call, 3, "axes") ?? indices(rank), rank);
  if (pads === undefined || pads.length !== 2 * axes.length) {
    throw typeError(call, `pads [${pads ?? ""}] should hold two counts for each of ${axes.length} axes`);
  }
  const { before, after } = allPads(pads, axes, rank);
  const padded = shape.map((size, i) => size + at(before, i) + at(after, i));
  if (padded.some((size) => size < 0)) throw typeError(call, `pads [${pads}] crop more than there is`);
  return [{ dtype, shape: padded }];
}

function padGradient({ builder: b, node, input, outputGradient, needed }: GradientContext): (Value | undefined)[] {
  const mode = stringAttribute(node, "mode", "constant");
  if (mode !== "constant" || needed[2]) {
    const what = mode === "constant" ? "the fill of a Pad" : `Pad with mode ${mode}`;
    throw new UnsupportedError(`there is no gradient of ${what}`, {
      where: showNode(node),
      remedy: "Pad with a constant, or keep what is before this node frozen.",
    });
  }
  if (!needed[0]) return [];
  const { shape } = input(0).type;
  const rank = shape.length;
  const axes = constantIntegers(b, node.inputs[3]) ?? indices(rank);
  const pads = constantIntegers(b, node.inputs[1]) ?? intsAttribute(node, "pads");
  const { before, after } = allPads(pads, axes, rank);
  const dy = outputGradient(0);
  if (![...before, ...after].some((count) => count < 0)) return [cropTo(b, dy, before, shape)];
  return [
    pad(
      b,
      dy,
      [...before, ...after].map((count) => 0 - count),
    ),
  ];
}

/** The part of a tensor that begins at `starts` and has this shape. */
export function cropTo(b: GraphBuilder, x: Value, starts: readonly number[], shape: Shape): Value {
  const axes = indices(shape.length).filter((axis) => at(starts, axis) !== 0 || shape[axis] !== x.type.shape[axis]);
  if (axes.length === 0) return x;
  const from = axes.map((axis) => at(starts, axis));
  return slice(b, x, { axes, starts: from, ends: axes.map((axis, i) => at(from, i) + at(shape, axis)) });
}

/** A range of one axis with its bounds inside the axis: elements start, start + step, …, `count` of them. */
interface AxisRange {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** Bounds as numpy clamps them. */
function axisRange(axis: number, size: number, start: number, end: number, step: number): AxisRange {
  const fromFront = (index: number) => (index < 0 ? index + size : index);
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const clamp = (index: number) => Math.min(Math.max(fromFront(index), low), high);
  const first = step > 0 ? clamp(start) : Math.min(Math.max(fromFront(start), 0), size - 1);
  return { axis, start: first, step, count: Math.max(0, Math.ceil((clamp(end) - first) / step)) };
}

function ranges(
  shape: Shape,
  starts: readonly number[],
  ends: readonly number[],
  axes: readonly number[] | undefined,
  steps: readonly number[] | undefined,
): AxisRange[] {
  return starts.map((start, i) => {
    const axis = countFromFront(axes === undefined ? i : at(axes, i), shape.length);
    return axisRange(axis, at(shape, axis), start, at(ends, i), steps === undefined ? 1 : at(steps, i));
  });
}

function sliceType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const starts = integersOf(call, 1, "starts");
  const ends = integersOf(call, 2, "ends");
  const axes = integersOf(call, 3, "axes");
  const steps = integersOf(call, 4, "steps");
  if (starts === undefined || ends === undefined) throw typeError(call, "starts and ends are missing");
  const lists = [ends, axes ?? starts, steps ?? starts];
  if (lists.some((list) => list.length !== starts.length)) throw typeError(call, "the lists differ in length");
  if (steps?.includes(0)) throw typeError(call, "a step of 0 goes nowhere");
  axesOf(call, axes ?? indices(starts.length), shape.length);
  const result = [...shape];
  for (const { axis, count } of ranges(shape, starts, ends, axes, steps)) result[axis] = count;
  return [{ dtype, shape: result }];
}

/**
 * Puts the gradient where the elements came from. Steps are undone in standard operators by giving each element an axis
 * of its own, padding that axis with zeros to the length of the step, and joining the two axes again.
 */
function sliceGradient({ builder: b, node, input, outputGradient, needed }: GradientContext): (Value | undefined)[] {
  if (!needed[0]) return [];
  const { shape } = input(0).type;
  const list = (index: number, name: string) => {
    const given = constantIntegers(b, node.inputs[index]);
    return given ?? (node.attributes[name] === undefined ? undefined : intsAttribute(node, name));
  };
  const all = ranges(shape, list(1, "starts") ?? [], list(2, "ends") ?? [], list(3, "axes"), list(4, "steps"));
  if (all.some(({ count }) => count === 0)) return [filledLike(b, 0, input(0).type)];
  let gradient = outputGradient(0);
  const backward = all.filter(({ step }) => step < 0).map(({ axis }) => axis);
  if (backward.length > 0) {
    const ends = backward.map(() => Number.MIN_SAFE_INTEGER);
    const minusOnes = backward.map(() => -1);
    gradient = slice(b, gradient, { axes: backward, starts: minusOnes, ends, steps: minusOnes });
  }
  const before = shape.map(() => 0);
  const after = shape.map(() => 0);
  for (const { axis, start, step, count } of all) {
    const stride = Math.abs(step);
    const first = step > 0 ? start : start + (count - 1) * step;
    if (stride > 1) gradient = dilate(b, gradient, axis, stride);
    before[axis] = first;
    after[axis] = at(shape, axis) - first - at(gradient.type.shape, axis);
  }
  return [pad(b, gradient, [...before, ...after])];
}

/** Puts `stride − 1` zeros between the elements of an axis. */
function dilate(b: GraphBuilder, x: Value, axis: number, stride: number): Value {
  const { shape } = x.type;
  const count = at(shape, axis);
  const rank = shape.length;
  const pads = new Array<number>(2 * (rank + 1)).fill(0);
  pads[rank + 1 + axis + 1] = stride - 1;
  const apart = pad(b, reshape(b, x, [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]), pads);
  const joined = reshape(b, apart, [...shape.slice(0, axis), count * stride, ...shape.slice(axis + 1)]);
  return slice(b, joined, { axes: [axis], starts: [0], ends: [(count - 1) * stride + 1] });
}

function splitType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const axis = axisOf(call, intAttribute(call, "axis", 0), shape.length);
  const size = at(shape, axis);
  const sizes = integersOf(call, 1, "split") ?? equalParts(call, size);
  if (sizes.some((part) => part < 0) || sizes.reduce((sum, part) => sum + part, 0) !== size) {
    throw typeError(call, `parts of [${sizes}] do not make up axis ${axis}`);
  }
  return sizes.map((part) => ({ dtype, shape: shape.map((other, i) => (i === axis ? part : other)) }));
}

function equalParts(call: OperatorCall, size: number): number[] {
  const count = intAttribute(call, "num_outputs", call.outputCount ?? 0);
  if (count < 1) throw typeError(call, "neither the sizes nor the number of the parts is given");
  const part = Math.ceil(size / count);
  return indices(count).map((i) => Math.max(0, Math.min(part, size - i * part)));
}

function splitGradient({ builder: b, node, outputGradients, needed }: GradientContext): (Value | undefined)[] {
  if (!needed[0]) return [];
  const parts = node.outputs.map((output, i) => outputGradients[i] ?? filledLike(b, 0, output.type));
  return [concat(b, parts, intAttribute(node, "axis", 0))];
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
  const copies = reshape(
    b,
    outputGradient(0),
    shape.flatMap((size, i) => [at(repeats, i), size]),
  );
  const sum = sumTo(
    b,
    copies,
    shape.flatMap((size) => [1, size]),
  );
  return [reshape(b, sum, shape)];
}

function depthToSpaceType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const block = intAttribute(call, "blocksize");
  const [n, c, h, w] = shape;
  if (shape.length !== 4 || n === undefined || c === undefined || h === undefined || w === undefined) {
    throw typeError(call, "the input should have four axes");
  }
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
  const { dtype, shape } = requiredInput(call, 0);
  const block = intAttribute(call, "blocksize");
  const [n, c, h, w] = shape;
  if (shape.length !== 4 || n === undefined || c === undefined || h === undefined || w === undefined) {
    throw typeError(call, "the input should have four axes");
  }
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

/** The operators of this file. */
export const shapeOperators: readonly OperatorDefinition[] = [
  { op: "Reshape", domain: "", infer: reshapeType, gradient: reshapeBack },
  { op: "Flatten", domain: "", infer: flattenType, gradient: reshapeBack },
  { op: "Squeeze", domain: "", infer: squeezeType, gradient: reshapeBack },
  { op: "Unsqueeze", domain: "", infer: unsqueezeType, gradient: reshapeBack },
  {
    op: "Transpose",
    domain: "",
    infer: transposeType,
    gradient: ({ builder: b, node, input, outputGradient }) => [
      transpose(b, outputGradient(0), inversePermutation(permutationOf(node, input(0).type.shape.length))),
    ],
  },
  { op: "Concat", domain: "", infer: concatType, gradient: concatGradient },
  { op: "Pad", domain: "", infer: padType, gradient: padGradient },
  { op: "Slice", domain: "", infer: sliceType, gradient: sliceGradient },
  { op: "Split", domain: "", infer: splitType, gradient: splitGradient },
  {
    op: "Expand",
    domain: "",
    infer: expandType,
    gradient: ({ builder: b, input, outputGradient, needed }) => [
      needed[0] ? sumTo(b, outputGradient(0), input(0).type.shape) : undefined,
    ],
  },
  { op: "Tile", domain: "", infer: tileType, gradient: tileGradient },
  { op: "DepthToSpace", domain: "", infer: depthToSpaceType, gradient: depthToSpaceGradient },
  {
    op: "SpaceToDepth",
    domain: "",
    infer: spaceToDepthType,
    gradient: ({ builder: b, node, outputGradient }) => [
      depthToSpace(b, outputGradient(0), intAttribute(node, "blocksize")),
    ],
  },
  {
    op: "Dropout",
    domain: "",
    infer: dropoutType,
    gradient: ({ outputGradient }) => [outputGradient(0)],
  },
  { op: "StopGradient", domain: "subbyte", infer: sameAsInput, gradient: noGradient, lower: ({ input }) => [input(0)] },
];

/** The value itself for the forward pass; gradients do not pass. */
export function stopGradient(b: GraphBuilder, x: Value): Value {
  return b.one("StopGradient", [x], {}, { domain: "subbyte" });
}
