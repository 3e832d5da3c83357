/**
 * Reductions over axes, the places of extrema, and cumulative sums.
 *
 * ReduceMax and ReduceMin share the gradient evenly among ties, as torch's amax and amin do.
 */

import { intAttribute } from "../../ir/attributes.ts";
import type { GraphBuilder, Node, OperatorCall, Value } from "../../ir/graph.ts";
import { toNumbers } from "../../ir/tensor.ts";
import type { Shape, TensorType } from "../../ir/types.ts";
import { foldCumulativeSum, foldReduction } from "../build/fold/reduction.ts";
import { symbolicReduceProduct, symbolicReduceSum } from "../build/fold/symbolic.ts";
import { notNegative } from "../build/masks.ts";
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
  product,
} from "../build/operands.ts";
import {
  type GradientContext,
  type OperatorColumns,
  type OperatorDefinition,
  requiredConstant,
  requiredInput,
} from "../definition.ts";
import { reduceMeanUpgrades, reduceSumUpgrades, reduceUpgrades } from "../rewrite/upgrades.ts";
import { divide, exponential, maximum, multiply, subtract } from "./elementwise.ts";
import { expand, reshape } from "./shape/shape-ops.ts";

/** Whether reduced axes stay. */
export interface ReduceOptions {
  /** Whether the reduced axes stay, with size 1. Default true, as in ONNX. */
  readonly keepDimensions?: boolean;
}

type Reduction = (b: GraphBuilder, x: Value, axes?: readonly number[], options?: ReduceOptions) => Value;

function reduction(op: string): Reduction {
  return (b, x, axes, { keepDimensions = true } = {}) =>
    b.one(op, axes === undefined ? [x] : [x, int64Constant(b, axes)], { keepdims: keepDimensions ? 1 : 0 });
}

/** The sum over some axes, or over all. */
export const reduceSum = reduction("ReduceSum");
/** The mean over some axes, or over all. */
export const reduceMean = reduction("ReduceMean");
/** The largest element over some axes, or over all. */
export const reduceMax = reduction("ReduceMax");
/** The smallest element over some axes, or over all. */
export const reduceMin = reduction("ReduceMin");

/** Direction of a cumulative sum, and whether it excludes the element itself. */
export interface CumulativeSumOptions {
  /** Whether an element is left out of its own sum. */
  readonly exclusive?: boolean;
  /** Whether sums run from the end. */
  readonly reverse?: boolean;
}

/** The sums of the elements up to each place of an axis. */
export function cumulativeSum(b: GraphBuilder, x: Value, axis: number, options: CumulativeSumOptions = {}): Value {
  const { exclusive = false, reverse = false } = options;
  const attributes = { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 };
  return b.one("CumSum", [x, int64Constant(b, [axis])], attributes);
}

function reducedShape(shape: Shape, axes: readonly number[], keepDimensions: boolean): number[] {
  const reduced = shape.map((size, i) => (axes.includes(i) ? 1 : size));
  return keepDimensions ? reduced : reduced.filter((_, i) => !axes.includes(i));
}

function reduceType(call: OperatorCall): readonly TensorType[] {
  const { dtype, shape } = requiredInput(call, 0);
  const given = integersOf(call, 1, "axes");
  const noAxes = given === undefined || given.length === 0;
  if (noAxes && intAttribute(call, "noop_with_empty_axes", 0) === 1) return [{ dtype, shape }];
  const axes = noAxes ? indices(shape.length) : axesOf(call, given, shape.length);
  return [{ dtype, shape: reducedShape(shape, axes, intAttribute(call, "keepdims", 1) === 1) }];
}

/** The axes that a checked node reduces, counted from the front. */
function reducedAxes(b: GraphBuilder, node: Node, rank: number): number[] {
  const attribute = node.attributes.axes;
  const given = constantIntegers(b, node.inputs[1]) ?? (Array.isArray(attribute) ? attribute.map(Number) : []);
  if (given.length > 0) return given.map((axis) => countFromFront(axis, rank));
  return intAttribute(node, "noop_with_empty_axes", 0) === 1 ? [] : indices(rank);
}

/** The operands that the gradient rules of reductions share: the output and its gradient with the reduced axes kept. */
interface ReduceContext {
  readonly b: GraphBuilder;
  readonly x: Value;
  readonly axes: readonly number[];
  readonly count: number;
  readonly dy: Value;
  /** The output, on demand. */
  readonly y: () => Value;
}

