/**
 * N2UQ: Liu, Cheng, Huang, Xing, Shen, "Nonuniform-to-Uniform Quantization: Towards Accurate Quantization via Generalized
 * Straight-Through Estimation", CVPR 2022 (arXiv 2111.14826), as liuzechun/Nonuniform-to-Uniform-Quantization does it.
 *
 * Activations (codes from 0): the outputs are evenly spaced, the thresholds between them are learned. With n = 2^b − 1
 * and x′ = scale1·x, threshold i (from 0) lies at start + Σ_{j<i} aⱼ + aᵢ/2; y = scale2·(2/n)·(number of thresholds below
 * x′). The generalized straight-through gradient is that of the piecewise linear function which climbs one level over
 * each interval aᵢ, starting at `start`: slope (2/n)/aᵢ there, 0 below and above all of them; it gives dx, daᵢ, dstart
 * and dscale1. 8 bits (255 intervals) are the limit here; the paper has 2 to 4.
 *
 * Weights (codes with a sign), for each group: s = (2^b − 1)/2^(b−1)·mean|w|; y = s·(round((clip(w/s, −1, 1) + 1)·n/2)·2/n
 * − 1): 2^b levels without 0. The gradient is dy/s, unclipped: the original adds the scaled weights, not the weights.
 *
 * The original starts with scale1 = scale2 = 1 and intervals that cover [0, 2] (behind a learned bias and a PReLU that
 * are part of its network, not of its quantizer); here scale1 = 2/r and scale2 = r/2, where r covers the sample as LSQ's
 * initial step would.
 * Options: `form` "weights" or "activations" (default: by the sign of the codes).
 */

import { clamp, roundHalfEven } from "../../../base/rounding.ts";
import type { Value } from "../../../ir/graph.ts";
import { filled, float32Data, float32Tensor } from "../../../ir/tensor.ts";
import { clip } from "../../../ops/families/activations.ts";
import {
  absolute,
  add,
  divide,
  maximum,
  multiply,
  reciprocal,
  round,
  subtract,
} from "../../../ops/families/elementwise.ts";
import { reduceMean } from "../../../ops/families/reduce.ts";
import { isUnsigned, lsqScale, smallestScale } from "../../arithmetic/learned.ts";
import { encodeWith, integersBetween, scalarParameter, statisticsOf, unitOf } from "../../arithmetic/scalar.ts";
import {
  legalScale,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerSpec,
  sharedAxes,
} from "../../definition.ts";
import { forms } from "../../options.ts";
import { encodeActivation, forwardActivations, gradientActivations, reach, smallestInterval } from "./activations.ts";

const { fround } = Math;
/** Each level has an interval of its own to train: more than these would hardly see an element. */
const mostBits = 8;

function isWeights(spec: QuantizerSpec): boolean {
  return spec.options.form === undefined ? !isUnsigned(spec) : spec.options.form === "weights";
}

/** n: the number of steps between the lowest and the highest level. */
function stepsOf(spec: QuantizerSpec): number {
  return spec.quantMax - spec.quantMin;
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

/** Nonuniform-to-uniform quantization (arXiv 2111.14826). */
export const n2uq: QuantizerDefinition = {
  name: "n2uq",
  traits: { masksOutside: false, fixedSign: false, torchRange: false },
  options: { form: forms },

  parameters: (spec) =>
    isWeights(spec)
      ? []
      : [
          {
            name: "intervals",
            shape: [stepsOf(spec)],
            trainable: true,
            initial: 1,
            minimum: smallestInterval,
            legal: { from: 0 },
            isList: true,
          },
          { name: "start", shape: [], trainable: true, initial: 1, change: "shift", unit: "intervals" },
          { name: "scale1", shape: [], trainable: true, initial: 1, minimum: smallestScale, legal: legalScale },
          { name: "scale2", shape: [], trainable: true, initial: 1, minimum: smallestScale, legal: legalScale },
        ],

  initialize(spec, sample) {
    if (isWeights(spec)) return new Map();
    const n = stepsOf(spec);
    const range = lsqScale(spec, float32Data(sample)) * n;
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
      if (!isWeights(spec)) return unitOf(fround(scalarParameter(parameters, "scale2") * fround(reach / n)));
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
        message: `N2UQ activations have at most ${mostBits} bits here, each level being trained by itself`,
        remedy: "Use fewer bits, or lsq for this tensor.",
      };
    }
    if (spec.channelAxis !== undefined || spec.groupSize !== undefined) {
      return { message: "N2UQ's thresholds belong to a whole tensor", remedy: 'Set granularity to "tensor".' };
    }
    return undefined;
  },
};
