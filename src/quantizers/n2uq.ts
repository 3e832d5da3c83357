/**
 * N2UQ: Liu, Cheng, Huang, Xing, Shen, "Nonuniform-to-Uniform Quantization: Towards Accurate Quantization via Generalized
 * Straight-Through Estimation", CVPR 2022 (arXiv 2111.14826), as liuzechun/Nonuniform-to-Uniform-Quantization does it.
 *
 * Activations (codes from 0): the outputs are evenly spaced, the thresholds between them are learned. With n = 2^b − 1
 * and x′ = scale1·x, threshold i (from 0) lies at start + Σ_{j<i} aⱼ + aᵢ/2; y = scale2·(2/n)·(number of thresholds below
 * x′). The generalized straight-through gradient is that of the piecewise linear function which climbs one level over
 * each interval aᵢ, starting at `start`: slope (2/n)/aᵢ there, 0 below and above all of them; it gives dx, daᵢ, dstart
 * and dscale1. Every threshold costs some passes over the tensor, so 4 bits (15 thresholds) are the limit.
 *
 * Weights (codes with a sign), for each group: s = (2^b − 1)/2^(b−1)·mean|w|; y = s·(round((clip(w/s, −1, 1) + 1)·n/2)·2/n
 * − 1): 2^b levels without 0. The gradient is dy/s, unclipped: the original adds the scaled weights, not the weights.
 *
 * The original starts with scale1 = scale2 = 1 and intervals that cover [0, 2] (behind a learned bias and a PReLU that
 * are part of its network, not of its quantizer); here scale1 = 2/r and scale2 = r/2, where r covers the sample as LSQ's
 * initial step would.
 * Options: `form` "weights" or "activations" (default: by the sign of the codes).
 */
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { filled, float32Data, float32Tensor } from "../graph/tensor.ts";
import { clip } from "../ops/activations.ts";
import {
  absolute,
  add,
  addAll,
  divide,
  maximum,
  multiply,
  negate,
  reciprocal,
  round,
  subtract,
} from "../ops/elementwise.ts";
import { positive } from "../ops/masks.ts";
import { at, indices } from "../ops/operands.ts";
import { reduceMean, reduceSum } from "../ops/reduce.ts";
import { concat, reshape, split } from "../ops/shape-ops.ts";
import { isUnsigned, parameterOf, smallestScale } from "./learned.ts";
import { lsqInitialStep } from "./lsq.ts";
import {
  type GroupParameters,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerGradientContext,
  type QuantizerGradients,
  type QuantizerSpec,
  sharedAxes,
} from "./quantizer.ts";
import { clamp, roundHalfEven } from "./rounding.ts";
import { encodeWith, integersBetween, scalarOf, statisticsOf, unitOf } from "./scalar.ts";

const { fround } = Math;
/** The length that the original's intervals cover together at first, and the height that the levels have. */
const reach = 2;
/** The original's smallest interval. */
const smallestInterval = 1e-3;
const mostBits = 4;

function isWeights(spec: QuantizerSpec): boolean {
  return spec.options.form === undefined ? !isUnsigned(spec) : spec.options.form === "weights";
}

/** n: the number of steps between the lowest and the highest level. */
function stepsOf(spec: QuantizerSpec): number {
  return spec.quantMax - spec.quantMin;
}

/** The intervals aᵢ, one scalar each. */
function intervalsOf(context: QuantizerContext): readonly Value[] {
  const { builder, spec } = context;
  const widths = maximum(builder, parameterOf(context, "intervals"), smallestInterval);
  const parts = split(builder, widths, 0, new Array<number>(stepsOf(spec)).fill(1));
  return parts.map((part) => reshape(builder, part, []));
}

/** The bounds T₀ … Tₙ of the intervals. */
function boundsOf(context: QuantizerContext, intervals: readonly Value[]): Value[] {
  const bounds = [parameterOf(context, "start")];
  for (const [i, width] of intervals.entries()) bounds.push(add(context.builder, at(bounds, i), width));
  return bounds;
}

function isBeyond(builder: GraphBuilder, x: Value, bound: Value): Value {
  return positive(builder, subtract(builder, x, bound));
}