/** A reduction by its gradient, which may still have to be broadcast to the shape of the input. */
function reduceOperator(
  op: string,
  rule: (context: ReduceContext) => Value,
  columns: OperatorColumns = {},
): OperatorDefinition {
  const gradient = ({ builder: b, node, input, output, outputGradient, needed }: GradientContext) => {
    if (!needed[0]) return [];
    const x = input(0);
    const { shape } = x.type;
    const axes = reducedAxes(b, node, shape.length);
    const kept = reducedShape(shape, axes, true);
    const count = product(axes.map((axis) => at(shape, axis)));
    const dy = reshape(b, outputGradient(0), kept);
    return [expand(b, rule({ b, x, axes, count, dy, y: () => reshape(b, output(0), kept) }), shape)];
  };
  return { op, domain: "", infer: reduceType, gradient, upgrades: reduceUpgrades, ...columns };
}

/** dy shared among the elements that equal the extremum; `below` is not positive, and zero there. */
function shareAmongTies({ b, axes, dy }: ReduceContext, below: Value): Value {
  const ties = notNegative(b, below);
  return multiply(b, ties, divide(b, dy, reduceSum(b, ties, axes)));
}

function placeType(call: OperatorCall): readonly TensorType[] {
  const { shape } = requiredInput(call, 0);
  const axis = axisOf(call, intAttribute(call, "axis", 0), shape.length);
  return [{ dtype: "int64", shape: reducedShape(shape, [axis], intAttribute(call, "keepdims", 1) === 1) }];
}

function cumulativeType(call: OperatorCall): readonly TensorType[] {
  const input = requiredInput(call, 0);
  for (const axis of toNumbers(requiredConstant(call, 1))) axisOf(call, axis, input.shape.length);
  return [input];
}

/** The mean along axes. */
export const reduceMeanOperator: OperatorDefinition = reduceOperator(
  "ReduceMean",
  ({ b, dy, count }) => multiply(b, dy, 1 / count),
  {
    upgrades: reduceMeanUpgrades,
    blocked: "reduction",
    traits: { readsCodes: true },
    fold: foldReduction({ start: 0, step: (total, value) => total + value, end: (total, n) => total / n }),
  },
);

/** The sum along axes. */
export const reduceSumOperator: OperatorDefinition = reduceOperator("ReduceSum", ({ dy }) => dy, {
  upgrades: reduceSumUpgrades,
  blocked: "reduction",
  fold: foldReduction({ start: 0, step: (total, value) => total + value }),
  symbolic: symbolicReduceSum,
});

/** The operators of this file. */
export const reduceOperators: readonly OperatorDefinition[] = [
  reduceSumOperator,
  reduceMeanOperator,
  reduceOperator("ReduceMax", (context) => shareAmongTies(context, subtract(context.b, context.x, context.y())), {
    blocked: "reduction",
    fold: foldReduction({ start: Number.NEGATIVE_INFINITY, step: Math.max }),
  }),
  reduceOperator("ReduceMin", (context) => shareAmongTies(context, subtract(context.b, context.y(), context.x)), {
    blocked: "reduction",
    fold: foldReduction({ start: Number.POSITIVE_INFINITY, step: Math.min }),
  }),
  // By division, so it needs elements other than zero.
  reduceOperator("ReduceProd", ({ b, x, y, dy }) => divide(b, multiply(b, dy, y()), x), {
    fold: foldReduction({ start: 1, step: (total, value) => total * value }),
    symbolic: symbolicReduceProduct,
  }),
  reduceOperator("ReduceL1", ({ b, x, dy }) => multiply(b, dy, b.one("Sign", [x])), {
    fold: foldReduction({ start: 0, step: (total, value) => total + Math.abs(value) }),
  }),
  // The norm of zeros has no gradient; torch's is zero, and the floor keeps 0 / 0 out.
  reduceOperator("ReduceL2", ({ b, x, y, dy }) => multiply(b, x, divide(b, dy, maximum(b, y(), 1e-30))), {
    fold: foldReduction({ start: 0, step: (total, value) => total + value * value, end: Math.sqrt }),
  }),
  reduceOperator("ReduceSumSquare", ({ b, x, dy }) => multiply(b, x, multiply(b, dy, 2)), {
    fold: foldReduction({ start: 0, step: (total, value) => total + value * value }),
  }),
  reduceOperator("ReduceLogSum", ({ b, y, dy }) => divide(b, dy, exponential(b, y()))),
  reduceOperator("ReduceLogSumExp", ({ b, x, y, dy }) => multiply(b, dy, exponential(b, subtract(b, x, y())))),
  { op: "ArgMax", domain: "", infer: placeType, gradient: noGradient },
  { op: "ArgMin", domain: "", infer: placeType, gradient: noGradient },
  {
    op: "CumSum",
    domain: "",
    infer: cumulativeType,
    fold: foldCumulativeSum,
    gradient: ({ builder: b, node, outputGradient, needed }) => {
      if (!needed[0]) return [];
      const attributes = {
        exclusive: intAttribute(node, "exclusive", 0),
        reverse: 1 - intAttribute(node, "reverse", 0),
      };
      return [b.one("CumSum", [outputGradient(0), node.inputs[1]], attributes)];
    },
  },
];
