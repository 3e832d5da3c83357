/** Functions of one tensor that few networks hold: trigonometry, and activations that went out of use. */

import { floatAttribute } from "../../ir/attributes.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import type { FunctionOfOne } from "../build/functions-of-one.ts";
import { atLeast, atMost, positive } from "../build/masks.ts";
import { noGradient, sameAsInput } from "../build/operands.ts";
import type { GradientContext, OperatorDefinition } from "../definition.ts";
import { softmaxUpgrades } from "../rewrite/upgrades.ts";
import {
  add,
  divide,
  exponential,
  multiply,
  negate,
  reciprocal,
  sign as signOf,
  square,
  squareRoot,
  subtract,
} from "./elementwise.ts";

type Slope = (b: GraphBuilder, x: Value, y: Value, context: GradientContext) => Value;

/** A function by its derivative at x, with y = f(x), and its value on one number. */
function functionOf(op: string, slope: Slope, ofOne: FunctionOfOne): OperatorDefinition {
  return {
    op,
    domain: "",
    infer: sameAsInput,
    traits: { ofOne },
    gradient: (context) => {
      const { builder: b, input, output, outputGradient } = context;
      return [multiply(b, outputGradient(0), slope(b, input(0), output(0), context))];
    },
  };
}

/** 1/√(1 + sign·x²) and the like. */
function inverseRoot(b: GraphBuilder, x: Value, offset: number, factor: number): Value {
  return reciprocal(b, squareRoot(b, add(b, multiply(b, square(b, x), factor), offset)));
}

const seluAlpha = 1.6732632;
const seluGamma = 1.0507009;

/** γ where x > 0, y + γα elsewhere: the derivative of γ·α·(eˣ − 1). */
const selu: Slope = (b, x, y, { node }) => {
  const [alpha, gamma] = [floatAttribute(node, "alpha", seluAlpha), floatAttribute(node, "gamma", seluGamma)];
  const above = positive(b, x);
  return add(b, multiply(b, above, gamma), multiply(b, subtract(b, 1, above), add(b, y, alpha * gamma)));
};

/** 1 where x > 0, e^(x/α) elsewhere. */
const celu: Slope = (b, x, _, { node }) => {
  const above = positive(b, x);
  const below = exponential(b, multiply(b, b.one("Min", [x, b.scalar(0)]), 1 / floatAttribute(node, "alpha", 1)));
  return add(b, above, multiply(b, subtract(b, 1, above), below));
};

/** 1 outside of −λ..λ. */
const shrink: Slope = (b, x, _, { node }) => {
  const bound = floatAttribute(node, "lambd", 0.5);
  return subtract(b, 1, multiply(b, atMost(b, x, bound), atLeast(b, x, -bound)));
};

const seluOfOne: FunctionOfOne = (source) => {
  const [alpha, gamma] = [floatAttribute(source, "alpha", seluAlpha), floatAttribute(source, "gamma", seluGamma)];
  return (x) => gamma * (x > 0 ? x : alpha * Math.expm1(x));
};

const celuOfOne: FunctionOfOne = (source) => {
  const alpha = floatAttribute(source, "alpha", 1);
  return (x) => Math.max(x, 0) + Math.min(alpha * Math.expm1(x / alpha), 0);
};

const thresholdedOfOne: FunctionOfOne = (source) => {
  const alpha = floatAttribute(source, "alpha", 1);
  return (x) => (x > alpha ? x : 0);
};

const shrinkOfOne: FunctionOfOne = (source) => {
  const [bound, bias] = [floatAttribute(source, "lambd", 0.5), floatAttribute(source, "bias", 0)];
  return (x) => (x < -bound ? x + bias : x > bound ? x - bias : 0);
};

/** The operators of this file. */
export const functionOperators: readonly OperatorDefinition[] = [
  functionOf(
    "Tan",
    (b, _, y) => add(b, square(b, y), 1),
    () => Math.tan,
  ),
  functionOf(
    "Asin",
    (b, x) => inverseRoot(b, x, 1, -1),
    () => Math.asin,
  ),
  functionOf(
    "Acos",
    (b, x) => negate(b, inverseRoot(b, x, 1, -1)),
    () => Math.acos,
  ),
  functionOf(
    "Atan",
    (b, x) => reciprocal(b, add(b, square(b, x), 1)),
    () => Math.atan,
  ),
  functionOf(
    "Sinh",
    (b, x) => b.one("Cosh", [x]),
    () => Math.sinh,
  ),
  functionOf(
    "Cosh",
    (b, x) => b.one("Sinh", [x]),
    () => Math.cosh,
  ),
  functionOf(
    "Asinh",
    (b, x) => inverseRoot(b, x, 1, 1),
    () => Math.asinh,
  ),
  functionOf(
    "Acosh",
    (b, x) => inverseRoot(b, x, -1, 1),
    () => Math.acosh,
  ),
  functionOf(
    "Atanh",
    (b, x) => divide(b, 1, subtract(b, 1, square(b, x))),
    () => Math.atanh,
  ),
  functionOf("Selu", selu, seluOfOne),
  functionOf("Celu", celu, celuOfOne),
  functionOf("ThresholdedRelu", (b, x, y) => multiply(b, signOf(b, y), signOf(b, x)), thresholdedOfOne),
  functionOf("Shrink", shrink, shrinkOfOne),
  { op: "Hardmax", domain: "", upgrades: softmaxUpgrades, infer: sameAsInput, gradient: noGradient },
  { op: "LRN", domain: "", infer: sameAsInput },
  { op: "LpNormalization", domain: "", infer: sameAsInput },
];