/** The height of a level: scale2·2/n. */
function heightOf(context: QuantizerContext): Value {
  return multiply(context.builder, parameterOf(context, "scale2"), reach / stepsOf(context.spec));
}

function forwardActivations(context: QuantizerContext): Value {
  const { builder, x } = context;
  const intervals = intervalsOf(context);
  const bounds = boundsOf(context, intervals);
  const scaledX = multiply(builder, x, parameterOf(context, "scale1"));
  const steps = intervals.map((width, i) =>
    isBeyond(builder, scaledX, add(builder, at(bounds, i), multiply(builder, width, 0.5))),
  );
  return multiply(builder, addAll(builder, steps), heightOf(context));
}

/**
 * With Sᵢ and Pᵢ the sums of dy·scale2 and dy·scale2·x′ over interval i and h = 2/n:
 * daᵢ = −(h/aᵢ²)·(Pᵢ − Tᵢ·Sᵢ) − Σ_{k>i} (h/aₖ)·Sₖ, dstart = −Σ (h/aₖ)·Sₖ, dscale1 = Σ dx′·x, dscale2 = Σ dy·y/scale2.
 */
function gradientActivations(context: QuantizerGradientContext): QuantizerGradients {
  const { builder, spec, x, y, dy } = context;
  const height = reach / stepsOf(spec);
  const intervals = intervalsOf(context);
  const bounds = boundsOf(context, intervals);
  const [scale1, scale2] = [parameterOf(context, "scale1"), parameterOf(context, "scale2")];
  const scaledX = multiply(builder, x, scale1);
  const total = (value: Value) => reduceSum(builder, value, undefined, { keepDimensions: false });
  const beyond = bounds.map((bound) => isBeyond(builder, scaledX, bound));
  const slopes = intervals.map((width) => divide(builder, height, width));
  const inside = intervals.map((_, i) => subtract(builder, at(beyond, i), at(beyond, i + 1)));
  const upstream = multiply(builder, dy, scale2);
  const sums: Value[] = [];
  const moments: Value[] = [];
  for (const mask of inside) {
    const own = multiply(builder, upstream, mask);
    sums.push(total(own));
    moments.push(total(multiply(builder, own, scaledX)));
  }
  const slope = addAll(
    builder,
    inside.map((mask, i) => multiply(builder, mask, at(slopes, i))),
  );
  const inner = multiply(builder, upstream, slope);
  // Later intervals move along when an earlier one grows.
  const pulls = sums.map((sum, i) => multiply(builder, sum, at(slopes, i)));
  const gradients: Value[] = [];
  let later: Value = builder.scalar(0);
  for (let i = intervals.length - 1; i >= 0; i--) {
    const width = at(intervals, i);
    const lever = subtract(builder, at(moments, i), multiply(builder, at(bounds, i), at(sums, i)));
    const own = divide(builder, multiply(builder, lever, at(slopes, i)), width);
    gradients.unshift(negate(builder, add(builder, own, later)));
    later = add(builder, later, at(pulls, i));
  }
  const perInterval = gradients.map((gradient) => reshape(builder, gradient, [1]));
  return {
    x: multiply(builder, inner, scale1),
    parameters: {
      intervals: concat(builder, perInterval, 0),
      start: negate(builder, later),
      scale1: total(multiply(builder, inner, x)),
      scale2: divide(builder, total(multiply(builder, dy, y)), scale2),
    },
  };
}

/** s of the weights. */
function weightScale(context: QuantizerContext): Value {
  const { builder, spec, x } = context;
  const axes = sharedAxes(spec, x.type.shape.length);
  const magnitude = absolute(builder, x);
  const mean = axes.length === 0 ? magnitude : reduceMean(builder, magnitude, axes);
  return maximum(builder, multiply(builder, mean, gammaOf(spec)), smallestScale);
}

function gammaOf(spec: QuantizerSpec): number {
  const n = stepsOf(spec);
  return n / ((n + 1) / 2);
}

function weightScaleOf(spec: QuantizerSpec, row: Float32Array): number {
  return Math.max(fround(fround(statisticsOf(row).meanMagnitude) * fround(gammaOf(spec))), smallestScale);
}

