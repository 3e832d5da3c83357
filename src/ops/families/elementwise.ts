/**
 * Elementwise arithmetic with broadcasting, and functions of one tensor.
 *
 * The gradient of a broadcast operand is summed back to its shape. minimum and maximum share the gradient at ties, half
 * each, as torch does; rounding has none. A slope that is infinite at zero, as that of a root, is only very large here: masks
 * are products, and where torch's mask gives zero, zero times infinity would not be a number.
 */

import { roundHalfEven } from "../../base/rounding.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { toNumbers } from "../../ir/tensor.ts";
import { broadcastType, sumTo } from "../build/broadcast.ts";
import { foldBinary, foldModulo, foldRound, foldUnary, foldVariadic } from "../build/fold/elementwise.ts";
import { foldReshape } from "../build/fold/layout.ts";
import {
  arrangesFirst,
  symbolicDifference,
  symbolicLargest,
  symbolicNegative,
  symbolicProduct,
  symbolicQuotient,
  symbolicSmallest,
  symbolicSum,
  symbolicTotal,
} from "../build/fold/symbolic.ts";
import {
  differenceOfEach,
  errorFunction,
  largestOfEach,
  meanOfEach,
  negativeOfEach,
  powerOfEach,
  productOfEach,
  quotientOfEach,
  smallestOfEach,
  sumOfEach,
} from "../build/functions-of-one.ts";
import { halfAtZero } from "../build/masks.ts";
import { at, noGradient, type Operand, sameAsInput, valuesOf } from "../build/operands.ts";
import type { GradientContext, GradientRule, OperatorColumns, OperatorDefinition } from "../definition.ts";
import { operand } from "../inputs.ts";
import { firstInput, onlyInput } from "../rewrite/simplify.ts";
import { moduloUpgrades, powerUpgrades } from "../rewrite/upgrades.ts";

type Binary = (b: GraphBuilder, x: Operand, y: Operand) => Value;
type Unary = (b: GraphBuilder, x: Value) => Value;

function binary(op: string): Binary {
  return (b, x, y) => b.one(op, valuesOf(b, [x, y]));
}

function unary(op: string): Unary {
  return (b, x) => b.one(op, [x]);
}

/** x + y */
export const add = binary("Add");
/** x − y */
export const subtract = binary("Sub");
/** x · y */
export const multiply = binary("Mul");
/** x / y */
export const divide = binary("Div");
/** x to the power y */
export const power = binary("Pow");
/** The smaller of x and y. */
export const minimum = binary("Min");
/** The larger of x and y. */
export const maximum = binary("Max");
/** −x */
export const negate = unary("Neg");
/** |x| */
export const absolute = unary("Abs");
/** √x */
export const squareRoot = unary("Sqrt");
/** 1 / x */
export const reciprocal = unary("Reciprocal");
/** e to the power x */
export const exponential = unary("Exp");
/** The natural logarithm. */
export const logarithm = unary("Log");
/** To the nearest integer, halves to the even one. */
export const round = unary("Round");
/** The largest integer not above x. */
export const floor = unary("Floor");
/** The smallest integer not below x. */
export const ceil = unary("Ceil");
/** −1, 0 or 1. */
export const sign = unary("Sign");
/** The error function. */
export const erf = unary("Erf");
/** sin x, in radians. */
export const sine = unary("Sin");
/** cos x, in radians. */
export const cosine = unary("Cos");
/** The value itself, as a node of its own. */
export const identity = unary("Identity");

/** The sum of any number of values of one shape, as one node. */
export function sum(b: GraphBuilder, values: readonly Value[]): Value {
  return b.one("Sum", values);
}

/** x² */
export function square(b: GraphBuilder, x: Value): Value {
  return multiply(b, x, x);
}

