/** Builders of operators that no source file builds: networks get them from files, tests by these functions. */

import { type GraphBuilder, subbyteDomain, type Value } from "../../../src/ir/graph.ts";
import { at, int64Constant, type Operand, scalarOf, valuesOf } from "../../../src/ops/build/operands.ts";
import { sigmoid } from "../../../src/ops/families/activations.ts";
import { add, multiply } from "../../../src/ops/families/elementwise.ts";
import type { ReduceOptions } from "../../../src/ops/families/reduce.ts";

/** x · clip(x/6 + ½, 0, 1) */
export function hardSwish(b: GraphBuilder, x: Value): Value {
  return b.one("HardSwish", [x]);
}

/** x where positive, alpha·x elsewhere. */
export function leakyRelu(b: GraphBuilder, x: Value, alpha = 0.01): Value {
  return b.one("LeakyRelu", [x], { alpha: { float: alpha } });
}

/** x where positive, slope·x elsewhere; the slope broadcasts to x. */
export function prelu(b: GraphBuilder, x: Value, slope: Value): Value {
  return b.one("PRelu", [x, slope]);
}

/** x where positive, alpha·(e^x − 1) elsewhere. */
export function elu(b: GraphBuilder, x: Value, alpha = 1): Value {
  return b.one("Elu", [x], { alpha: { float: alpha } });
}

/** x · tanh(softplus(x)) */
export function mish(b: GraphBuilder, x: Value): Value {
  return b.one("Mish", [x]);
}

/** x · sigmoid(x), as its two operators. */
export function swish(b: GraphBuilder, x: Value): Value {
  return multiply(b, x, sigmoid(b, x));
}

/** Both of two booleans. */
export function and(b: GraphBuilder, x: Value, y: Value): Value {
  return b.one("And", [x, y]);
}

/** One of two booleans, or both. */
export function or(b: GraphBuilder, x: Value, y: Value): Value {
  return b.one("Or", [x, y]);
}

/** One of two booleans, not both. */
export function xor(b: GraphBuilder, x: Value, y: Value): Value {
  return b.one("Xor", [x, y]);
}

/** The opposite boolean. */
export function not(b: GraphBuilder, x: Value): Value {
  return b.one("Not", [x]);
}

/** True where x is not a number. */
export function isNotANumber(b: GraphBuilder, x: Value): Value {
  return b.one("IsNaN", [x]);
}

/** True where x is infinite. */
export function isInfinite(b: GraphBuilder, x: Value): Value {
  return b.one("IsInf", [x]);
}

/** The sum of one or more values. */
export function addAll(b: GraphBuilder, values: readonly Value[]): Value {
  return values.slice(1).reduce((sum, value) => add(b, sum, value), at(values, 0));
}

/** The remainder of x / y; with the sign of y, or of x when `truncated` (C's fmod, the only form for floats). */
export function modulo(b: GraphBuilder, x: Operand, y: Operand, truncated = false): Value {
  return b.one("Mod", valuesOf(b, [x, y]), { fmod: truncated ? 1 : 0 });
}

function reduction(op: string) {
  return (b: GraphBuilder, x: Value, axes?: readonly number[], { keepDimensions = true }: ReduceOptions = {}) =>
    b.one(op, axes === undefined ? [x] : [x, int64Constant(b, axes)], { keepdims: keepDimensions ? 1 : 0 });
}

/** The product over some axes, or over all. */
export const reduceProduct = reduction("ReduceProd");
/** The sum of absolute values over some axes, or over all. */
export const reduceL1 = reduction("ReduceL1");
/** The square root of the sum of squares over some axes, or over all. */
export const reduceL2 = reduction("ReduceL2");
/** The sum of squares over some axes, or over all. */
export const reduceSumSquare = reduction("ReduceSumSquare");
/** log Σ exp over some axes, or over all. */
export const reduceLogSumExp = reduction("ReduceLogSumExp");
/** The place of the first largest element along an axis, int64. */
export function argMax(b: GraphBuilder, x: Value, axis: number, { keepDimensions = true }: ReduceOptions = {}): Value {
  return b.one("ArgMax", [x], { axis, keepdims: keepDimensions ? 1 : 0 });
}

/** The place of the first smallest element along an axis, int64. */
export function argMin(b: GraphBuilder, x: Value, axis: number, { keepDimensions = true }: ReduceOptions = {}): Value {
  return b.one("ArgMin", [x], { axis, keepdims: keepDimensions ? 1 : 0 });
}

/** The k largest elements along an axis, in falling order, and their places. */
export function topK(
  b: GraphBuilder,
  x: Value,
  k: number,
  options: TopKOptions = {},
): { values: Value; places: Value } {
  const { axis = -1, largest = true } = options;
  const outputs = b.node("TopK", [x, int64Constant(b, [k])], { axis, largest: largest ? 1 : 0, sorted: 1 });
  return { values: at(outputs, 0), places: at(outputs, 1) };
}

/** The shape of a tensor, int64. */
export function shapeOf(b: GraphBuilder, x: Value): Value {
  return b.one("Shape", [x]);
}

/** The number of elements of a tensor, int64. */
export function sizeOf(b: GraphBuilder, x: Value): Value {
  return b.one("Size", [x]);
}

/** The integers from `start` up to, without, `end`, as int64. */
export function range(b: GraphBuilder, start: number, end: number, step = 1): Value {
  return b.one(
    "Range",
    [start, end, step].map((number) => scalarOf(b, number, "int64")),
  );
}

/** Axis and order of a TopK. */
export interface TopKOptions {
  /** Default last. */
  readonly axis?: number;
  /** Default true: the largest elements. */
  readonly largest?: boolean;
}

/** The tensor repeated along each axis. */
export function tile(b: GraphBuilder, x: Value, repeats: readonly number[]): Value {
  return b.one("Tile", [x, int64Constant(b, repeats)]);
}

/** Quantizes to uint8 with a scale and zero point from the tensor's own range. */
export function dynamicQuantizeLinear(b: GraphBuilder, x: Value): DynamicallyQuantized {
  const outputs = b.node("DynamicQuantizeLinear", [x]);
  return { codes: at(outputs, 0), scale: at(outputs, 1), zeroPoint: at(outputs, 2) };
}

/** Codes with the scale and zero point of their range. */
export interface DynamicallyQuantized {
  /** uint8. */
  readonly codes: Value;
  readonly scale: Value;
  readonly zeroPoint: Value;
}

/** x repeated along `axis`, `factor` times the first size of the reference. */
export function expandBatch(b: GraphBuilder, x: Value, reference: Value, axis = 0, factor = 1): Value {
  return b.one("ExpandBatch", [x, reference], { axis, factor }, { domain: subbyteDomain });
}