function forwardWeights(context: QuantizerContext): Value {
  const { builder, spec, x } = context;
  const n = stepsOf(spec);
  const scale = weightScale(context);
  const clipped = clip(builder, multiply(builder, x, reciprocal(builder, scale)), -1, 1);
  const position = multiply(builder, add(builder, clipped, 1), n / 2);
  const code = subtract(builder, multiply(builder, round(builder, position), 2), n);
  return multiply(builder, code, multiply(builder, scale, 1 / n));
}

function encodeActivation(spec: QuantizerSpec, parameters: GroupParameters, x: number): number {
  const scaledX = fround(x * scalarOf(parameters, "scale1"));
  let bound = scalarOf(parameters, "start");
  let code = 0;
  for (const i of indices(stepsOf(spec))) {
    const width = Math.max(scalarOf(parameters, `intervals.${i}`), fround(smallestInterval));
    if (fround(scaledX - fround(bound + fround(width * 0.5))) > 0) code++;
    bound = fround(bound + width);
  }
  return code;
}

export const n2uq: QuantizerDefinition = {
  name: "n2uq",

  parameters: (spec) =>
    isWeights(spec)
      ? []
      : [
          { name: "intervals", shape: [stepsOf(spec)], trainable: true, minimum: smallestInterval },
          { name: "start", shape: [], trainable: true },
          { name: "scale1", shape: [], trainable: true, minimum: smallestScale },
          { name: "scale2", shape: [], trainable: true, minimum: smallestScale },
        ],

  initialize(spec, sample) {
    if (isWeights(spec)) return new Map();
    const n = stepsOf(spec);
    const range = lsqInitialStep(spec, float32Data(sample)) * n;
    return new Map([
      ["intervals", filled([n], reach / n)],
      ["start", float32Tensor([], [0])],
      ["scale1", float32Tensor([], [reach / range])],
      ["scale2", float32Tensor([], [range / reach])],
    ]);
  },

  forward: (context) => (isWeights(context.spec) ? forwardWeights(context) : forwardActivations(context)),

  gradient(context) {
    if (!isWeights(context.spec)) return gradientActivations(context);
    return { x: divide(context.builder, context.dy, weightScale(context)), parameters: {} };
  },

  levels: (spec) => stepsOf(spec) + 1,

  integers: {
    codes: (spec) =>
      isWeights(spec) ? integersBetween(-stepsOf(spec), stepsOf(spec), 2) : integersBetween(0, stepsOf(spec)),
    unit(spec, parameters, row) {
      const n = stepsOf(spec);
      if (!isWeights(spec)) return unitOf(fround(scalarOf(parameters, "scale2") * fround(reach / n)));
      return row === undefined ? undefined : unitOf(weightScaleOf(spec, row) * fround(1 / n));
    },
    encode(spec, parameters, row) {
      if (!isWeights(spec)) return encodeWith(row, (x) => encodeActivation(spec, parameters, x));
      const n = stepsOf(spec);
      const inverse = fround(1 / fround(weightScaleOf(spec, row)));
      return encodeWith(row, (x) => {
        const clipped = clamp(fround(x * inverse), -1, 1);
        return 2 * roundHalfEven(fround(fround(clipped + 1) * (n / 2))) - n;
      });
    },
  },

  check(spec) {
    const { form } = spec.options;
    if (form !== undefined && form !== "weights" && form !== "activations") {
      return {
        message: `N2UQ has no form "${form}"`,
        remedy: 'Set options.form to "weights" or "activations", or leave it out.',
      };
    }
    if (isWeights(spec)) {
      return isUnsigned(spec) ? { message: "N2UQ weights have a sign", remedy: "Set signed to true." } : undefined;
    }
    if (!isUnsigned(spec)) {
      return {
        message: "N2UQ activations start at 0, and this tensor has a sign",
        remedy: 'Leave this layer in float (firstLayer: "float"), or quantize it by lsq+.',
      };
    }
    if (spec.bits > mostBits) {
      return {
        message: `N2UQ activations have at most ${mostBits} bits here: each threshold costs passes over the tensor`,
        remedy: "Use fewer bits, or lsq for this tensor.",
      };
    }
    if (spec.channelAxis !== undefined || spec.groupSize !== undefined) {
      return { message: "N2UQ's thresholds belong to a whole tensor", remedy: 'Set granularity to "tensor".' };
    }
    return undefined;
  },
};
