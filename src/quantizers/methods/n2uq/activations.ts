/**
 * N2UQ's activations: even levels with trained thresholds between them, and the generalized straight-through gradient.
 * The equations are in n2uq.ts.
 *
 * A code is found by halving: b comparisons, each with the threshold that the ones before it leave. The code tells in
 * which of two neighbouring intervals an element lies, so the gradient needs one comparison more, and sums over each
 * interval are sums by that index. The passes over the tensor grow with the bits, not with the thresholds.
 */
import type { GraphBuilder, Value } from "../../../ir/graph.ts";
import { filled } from "../../../ir/tensor.ts";
import { positive } from "../../../ops/build/masks.ts";
import { indices } from "../../../ops/build/operands.ts";
import { add, divide, maximum, multiply, negate, subtract } from "../../../ops/families/elementwise.ts";
import { cumulativeSum } from "../../../ops/families/reduce.ts";
import { concat, reshape, slice } from "../../../ops/families/shape/shape-ops.ts";
import { dot } from "../../../ops/internal/channel-ops.ts";
import { parameterOf } from "../../arithmetic/learned.ts";
import { scalarParameter } from "../../arithmetic/scalar.ts";
import { lookUp, sumByIndex } from "../../arithmetic/table-operators.ts";
import type {
  GroupParameters,
  QuantizerContext,
  QuantizerGradientContext,
  QuantizerGradients,
  QuantizerSpec,
} from "../../definition.ts";

const { fround } = Math;
/** The length that the original's intervals cover together at first, and the height that the levels have. */
export const reach = 2;
/** The original's smallest interval. */
export const smallestInterval = 1e-3;
/** Above every activation. */
const unreachable = 3e38;

function stepsOf(spec: QuantizerSpec): number {
  return spec.quantMax - spec.quantMin;
}

/** The intervals aᵢ[n]. */
function widthsOf(context: QuantizerContext): Value {
  return maximum(context.builder, parameterOf(context, "intervals"), smallestInterval);
}

/** The bounds T₀ … Tₙ of the intervals, summed one after the other. */
function boundsOf(context: QuantizerContext): Value {
  const { builder } = context;
  const start = reshape(builder, parameterOf(context, "start"), [1]);
  return cumulativeSum(builder, concat(builder, [start, widthsOf(context)], 0), 0);
}

function part(builder: GraphBuilder, vector: Value, start: number, end: number, step = 1): Value {
  return slice(builder, vector, { starts: [start], ends: [end], axes: [0], steps: [step] });
}

function isBeyond(builder: GraphBuilder, x: Value, bound: Value): Value {
  return positive(builder, subtract(builder, x, bound));
}

function scaledInput(context: QuantizerContext): Value {
  return multiply(context.builder, context.x, parameterOf(context, "scale1"));
}

/** The number of thresholds below each element. */
function codeOf(context: QuantizerContext): Value {
  const { builder, spec } = context;
  const n = stepsOf(spec);
  const rounds = Math.ceil(Math.log2(n + 1));
  const count = 2 ** rounds - 1;
  const middles = add(builder, part(builder, boundsOf(context), 0, n), multiply(builder, widthsOf(context), 0.5));
  const padding = builder.constant(filled([count - n], unreachable), "padding");
  const thresholds = count === n ? middles : concat(builder, [middles, padding], 0);
  const x = scaledInput(context);
  const middle = reshape(builder, part(builder, thresholds, count >> 1, (count >> 1) + 1), []);
  let code = isBeyond(builder, x, middle);
  for (let distance = (count + 1) >> 1; distance > 1; distance >>= 1) {
    const halves = part(builder, thresholds, (distance >> 1) - 1, count, distance);
    const upper = isBeyond(builder, x, lookUp(builder, code, halves));
    code = add(builder, multiply(builder, code, 2), upper);
  }
  return code;
}

/** The height of a level: scale2·2/n. */
function heightOf(context: QuantizerContext): Value {
  return multiply(context.builder, parameterOf(context, "scale2"), reach / stepsOf(context.spec));
}

/** Adds the forward pass of N2UQ's activations. */
export function forwardActivations(context: QuantizerContext): Value {
  return multiply(context.builder, codeOf(context), heightOf(context));
}

/**
 * With Sᵢ and Pᵢ the sums of dy·scale2 and dy·scale2·x′ over interval i and h = 2/n:
 * daᵢ = −(h/aᵢ²)·(Pᵢ − Tᵢ·Sᵢ) − Σ_{k>i} (h/aₖ)·Sₖ, dstart = −Σ (h/aₖ)·Sₖ, dscale1 = Σ dx′·x, dscale2 = Σ dy·y/scale2.
 */
export function gradientActivations(context: QuantizerGradientContext): QuantizerGradients {
  const { builder, spec, x, y, dy } = context;
  const n = stepsOf(spec);
  const [scale1, scale2] = [parameterOf(context, "scale1"), parameterOf(context, "scale2")];
  const widths = widthsOf(context);
  const bounds = boundsOf(context);
  const slopes = divide(builder, reach / n, widths);
  const scaledX = scaledInput(context);
  const code = codeOf(context);
  // 0: below all intervals; i + 1: in interval i; n + 1: above all of them.
  const place = add(builder, code, isBeyond(builder, scaledX, lookUp(builder, code, bounds)));
  const outside = builder.constant(filled([1], 0), "outside");
  const slopeAt = concat(builder, [outside, slopes, outside], 0);
  const factor = multiply(builder, slopeAt, multiply(builder, scale1, scale2));
  const dx = multiply(builder, dy, lookUp(builder, place, factor));
  const sumOver = (value: Value) =>
    multiply(builder, part(builder, sumByIndex(builder, place, value, n + 2), 1, n + 1), scale2);
  const sums = sumOver(dy);
  const moments = sumOver(multiply(builder, dy, scaledX));
  const lever = subtract(builder, moments, multiply(builder, part(builder, bounds, 0, n), sums));
  const own = divide(builder, multiply(builder, lever, slopes), widths);
  const pulls = multiply(builder, sums, slopes);
  // An interval that grows moves the later ones along.
  const fromHere = cumulativeSum(builder, pulls, 0, { reverse: true });
  const later = subtract(builder, fromHere, pulls);
  return {
    x: dx,
    parameters: {
      intervals: negate(builder, add(builder, own, later)),
      start: negate(builder, reshape(builder, part(builder, fromHere, 0, 1), [])),
      scale1: divide(builder, dot(builder, dx, x), scale1),
      scale2: divide(builder, dot(builder, dy, y), scale2),
    },
  };
}

/** The code of one activation, with the same float32 operations. */
export function encodeActivation(spec: QuantizerSpec, parameters: GroupParameters, x: number): number {
  const scaledX = fround(x * scalarParameter(parameters, "scale1"));
  let bound = scalarParameter(parameters, "start");
  let code = 0;
  for (const i of indices(stepsOf(spec))) {
    const width = Math.max(scalarParameter(parameters, `intervals.${i}`), fround(smallestInterval));
    if (fround(scaledX - fround(bound + fround(width * 0.5))) > 0) code++;
    bound = fround(bound + width);
  }
  return code;
}