/** A function of one tensor, by the factor of its gradient; y is the output, at hand for free. */
function unaryOperator(
  op: string,
  factor: (b: GraphBuilder, x: Value, y: () => Value) => Value,
  columns: OperatorColumns = {},
): OperatorDefinition {
  return {
    op,
    domain: "",
    infer: sameAsInput,
    ...columns,
    gradient: ({ builder: b, input, output, outputGradient }) => [
      multiply(
        b,
        outputGradient(0),
        factor(b, input(0), () => output(0)),
      ),
    ],
  };
}

function flatOperator(op: string, columns: OperatorColumns): OperatorDefinition {
  return { op, domain: "", infer: sameAsInput, gradient: noGradient, blocked: "pointwise", ...columns };
}

/** An operator of two broadcast tensors, by its two partial gradients. */
function binaryOperator(
  op: string,
  left: (context: GradientContext) => Value,
  right: (context: GradientContext) => Value,
  columns: OperatorColumns = {},
): OperatorDefinition {
  return {
    op,
    domain: "",
    infer: broadcastType,
    blocked: "pointwise",
    ...columns,
    gradient: (context) => {
      const { builder: b, input, needed } = context;
      return [
        needed[0] ? sumTo(b, left(context), input(0).type.shape) : undefined,
        needed[1] ? sumTo(b, right(context), input(1).type.shape) : undefined,
      ];
    },
  };
}

const passGradient = ({ outputGradient }: GradientContext): Value => outputGradient(0);

/** Min and Max of any number of inputs: pairwise from the left, so that each step is the tie rule of two. */
function extremum(op: "Min" | "Max", columns: OperatorColumns): OperatorDefinition {
  const gradient: GradientRule = ({ builder: b, node, input, outputGradient, needed }) => {
    const partial: Value[] = [input(0)];
    for (let i = 1; i < node.inputs.length; i++) partial.push(b.one(op, [at(partial, i - 1), input(i)]));
    const gradients: (Value | undefined)[] = [];
    let remaining = outputGradient(0);
    for (let i = node.inputs.length - 1; i > 0; i--) {
      const before = at(partial, i - 1);
      const difference = op === "Max" ? subtract(b, input(i), before) : subtract(b, before, input(i));
      const share = multiply(b, remaining, halfAtZero(b, difference));
      gradients[i] = needed[i] ? sumTo(b, share, input(i).type.shape) : undefined;
      if (needed.slice(0, i).some(Boolean)) remaining = sumTo(b, subtract(b, remaining, share), before.type.shape);
    }
    gradients[0] = needed[0] ? remaining : undefined;
    return gradients;
  };
  return { op, domain: "", infer: broadcastType, gradient, blocked: "pointwise", simplify: onlyInput, ...columns };
}

/** Sum and Mean of any number of inputs. */
function combination(op: "Sum" | "Mean", columns: OperatorColumns = {}): OperatorDefinition {
  return {
    op,
    domain: "",
    infer: broadcastType,
    blocked: "pointwise",
    simplify: onlyInput,
    ...columns,
    gradient: ({ builder: b, node, input, outputGradient, needed }) => {
      const count = node.inputs.length;
      const gradient = op === "Sum" ? outputGradient(0) : multiply(b, outputGradient(0), 1 / count);
      return node.inputs.map((_, i) => (needed[i] ? sumTo(b, gradient, input(i).type.shape) : undefined));
    },
  };
}

/** x + y, broadcast. */
export const addOperator: OperatorDefinition = binaryOperator("Add", passGradient, passGradient, {
  inputs: [operand("x", "bias"), operand("y", "bias")],
  fold: foldBinary((x, y) => x + y),
  symbolic: symbolicSum,
  traits: { module: true, comparable: true, nonNegative: "when-all-inputs", inPlace: true, ofEach: sumOfEach },
});

