/**
 * Functions of one number, and of the numbers at one place of several tensors, in float64: what conversion to integers tabulates. The engine computes them in float32, so that the two differ by
 * its rounding.
 */

import { type AttributeSource, floatAttribute, stringAttribute } from "../../ir/attributes.ts";

/** A function of one number, given a node's attributes. */
export type FunctionOfOne = (source: AttributeSource) => (x: number) => number;

/** A function of the numbers at one place of all inputs; inputs that were left out at the end are undefined. */
export interface FunctionOfEach {
  /** Its value, in the order of the inputs. */
  readonly of: (...values: readonly (number | undefined)[]) => number;
  /** The inputs in which it is a factor, a summand or a limit where all others are constants: conversion folds those. */
  readonly foldedIn: "all" | readonly number[];
}

/**
 * The error function by Kummer's series erf(x) = 2/√π·e^(−x²)·Σ 2ⁿ·x^(2n+1)/(2n+1)!!, whose terms have one sign, so that nothing
 * cancels (Abramowitz and Stegun, 7.1.6). Beyond 6 it is ±1 in float64.
 */
export function errorFunction(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const clipped = (x: number): number => Math.min(Math.max(x, 0), 1);

/** 1 / (1 + e^−x) */
export const sigmoidOfOne: FunctionOfOne = () => sigmoid;
/** tanh x */
export const tanhOfOne: FunctionOfOne = () => Math.tanh;
/** clip(alpha·x + beta, 0, 1) */
export const hardSigmoidOfOne: FunctionOfOne = (source) => {
  const [alpha, beta] = [floatAttribute(source, "alpha", 0.2), floatAttribute(source, "beta", 0.5)];
  return (x) => clipped(alpha * x + beta);
};
/** x·clip(x/6 + 1/2, 0, 1) */
export const hardSwishOfOne: FunctionOfOne = () => (x) => x * clipped(x / 6 + 0.5);
/** x·Φ(x), or its form by tanh */
export const geluOfOne: FunctionOfOne = (source) =>
  stringAttribute(source, "approximate", "none") === "tanh"
    ? (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
    : (x) => 0.5 * x * (1 + errorFunction(x * Math.SQRT1_2));
/** x, or alpha·x below 0 */
export const leakyReluOfOne: FunctionOfOne = (source) => {
  const alpha = floatAttribute(source, "alpha", 0.01);
  return (x) => (x < 0 ? alpha * x : x);
};
/** x, or alpha·(e^x − 1) below 0 */
export const eluOfOne: FunctionOfOne = (source) => {
  const alpha = floatAttribute(source, "alpha", 1);
  return (x) => (x < 0 ? alpha * Math.expm1(x) : x);
};
/** ln(1 + e^x) */
export const softplusOfOne: FunctionOfOne = () => softplus;
/** x / (1 + |x|) */
export const softsignOfOne: FunctionOfOne = () => (x) => x / (1 + Math.abs(x));
/** x·tanh(ln(1 + e^x)) */
export const mishOfOne: FunctionOfOne = () => (x) => x * Math.tanh(softplus(x));

/** x + y + … */
export const sumOfEach: FunctionOfEach = { of: (...values) => total(values), foldedIn: "all" };
/** (x + y + …)/n */
export const meanOfEach: FunctionOfEach = { of: (...values) => total(values) / values.length, foldedIn: "all" };
/** x − y */
export const differenceOfEach: FunctionOfEach = { of: (x = 0, y = 0) => x - y, foldedIn: "all" };
/** x·y */
export const productOfEach: FunctionOfEach = { of: (x = 1, y = 1) => x * y, foldedIn: "all" };
/** x/y */
export const quotientOfEach: FunctionOfEach = { of: (x = 1, y = 1) => x / y, foldedIn: [0] };
/** x^y */
export const powerOfEach: FunctionOfEach = { of: (x = 1, y = 1) => x ** y, foldedIn: [] };
/** −x */
export const negativeOfEach: FunctionOfEach = { of: (x = 0) => -x, foldedIn: "all" };
/** The smallest of all. */
export const smallestOfEach: FunctionOfEach = { of: (...values) => Math.min(...given(values)), foldedIn: "all" };
/** The largest of all. */
export const largestOfEach: FunctionOfEach = { of: (...values) => Math.max(...given(values)), foldedIn: "all" };
/** max(x, 0) */
export const reluOfEach: FunctionOfEach = { of: (x = 0) => Math.max(x, 0), foldedIn: "all" };
/** min(max(x, low), high) */
export const clipOfEach: FunctionOfEach = {
  of: (x = 0, low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY) => Math.min(Math.max(x, low), high),
  foldedIn: [0],
};
/** x where the condition holds, y elsewhere */
export const choiceOfEach: FunctionOfEach = { of: (condition, x = 0, y = 0) => (condition ? x : y), foldedIn: [] };
/** x, or slope·x below 0 */
export const slopedOfEach: FunctionOfEach = { of: (x = 0, slope = 0) => (x < 0 ? slope * x : x), foldedIn: [] };

function given(values: readonly (number | undefined)[]): number[] {
  return values.filter((value) => value !== undefined);
}

function total(values: readonly (number | undefined)[]): number {
  return given(values).reduce((sum, value) => sum + value, 0);
}
