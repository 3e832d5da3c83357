/** Helpers of quantizers with trained parameters: access to them, their gradient scale, and sums over a group. */
import { float32Epsilon } from "../../base/rounding.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { elementCount, type TensorType } from "../../ir/types.ts";
import { notNegative, positive } from "../../ops/build/masks.ts";
import { hardSigmoid } from "../../ops/families/activations.ts";
import { absolute, divide, multiply, subtract } from "../../ops/families/elementwise.ts";
import { reduceSum } from "../../ops/families/reduce.ts";
import { dot } from "../../ops/internal/channel-ops.ts";
import {
  type Contradiction,
  type GridContext,
  type GroupParameters,
  groupTensors,
  legalScale,
  parameterRows,
  parameterShape,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerParameter,
  type QuantizerSpec,
  sharedAxes,
} from "../definition.ts";
import { statisticsOf } from "./scalar.ts";

/**
 * A scale, clipping limit or range never falls below this: at 0 the gradient would change its sign. It is the epsilon of float32,
 * the lower limit that torch's observers and `_LearnableFakeQuantize` have (`torch.finfo(torch.float32).eps`).
 */
export const smallestScale = float32Epsilon;

/** The end of a range that holds every value: the largest one, or the largest magnitude of a signed range. */
export function largestReach(spec: QuantizerSpec, min: number, max: number): number {
  return Math.max(isUnsigned(spec) ? max : Math.max(-min, max), smallestScale);
}

/** α at the end of a range that holds every value. */
export function alphaFromRange(spec: QuantizerSpec, min: number, max: number): GroupParameters {
  return { alpha: largestReach(spec, min, max) };
}

/** s at which a range just fits the codes; ends without codes of their sign do not count. */
export function scaleFromRange(spec: QuantizerSpec, min: number, max: number): GroupParameters {
  const below = spec.quantMin < 0 ? Math.max(0, -min) / -spec.quantMin : 0;
  const above = spec.quantMax > 0 ? Math.max(0, max) / spec.quantMax : 0;
  return { scale: Math.max(below, above, smallestScale) };
}

/** s = 2·mean|x|/√Qp, never 0: LSQ, section 2.1. */
export function lsqScale(spec: QuantizerSpec, row: Float32Array): number {
  const { meanMagnitude } = statisticsOf(row);
  return Math.max((2 * meanMagnitude) / Math.sqrt(Math.max(spec.quantMax, 1)), smallestScale);
}

/** A parameter of each group that is trained and stays above 0. */
export function positiveParameter(name: string, spec: QuantizerSpec, type: TensorType): QuantizerParameter {
  const shape = parameterShape(spec, type);
  return { name, shape, trainable: true, initial: 1, minimum: smallestScale, legal: legalScale };
}

/** Initial parameters from what is found in each group. */
export function initializeGroups(
  spec: QuantizerSpec,
  sample: Tensor,
  numbersOf: (row: Float32Array) => GroupParameters,
): ReadonlyMap<string, Tensor> {
  return groupTensors(spec, sample, parameterRows(spec, sample).map(numbersOf));
}

/** The start of quantizers that cover the sample, or the range that a calibrator chooses. */
export function startFromRange(
  fromRange: (spec: QuantizerSpec, min: number, max: number) => GroupParameters,
): Pick<QuantizerDefinition, "initialize"> & Required<Pick<QuantizerDefinition, "initialFromRange">> {
  return {
    initialize: (spec, sample) =>
      initializeGroups(spec, sample, (row) => {
        const { min, max } = statisticsOf(row);
        return fromRange(spec, min, max);
      }),
    initialFromRange: fromRange,
  };
}

/** A parameter, shaped to broadcast over x. */
export function parameterOf(context: GridContext, name: string): Value {
  const value = context.parameters[name];
  if (value === undefined) throw new Error(`the quantizer ${context.spec.quantizer} has no parameter "${name}"`);
  return value;
}

/** The sum over the elements that share a parameter, shaped like that parameter in broadcast form. */
export function sumShared(context: QuantizerContext, value: Value, parameter: Value): Value {
  const axes = sharedAxes(context.spec, context.x.type.shape.length);
  if (axes.length === 0) return value;
  return reduceSum(context.builder, value, axes, { keepDimensions: parameter.type.shape.length > 0 });
}