/** x·y, broadcast. */
export const multiplyOperator: OperatorDefinition = binaryOperator(
  "Mul",
  ({ builder, input, outputGradient }) => multiply(builder, outputGradient(0), input(1)),
  ({ builder, input, outputGradient }) => multiply(builder, outputGradient(0), input(0)),
  {
    inputs: [operand("x", "normalization-scale"), operand("y", "normalization-scale")],
    fold: foldBinary((x, y) => x * y),
    symbolic: symbolicProduct,
    traits: { nonNegative: "when-all-inputs", inPlace: true, cheap: true, ofEach: productOfEach },
  },
);

/** x itself. */
export const identityOperator: OperatorDefinition = {
  op: "Identity",
  domain: "",
  blocked: "pointwise",
  infer: sameAsInput,
  gradient: (context) => [passGradient(context)],
  fold: foldReshape,
  symbolic: arrangesFirst,
  simplify: firstInput,
  traits: { movement: true, view: true, passesCodes: "each", nonNegative: "when-first-input" },
};

/** x/y, broadcast. */
export const divideOperator: OperatorDefinition = binaryOperator(
  "Div",
  ({ builder, input, outputGradient }) => divide(builder, outputGradient(0), input(1)),
  ({ builder: b, input, output, outputGradient }) =>
    negate(b, divide(b, multiply(b, outputGradient(0), output(0)), input(1))),
  {
    fold: foldBinary(
      (x, y) => x / y,
      (x, y) => Math.trunc(x / y),
    ),
    symbolic: symbolicQuotient,
    traits: { inPlace: true, ofEach: quotientOfEach },
  },
);

/** x − y, broadcast. */
export const subtractOperator: OperatorDefinition = binaryOperator(
  "Sub",
  passGradient,
  ({ builder, outputGradient }) => negate(builder, outputGradient(0)),
  {
    fold: foldBinary((x, y) => x - y),
    symbolic: symbolicDifference,
    traits: { inPlace: true, ofEach: differenceOfEach },
  },
);

/** The largest of its inputs. */
export const maximumOperator: OperatorDefinition = extremum("Max", {
  fold: foldVariadic((values) => Math.max(...values)),
  symbolic: symbolicLargest,
  traits: { nonNegative: "when-all-inputs", inPlace: true, ofEach: largestOfEach },
});

/** The smallest of its inputs. */
export const minimumOperator: OperatorDefinition = extremum("Min", {
  fold: foldVariadic((values) => Math.min(...values)),
  symbolic: symbolicSmallest,
  traits: { inPlace: true, ofEach: smallestOfEach },
});

/** The sum of its inputs. */
export const sumOperator: OperatorDefinition = combination("Sum", {
  fold: foldVariadic((values) => values.reduce((sum, value) => sum + value, 0)),
  symbolic: symbolicTotal,
  traits: { ofEach: sumOfEach },
});

/** −x */
export const negativeOperator: OperatorDefinition = {
  op: "Neg",
  domain: "",
  blocked: "pointwise",
  infer: sameAsInput,
  gradient: ({ builder, outputGradient }) => [negate(builder, outputGradient(0))],
  fold: foldUnary((x) => -x),
  symbolic: symbolicNegative,
  traits: { ofEach: negativeOfEach },
};

