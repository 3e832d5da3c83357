/**
 * What an operator's value on constants is written with: elements as numbers in and out, indices, and moving elements without looking.
 *
 * Arithmetic runs in float64 and is rounded when it is stored, which for one float32 operation gives the same result.
 */

import type { Attributes } from "../../../ir/graph.ts";
import { allocate, makeTensor, type Tensor, type TensorData, toInt64, toNumbers } from "../../../ir/tensor.ts";
import { type DType, elementCount, rowMajorStrides, type Shape, type TensorType } from "../../../ir/types.ts";

/** A node with its constant inputs and the types of its outputs. */
export interface FoldCall {
  readonly op: string;
  readonly name: string;
  readonly attributes: Attributes;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly types: readonly TensorType[];
}

/** Returns the outputs, or undefined where the rule cannot compute this case. */
export type Fold = (call: FoldCall) => readonly Tensor[] | undefined;

/** An operator's value on constants. The types of the results come from its type rule, so that a rule only computes elements. */
export interface FoldRule {
  readonly compute: Fold;
  /** Costs no more than a copy of its inputs: worth doing to a weight of any size, whose name the result keeps. */
  readonly copies?: boolean;
  /** Repeats elements: copies of a weight would take it from training. */
  readonly repeats?: boolean;
}

/** A tensor of these elements; integers wrap or saturate as the storage does, int64 saturates. */
export function fromNumbers({ dtype, shape }: TensorType, numbers: ArrayLike<number>): Tensor {
  const data = allocate(dtype, numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i] ?? 0;
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = toInt64(number);
    else data[i] = dtype === "bool" ? Number(number !== 0) : number;
  }
  return makeTensor(dtype, shape, data);
}

/** Whether the evaluator can look into tensors of this type. */
export function hasNumbers(dtype: DType): boolean {
  return !["string", "float16", "bfloat16", "float4e2m1"].includes(dtype) && !dtype.startsWith("float8");
}

/** The elements as numbers, or undefined for element types without any. */
export function numbersOf(tensor: Tensor | undefined): readonly number[] | undefined {
  return tensor === undefined || !hasNumbers(tensor.dtype) ? undefined : toNumbers(tensor);
}

/** A tensor whose element i is element `source(i)` of another, whatever the elements are. */
export function rearranged(tensor: Tensor, shape: Shape, source: (index: number) => number): Tensor {
  const count = elementCount(shape);
  const { data, dtype } = tensor;
  if (!ArrayBuffer.isView(data)) {
    const texts = Array.from({ length: count }, (_, i) => data[source(i)] ?? "");
    return makeTensor(dtype, shape, texts);
  }
  const target = allocate(dtype, count);
  copyElements(target, data, count, source);
  return makeTensor(dtype, shape, target);
}

function copyElements(
  target: Exclude<TensorData, readonly string[]>,
  data: Exclude<TensorData, readonly string[]>,
  count: number,
  source: (index: number) => number,
): void {
  if (target instanceof BigInt64Array || target instanceof BigUint64Array) {
    if (!(data instanceof BigInt64Array || data instanceof BigUint64Array)) return;
    for (let i = 0; i < count; i++) target[i] = data[source(i)] ?? 0n;
    return;
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return;
  for (let i = 0; i < count; i++) target[i] = data[source(i)] ?? 0;
}

/** The position along each axis of the element at a flat index. */
export function unravel(index: number, shape: Shape): number[] {
  const position = new Array<number>(shape.length).fill(0);
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] ?? 1;
    position[axis] = rest % size;
    rest = Math.floor(rest / size);
  }
  return position;
}

/** For each flat index of `shape`, `offset` plus its place along each axis times that axis's stride. */
export function stridedIndex(shape: Shape, strides: readonly number[], offset = 0): (index: number) => number {
  return (index) => {
    let rest = index;
    let source = offset;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = shape[axis] ?? 1;
      source += (rest % size) * (strides[axis] ?? 0);
      rest = Math.floor(rest / size);
    }
    return source;
  };
}

/** The flat index of a position. */
export function ravel(position: readonly number[], shape: Shape): number {
  return rowMajorStrides(shape).reduce((sum, stride, axis) => sum + stride * (position[axis] ?? 0), 0);
}

/** For each flat index of `shape`, the flat index of the element of `from` that broadcasting puts there. */
export function broadcastIndex(from: Shape, shape: Shape): (index: number) => number {
  const missing = shape.length - from.length;
  const strides = rowMajorStrides(from).map((stride, axis) => (from[axis] === 1 ? 0 : stride));
  return stridedIndex(shape, [...new Array<number>(Math.max(missing, 0)).fill(0), ...strides]);
}