/** An upstream gradient with the output that it belongs to, and what of it reaches x. */
export interface Residuals {
  readonly dy: Value;
  readonly y: Value;
  readonly dx: Value;
  readonly x: Value;
}

/**
 * Σ dy·y − Σ dx·x over the elements that share a parameter. With y = s·q, v = x/s and the mask m this is s·Σ dy·(q − m·v),
 * the gradient of a step up to the factor s, from tensors that are there anyway.
 */
export function sumOfResiduals(context: QuantizerContext, { dy, y, dx, x }: Residuals, parameter: Value): Value {
  const { builder } = context;
  if (parameter.type.shape.length === 0) return subtract(builder, dot(builder, dy, y), dot(builder, dx, x));
  return sumShared(context, subtract(builder, multiply(builder, dy, y), multiply(builder, dx, x)), parameter);
}

/** ds = g·(Σ dy·q − Σ dx·v) = g·(Σ dy·y − Σ dx·x)/s: LSQ's gradient of a scale (eq. 3). */
export function scaleGradient(context: QuantizerContext, residuals: Residuals, scale: Value): Value {
  const sum = divide(context.builder, sumOfResiduals(context, residuals, scale), scale);
  return scaled(context.builder, sum, gradientFactor(context, scale, "lsq"));
}

/** Returns the factor of a trained scale's gradient: LSQ's 1/√(N·Qp) (section 2.2), torch's, or not at all. */
export type GradientScale = "lsq" | "torch" | "none";

/**
 * The factor of a scale's gradient. `lsq`: N counts the elements that share the scale. `torch`: N counts the whole
 * tensor even per channel, as `_LearnableFakeQuantize(use_grad_scaling=True)` does.
 */
export function gradientFactor(context: QuantizerContext, parameter: Value, fallback: GradientScale): number {
  const { spec, x } = context;
  const kind = spec.options.gradientScale ?? fallback;
  if (kind === "none") return 1;
  const elements = elementCount(x.type.shape);
  const counted = kind === "torch" ? elements : elements / elementCount(parameter.type.shape);
  return 1 / Math.sqrt(counted * Math.max(spec.quantMax, 1));
}

/** value · factor, or the value itself where the factor is 1. */
export function scaled(builder: GraphBuilder, value: Value, factor: number): Value {
  return factor === 1 ? value : multiply(builder, value, factor);
}

/**
 * 1 where a rounded code lies inside low..high, else 0. With h half the length of the range and m its middle, an
 * integer lies inside exactly when h + 1 − |code − m| ≥ 1, and outside that is at most 0.
 */
export function codeInside(builder: GraphBuilder, code: Value, low: number, high: number): Value {
  const half = (high - low) / 2;
  return hardSigmoid(builder, absolute(builder, subtract(builder, code, (low + high) / 2)), -1, half + 1);
}

/** Times this factor every float32 that is not zero is a normal number, which the steps of ops/build/masks.ts ask for. */
const intoNormalRange = 2 ** 100;

/** 1 where x ≥ 0, −1 where x < 0, subnormal numbers included. */
export function nonZeroSign(builder: GraphBuilder, x: Value): Value {
  const step = notNegative(builder, multiply(builder, x, intoNormalRange));
  return subtract(builder, multiply(builder, step, 2), 1);
}

/** 1 where x > 0, else 0, subnormal numbers included. */
export function isAbove(builder: GraphBuilder, x: Value): Value {
  return positive(builder, multiply(builder, x, intoNormalRange));
}

/** Whether codes start at 0, as they do for tensors without negative values. */
export function isUnsigned(spec: QuantizerSpec): boolean {
  return spec.quantMin >= 0;
}

/**
 * For quantizers whose levels follow from the bits and the sign alone: limits of the codes have nothing to act on there,
 * and must not look as if they had.
 */
export function checkWholeRange(spec: QuantizerSpec, name: string): Contradiction | undefined {
  const high = isUnsigned(spec) ? 2 ** spec.bits - 1 : 2 ** (spec.bits - 1) - 1;
  const low = isUnsigned(spec) ? 0 : -(2 ** (spec.bits - 1));
  if (spec.quantMax === high && (spec.quantMin === low || spec.quantMin === low + 1)) return undefined;
  return {
    message: `the levels of ${name} follow from its ${spec.bits} bits, not from the codes ${spec.quantMin}..${spec.quantMax}`,
    remedy: "Leave quantMin, quantMax and reduceRange out.",
  };
}