/** The operators of this file. */
export const elementwiseOperators: readonly OperatorDefinition[] = [
  addOperator,
  subtractOperator,
  multiplyOperator,
  divideOperator,
  binaryOperator(
    "Pow",
    ({ builder: b, input, outputGradient }) => multiply(b, outputGradient(0), powerSlope(b, input(0), input(1))),
    ({ builder: b, input, output, outputGradient }) =>
      multiply(b, outputGradient(0), multiply(b, output(0), logarithm(b, oneAtZero(b, input(0))))),
    { fold: foldBinary((x, y) => x ** y), upgrades: powerUpgrades, traits: { ofEach: powerOfEach } },
  ),
  {
    op: "Mod",
    domain: "",
    upgrades: moduloUpgrades,
    infer: broadcastType,
    gradient: ({ builder: b, input, outputGradient, needed }) => {
      const ratio = () => truncate(b, divide(b, input(0), input(1)));
      return [
        needed[0] ? sumTo(b, outputGradient(0), input(0).type.shape) : undefined,
        needed[1] ? sumTo(b, negate(b, multiply(b, outputGradient(0), ratio())), input(1).type.shape) : undefined,
      ];
    },
    fold: foldModulo,
  },
  minimumOperator,
  maximumOperator,
  sumOperator,
  combination("Mean", { traits: { ofEach: meanOfEach } }),
  negativeOperator,
  identityOperator,
  unaryOperator("Abs", (b, x) => sign(b, x), {
    fold: foldUnary(Math.abs),
    blocked: "pointwise",
    traits: { nonNegative: "always", ofOne: () => Math.abs },
  }),
  {
    op: "Sqrt",
    domain: "",
    blocked: "pointwise",
    infer: sameAsInput,
    gradient: ({ builder: b, output, outputGradient }) => [
      divide(b, outputGradient(0), multiply(b, maximum(b, output(0), 1 / steepest), 2)),
    ],
    fold: foldUnary(Math.sqrt),
    traits: { nonNegative: "always", ofOne: () => Math.sqrt },
  },
  unaryOperator("Reciprocal", (b, _, y) => negate(b, square(b, y())), {
    fold: foldUnary((x) => 1 / x),
    blocked: "pointwise",
    traits: { ofOne: () => (x) => 1 / x },
  }),
  unaryOperator("Exp", (_, __, y) => y(), {
    fold: foldUnary(Math.exp),
    blocked: "pointwise",
    traits: { nonNegative: "always", ofOne: () => Math.exp },
  }),
  {
    op: "Log",
    domain: "",
    blocked: "pointwise",
    infer: sameAsInput,
    gradient: ({ builder: b, input, outputGradient }) => [divide(b, outputGradient(0), input(0))],
    fold: foldUnary(Math.log),
    traits: { ofOne: () => Math.log },
  },
  unaryOperator("Erf", (b, x) => multiply(b, exponential(b, negate(b, square(b, x))), 2 / Math.sqrt(Math.PI)), {
    blocked: "pointwise",
    traits: { ofOne: () => errorFunction },
  }),
  unaryOperator("Sin", (b, x) => cosine(b, x), { fold: foldUnary(Math.sin), traits: { ofOne: () => Math.sin } }),
  unaryOperator("Cos", (b, x) => negate(b, sine(b, x)), {
    fold: foldUnary(Math.cos),
    traits: { ofOne: () => Math.cos },
  }),
  flatOperator("Round", { fold: foldRound, traits: { ofOne: () => roundHalfEven } }),
  flatOperator("Floor", { fold: foldUnary(Math.floor), traits: { ofOne: () => Math.floor } }),
  flatOperator("Ceil", { fold: foldUnary(Math.ceil), traits: { ofOne: () => Math.ceil } }),
  flatOperator("Sign", { fold: foldUnary(Math.sign), traits: { ofOne: () => Math.sign } }),
];

/** The slope that stands for an infinite one. */
const steepest = 1e30;

/** exponent · x^(exponent − 1); squares, which are most powers that are met, without a power. */
function powerSlope(b: GraphBuilder, x: Value, exponent: Value): Value {
  const constant = b.constantOf(exponent);
  const isSquare = constant !== undefined && toNumbers(constant).every((number) => number === 2);
  if (isSquare) return multiply(b, x, exponent);
  const slope = power(b, x, subtract(b, exponent, 1));
  const isSteep = constant === undefined || toNumbers(constant).some((number) => number < 1);
  return multiply(b, exponent, isSteep ? minimum(b, slope, steepest) : slope);
}

/** x with 1 in place of 0, where a power does not depend on the exponent. */
function oneAtZero(b: GraphBuilder, x: Value): Value {
  return add(b, x, subtract(b, 1, absolute(b, sign(b, x))));
}

function truncate(b: GraphBuilder, x: Value): Value {
  return multiply(b, sign(b, x), floor(b, absolute(b, x)));
}
