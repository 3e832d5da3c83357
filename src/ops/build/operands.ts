/**
 * Helpers of all operator families: scalars in place of values, shared index constants, axes counted from the end.
 */

import { GraphError } from "../../errors.ts";
import { type AttributeSource, intsAttribute } from "../../ir/attributes.ts";
import type { GraphBuilder, OperatorCall, Value } from "../../ir/graph.ts";
import { allocate, int64Tensor, makeTensor, type Tensor, toNumbers } from "../../ir/tensor.ts";
import type { DType, TensorType } from "../../ir/types.ts";
import { dtypeToOnnx } from "../../onnx/wire/proto.ts";
import { requiredConstant, requiredInput, typeError } from "../definition.ts";

/** A value, or a number that becomes a scalar constant of the other operand's element type. */
export type Operand = Value | number;

/** A constant list of integers, for axes, shapes and pads. */
export function int64Constant(b: GraphBuilder, values: readonly number[]): Value {
  return b.constant(int64Tensor(values), `i${values.join("_")}`);
}

/** A scalar constant of any element type that has plain numbers, and of the 16-bit floats. */
export function scalarOf(b: GraphBuilder, number: number, dtype: DType): Value {
  if (dtype === "float32") return b.scalar(number);
  if (dtype === "float16" || dtype === "bfloat16") return b.one("Cast", [b.scalar(number)], { to: dtypeToOnnx(dtype) });
  const data = allocate(dtype, 1);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[0] = BigInt(number);
  else data[0] = number;
  return b.constant(makeTensor(dtype, [], data), `c${number}`);
}

/** The operands as values; a number takes the element type of the first value among them, or float32. */
export function valuesOf(b: GraphBuilder, operands: readonly Operand[]): Value[] {
  const dtype = operands.find((operand): operand is Value => typeof operand !== "number")?.type.dtype ?? "float32";
  return operands.map((operand) => (typeof operand === "number" ? scalarOf(b, operand, dtype) : operand));
}

/** A value at an index that exists by construction. @throws GraphError when it does not. */
export function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) throw new GraphError(`there is no item ${index} in a list of ${items.length}`);
  return item;
}

/** An axis counted from the front, for a tensor of `rank` axes. @throws GraphError when there is no such axis. */
export function axisOf(call: OperatorCall, axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= rank) {
    throw typeError(call, `axis ${axis} does not exist in a tensor of ${rank} axes`);
  }
  return positive;
}

/** Axes counted from the front, each once. @throws GraphError for an axis that does not exist or comes twice. */
export function axesOf(call: OperatorCall, axes: readonly number[], rank: number): number[] {
  const positive = axes.map((axis) => axisOf(call, axis, rank));
  if (new Set(positive).size !== positive.length) throw typeError(call, `axes ${axes} name an axis twice`);
  return positive;
}

/** An axis counted from the front, where the node was already checked. */
export function countFromFront(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** `0, 1, …, count - 1`. */
export function indices(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** The product of some sizes. */
export function product(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total * size, 1);
}

/** Integers given as an attribute in older opsets and as a constant input in newer ones; undefined when left out. */
export function integersOf(call: OperatorCall, input: number, attribute: string): readonly number[] | undefined {
  if (call.inputs[input] !== undefined) return toNumbers(requiredConstant(call, input));
  const value = call.attributes[attribute];
  if (value === undefined) return undefined;
  if (typeof value === "number") return [value];
  if (Array.isArray(value)) return value.map(Number);
  throw typeError(call, `attribute ${attribute} should be a list of integers`);
}

/** The order of the axes that a Transpose of `rank` axes makes; without the attribute it reverses them. */
export function permutationOf(source: AttributeSource, rank: number): readonly number[] {
  return intsAttribute(source, "perm", indices(rank).reverse());
}

/** The integers behind a constant value of a checked node. @throws GraphError when it is computed. */
export function constantIntegers(b: GraphBuilder, value: Value | undefined): number[] | undefined {
  if (value === undefined) return undefined;
  const tensor: Tensor | undefined = b.constantOf(value);
  if (tensor === undefined) throw new GraphError(`"${value.name}" should be a constant`);
  return toNumbers(tensor);
}

/** Inputs without the optional ones that were left out at the end. */
export function present(inputs: readonly (Value | undefined)[]): readonly (Value | undefined)[] {
  return inputs.slice(0, inputs.findLastIndex((input) => input !== undefined) + 1);
}

/** The element type that all inputs share. @throws GraphError when they differ. */
export function commonDtype(call: OperatorCall): DType {
  const first = requiredInput(call, 0).dtype;
  for (const type of call.inputs) {
    if (type !== undefined && type.dtype !== first) throw typeError(call, "the element types differ");
  }
  return first;
}

/** Whether an element type is a floating-point type that arithmetic runs in. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float64" || dtype === "float16" || dtype === "bfloat16";
}

/** Type rule of operators whose output is like their first input. */
export function sameAsInput(call: OperatorCall): readonly TensorType[] {
  return [requiredInput(call, 0)];
}

/** Gradient rule of operators that are flat almost everywhere, or whose outputs are integers or booleans. */
export function noGradient(): readonly undefined[] {
  return [];
}
