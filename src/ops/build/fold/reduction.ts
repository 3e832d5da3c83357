/** Values of reductions, running sums and small matrix products on constants. */

import { intAttribute } from "../../../ir/attributes.ts";
import type { Tensor } from "../../../ir/tensor.ts";
import { elementCount } from "../../../ir/types.ts";
import { type Fold, type FoldRule, fromNumbers, numbersOf, unravel } from "./data.ts";

/** The order in which a reduction reads its elements. */
export interface Reduction {
  readonly start: number;
  readonly step: (total: number, value: number) => number;
  readonly end?: (total: number, count: number) => number;
}

function axesOf(axes: Tensor | undefined, attribute: unknown, rank: number): number[] {
  const given = numbersOf(axes) ?? (Array.isArray(attribute) ? attribute.map(Number) : []);
  return given.map((axis) => (axis < 0 ? axis + rank : axis));
}

function reduction({ start, step, end }: Reduction): Fold {
  return (call) => {
    const [input, axesInput] = call.inputs;
    const [type] = call.types;
    const numbers = numbersOf(input);
    if (input === undefined || type === undefined || numbers === undefined) return undefined;
    const rank = input.shape.length;
    const given = axesOf(axesInput, call.attributes.axes, rank);
    if (given.length === 0 && intAttribute(call, "noop_with_empty_axes", 0) === 1) return [input];
    const isReduced = (axis: number) => given.length === 0 || given.includes(axis);
    const kept = input.shape.map((size, axis) => (isReduced(axis) ? 1 : size));
    const totals = new Float64Array(elementCount(kept)).fill(start);
    numbers.forEach((value, i) => {
      const place = unravel(i, input.shape);
      const target = kept.reduce((sum, size, axis) => sum * size + (isReduced(axis) ? 0 : (place[axis] ?? 0)), 0);
      totals[target] = step(totals[target] ?? start, value);
    });
    const count = totals.length === 0 ? 0 : numbers.length / totals.length;
    return [fromNumbers(type, end === undefined ? totals : totals.map((total) => end(total, count)))];
  };
}

const matmul: Fold = ({ inputs: [left, right], types: [type] }) => {
  const [a, b] = [numbersOf(left), numbersOf(right)];
  if (left === undefined || right === undefined || a === undefined || b === undefined || type === undefined) {
    return undefined;
  }
  const [rows = 0, inner = 0] = left.shape;
  const [, columns = 0] = right.shape;
  const fits = left.shape.length === 2 && right.shape.length === 2 && rows * columns * inner <= 1 << 22;
  if (!fits) return undefined;
  const result = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < inner; k++) {
      const factor = a[i * inner + k] ?? 0;
      for (let j = 0; j < columns; j++) {
        result[i * columns + j] = (result[i * columns + j] ?? 0) + factor * (b[k * columns + j] ?? 0);
      }
    }
  }
  return [fromNumbers(type, result)];
};

const cumulativeSum: Fold = (call) => {
  const [input, axisInput] = call.inputs;
  const [type] = call.types;
  const numbers = numbersOf(input);
  if (input === undefined || type === undefined || numbers === undefined) return undefined;
  const plain = intAttribute(call, "exclusive", 0) === 0 && intAttribute(call, "reverse", 0) === 0;
  const given = numbersOf(axisInput)?.[0] ?? 0;
  const axis = given < 0 ? given + input.shape.length : given;
  if (!plain) return undefined;
  const stride = elementCount(input.shape.slice(axis + 1));
  const result = Float64Array.from(numbers);
  result.forEach((value, i) => {
    if ((unravel(i, input.shape)[axis] ?? 0) > 0) result[i] = value + (result[i - stride] ?? 0);
  });
  return [fromNumbers(type, result)];
};

/** The value of a reduction: every element steps a total on, which a last function may change. */
export function foldReduction(reduced: Reduction): FoldRule {
  return { compute: reduction(reduced) };
}

/** The value of MatMul, for two matrices of moderate size. */
export const foldMatmul: FoldRule = { compute: matmul };
/** The value of CumSum. */
export const foldCumulativeSum: FoldRule = { compute: cumulativeSum };
