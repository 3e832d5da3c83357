/**
 * Cutting tensors and joining them: Concat, Split, Slice and Pad, which are each other's gradients.
 *
 * Bounds and pads must be known when the graph is built, as constants or as the attributes of older opsets.
 */

import { UnsupportedError } from "../../../errors.ts";
import { intAttribute, intsAttribute, stringAttribute } from "../../../ir/attributes.ts";
import { type GraphBuilder, type OperatorCall, showNode, type Value } from "../../../ir/graph.ts";
import { toNumbers } from "../../../ir/tensor.ts";
import type { Shape, TensorType } from "../../../ir/types.ts";
import { foldConcat, foldPad, foldSlice, foldSplit } from "../../build/fold/layout.ts";
import { arrangesAll, arrangesFirst } from "../../build/fold/symbolic.ts";
import {
  at,
  axesOf,
  axisOf,
  constantIntegers,
  countFromFront,
  indices,
  int64Constant,
  integersOf,
  type Operand,
  present,
  scalarOf,
} from "../../build/operands.ts";
import { type GradientContext, type OperatorDefinition, requiredInput, typeError } from "../../definition.ts";
import { tokens } from "../../inputs.ts";
import { onlyInput } from "../../rewrite/simplify.ts";
import { padUpgrades, sliceUpgrades, splitUpgrades } from "../../rewrite/upgrades.ts";
import { filledLike, reshape } from "./reshaping.ts";

/** The values one after the other along an axis. */
export function concat(b: GraphBuilder, values: readonly Value[], axis: number): Value {
  return values.length === 1 ? at(values, 0) : b.one("Concat", values, { axis });
}

/** Mode and value of a padding. */
export interface PadOptions {
  readonly mode?: "constant" | "reflect" | "edge" | "wrap";
  /** The value of constant padding; default 0. */
  readonly value?: Operand;
}

/** Pads every axis: `pads` holds the counts before each axis, then the counts after each; a negative count crops. */
export function pad(b: GraphBuilder, x: Value, pads: readonly number[], options: PadOptions = {}): Value {
  const { mode = "constant", value = 0 } = options;
  const fill = typeof value === "number" ? (value === 0 ? undefined : scalarOf(b, value, x.type.dtype)) : value;
  return b.one("Pad", present([x, int64Constant(b, pads), fill]), { mode });
}

/** Axes with their starts, ends and steps. */
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
  if (padded.some((size) => size < 0)) throw typeError(call, `pads [${pads}] crop more than the input has`);
  return [{ dtype, shape: padded }];
}

function padGradient({ builder: b, node, input, outputGradient, needed }: GradientContext): (Value | undefined)[] {
  const mode = stringAttribute(node, "mode", "constant");
  if (needed[2]) {
    throw new UnsupportedError("there is no gradient of the fill of a Pad", {
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
  if (mode !== "constant") {
    const folded = shape.reduce(
      (gradient, size, axis) =>
        foldBack(b, gradient, axis, size, paddedFrom(mode, size, at(before, axis), at(after, axis))),
      dy,
    );
    return [folded];
  }
  const added = [...before, ...after];
  if (!added.some((count) => count < 0)) return [cropTo(b, dy, before, shape)];
  const removed = added.map((count) => 0 - count);
  return [pad(b, dy, removed)];
}

/** Returns the place that each element of a padded axis is copied from. Negative counts crop, before the rest is padded. */
function paddedFrom(mode: string, whole: number, before: number, after: number): number[] {
  const cropped = Math.max(0, -before);
  const size = whole - cropped - Math.max(0, -after);
  const wrapped = (place: number, period: number) => ((place % period) + period) % period;
  const placeOf = (place: number): number => {
    if (mode === "wrap") return wrapped(place, size);
    if (mode === "edge" || size === 1) return Math.min(Math.max(place, 0), size - 1);
    const reflected = wrapped(place, 2 * (size - 1));
    return Math.min(reflected, 2 * (size - 1) - reflected);
  };
  return indices(whole + before + after).map((i) => cropped + placeOf(i - Math.max(0, before)));
}

/** Neighbours of an axis that are copied from neighbours of another: `step` 1 in order, −1 backward, 0 all from one. */
interface CopiedRun {
  readonly start: number;
  readonly count: number;
  readonly lowest: number;
  readonly step: number;
}

/** Returns the longest runs of an axis whose elements are copied from these places. */
function copiedRuns(from: readonly number[]): CopiedRun[] {
  const runs: CopiedRun[] = [];
  let start = 0;
  while (start < from.length) {
    const first = at(from, start);
    const next = (from[start + 1] ?? first + 1) - first;
    const step = Math.abs(next) > 1 ? 1 : next;
    let count = 1;
    while (start + count < from.length && at(from, start + count) === first + count * step) count++;
    const lowest = Math.min(first, first + (count - 1) * step);
    runs.push({ start, count, lowest, step });
    start += count;
  }
  return runs;
}

/** Adds the gradient of each element of an axis to that of the element it was copied from; `size` of these. */
function foldBack(b: GraphBuilder, dy: Value, axis: number, size: number, from: readonly number[]): Value {
  const rank = dy.type.shape.length;
  const parts = copiedRuns(from).map(({ start, count, lowest, step }) => {
    const end = start + count;
    const range =
      step < 0 ? { starts: [end - 1], ends: [start - 1 - from.length], steps: [-1] } : { starts: [start], ends: [end] };
    let part = count === from.length && step > 0 ? dy : slice(b, dy, { axes: [axis], ...range });
    if (step === 0) part = b.one("ReduceSum", [part, int64Constant(b, [axis])], { keepdims: 1 });
    const length = step === 0 ? 1 : count;
    if (length === size) return part;
    const pads = new Array<number>(2 * rank).fill(0);
    pads[axis] = lowest;
    pads[rank + axis] = size - lowest - length;
    return pad(b, part, pads);
  });
  const [first = dy, ...others] = parts;
  return others.reduce((sum, part) => b.one("Add", [sum, part]), first);
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
  if (steps?.includes(0)) throw typeError(call, "the step must not be 0");
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

/** Tensors one after another along an axis. */
export const concatOperator: OperatorDefinition = {
  op: "Concat",
  domain: "",
  inputs: [tokens("x")],
  fold: foldConcat,
  symbolic: arrangesAll,
  simplify: onlyInput,
  infer: concatType,
  gradient: concatGradient,
  traits: { movement: true, nonNegative: "when-all-inputs" },
};

/** A range of elements along axes. */
export const sliceOperator: OperatorDefinition = {
  op: "Slice",
  domain: "",
  upgrades: sliceUpgrades,
  infer: sliceType,
  gradient: sliceGradient,
  fold: foldSlice,
  symbolic: arrangesFirst,
  traits: { movement: true, passesCodes: "moved", nonNegative: "when-first-input" },
};

/** The operators of this file. */
export const slicingOperators: readonly OperatorDefinition[] = [
  concatOperator,
  {
    op: "Pad",
    domain: "",
    infer: padType,
    gradient: padGradient,
    fold: foldPad,
    upgrades: padUpgrades,
    traits: {
      movement: true,
      nonNegative: ({ isNonNegative, constant }) => {
        const fill = constant(2);
        return isNonNegative(0) && (fill === undefined || toNumbers(fill).every((value) => value >= 0));
      },
    },
  },
  sliceOperator,
  {
    op: "Split",
    domain: "",
    upgrades: splitUpgrades,
    infer: splitType,
    gradient: splitGradient,
    fold: foldSplit,
    symbolic: arrangesFirst,
    traits: { movement: true, passesCodes: "moved", nonNegative: "when-first-input" },
  },
];
