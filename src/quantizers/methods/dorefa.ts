/**
 * DoReFa-Net: Zhou et al., "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low Bitwidth
 * Gradients", 2016 (arXiv 1606.06160), section 2.3 and 2.4.
 *
 * Weights (codes with a sign): r = tanh(w)/(2·max|tanh(w)|) + ½, y = 2·round(r·n)/n − 1 with n = 2^b − 1 (eq. 9). The
 * gradient passes the rounding and follows tanh, the maximum being a constant: dw = dy·(1 − tanh²(w))/max|tanh(w)|.
 * One bit: y = mean|w|·sign(w), and the gradient passes (eq. 8).
 * Activations (codes from 0): y = round(clip(x, 0, 1)·n)/n; dx = dy inside [0, 1] (eq. 10).
 *
 * Equal to zzzxxxttt/pytorch_DoReFaNet, except that the values are written as integers times a step: (2q − n)·(1/n)
 * and q·(1/n), at most one float32 ulp of 1 away from the original's order of operations. There are 2^b levels for
 * weights, and 0 is none of them.
 *
 * Options: `form` "weights" or "activations" (default: by the sign of the codes); signed activations clip to [−1, 1].
 */

import { clamp, roundHalfEven } from "../../base/rounding.ts";
import type { Value } from "../../ir/graph.ts";
import { tanh } from "../../ops/families/activations.ts";
import {
  absolute,
  add,
  divide,
  maximum,
  multiply,
  reciprocal,
  round,
  square,
  subtract,
} from "../../ops/families/elementwise.ts";
import { reduceMax, reduceMean } from "../../ops/families/reduce.ts";
import { isUnsigned, nonZeroSign } from "../arithmetic/learned.ts";
import { insideRange } from "../arithmetic/masks.ts";
import { roundedValue, specCodeRange } from "../arithmetic/round-codes.ts";
import { encodeWith, integersBetween, statisticsOf, unitOf } from "../arithmetic/scalar.ts";
import { type QuantizerContext, type QuantizerDefinition, type QuantizerSpec, sharedAxes } from "../definition.ts";
import { forms } from "../options.ts";

const { fround } = Math;
/** In place of the largest tanh of a tensor of zeros. */
const smallestMaximum = 1e-30;

function isWeights(spec: QuantizerSpec): boolean {
  return spec.options.form === undefined ? !isUnsigned(spec) : spec.options.form === "weights";
}

function isBinary(spec: QuantizerSpec): boolean {
  return isWeights(spec) && steps(spec) === 1;
}

/** n: the steps between the lowest and the highest level of weights. */
function steps(spec: QuantizerSpec): number {
  return spec.quantMax - spec.quantMin;
}

/** The lowest code of activations. */
function lowestActivation(spec: QuantizerSpec): number {
  return isUnsigned(spec) ? 0 : -spec.quantMax;
}

/** A statistic of the elements that share it, shaped to broadcast over them. */
function reduceShared(context: QuantizerContext, value: Value, reduce: typeof reduceMax): Value {
  const axes = sharedAxes(context.spec, value.type.shape.length);
  return axes.length === 0 ? value : reduce(context.builder, value, axes);
}

/** max|tanh(w)| */
function largestTanh(context: QuantizerContext): Value {
  const { builder, x } = context;
  const largest = reduceShared(context, absolute(builder, tanh(builder, x)), reduceMax);
  return maximum(builder, largest, smallestMaximum);
}

function forwardWeights(context: QuantizerContext): Value {
  const { builder, spec, x } = context;
  const n = steps(spec);
  if (n === 1) {
    const scale = reduceShared(context, absolute(builder, x), reduceMean);
    return multiply(builder, nonZeroSign(builder, x), scale);
  }
  const factor = multiply(builder, reciprocal(builder, largestTanh(context)), n / 2);
  const position = add(builder, multiply(builder, tanh(builder, x), factor), n / 2);
  const doubled = subtract(builder, multiply(builder, round(builder, position), 2), n);
  return multiply(builder, doubled, 1 / n);
}

function forwardActivations(context: QuantizerContext): Value {
  const { builder, spec, target, x } = context;
  const n = spec.quantMax;
  const range = { ...specCodeRange(spec), low: lowestActivation(spec) };
  return roundedValue(builder, target, multiply(builder, x, n), builder.scalar(1 / n), range);
}

function encodeWeights(spec: QuantizerSpec, row: Float32Array): Int32Array {
  const n = steps(spec);
  if (n === 1) return encodeWith(row, (x) => (x >= 0 ? 1 : -1));
  const largest = row.reduce((most, x) => Math.max(most, Math.abs(Math.tanh(x))), smallestMaximum);
  const factor = fround(fround(1 / fround(largest)) * (n / 2));
  return encodeWith(row, (x) => 2 * roundHalfEven(fround(fround(fround(Math.tanh(x)) * factor) + n / 2)) - n);
}

/** DoReFa-Net (arXiv 1606.06160). */
export const dorefa: QuantizerDefinition = {
  name: "dorefa",
  traits: { masksOutside: false, fixedSign: false, torchRange: false },
  options: { form: forms },
  parameters: () => [],
  initialize: () => new Map(),

  forward: (context) => (isWeights(context.spec) ? forwardWeights(context) : forwardActivations(context)),

  gradient(context) {
    const { builder, spec, x, dy } = context;
    if (isBinary(spec)) return { x: dy, parameters: {} };
    if (isWeights(spec)) {
      const slope = subtract(builder, 1, square(builder, tanh(builder, x)));
      const dx = divide(builder, multiply(builder, dy, slope), largestTanh(context));
      return { x: dx, parameters: {} };
    }
    const low = lowestActivation(spec) / spec.quantMax;
    const mask = insideRange(builder, x, { low, high: 1, nonNegative: spec.nonNegative === true });
    return { x: multiply(builder, dy, mask), parameters: {} };
  },

  levels: (spec) => (isWeights(spec) ? steps(spec) + 1 : spec.quantMax - lowestActivation(spec) + 1),

  integers: {
    codes: (spec) =>
      isWeights(spec)
        ? integersBetween(-steps(spec), steps(spec), 2)
        : integersBetween(lowestActivation(spec), spec.quantMax),
    unit(spec, _parameters, row) {
      if (!isBinary(spec)) return unitOf(1 / (isWeights(spec) ? steps(spec) : spec.quantMax));
      return row === undefined ? undefined : unitOf(statisticsOf(row).meanMagnitude);
    },
    encode(spec, _parameters, row) {
      if (isWeights(spec)) return encodeWeights(spec, row);
      const n = spec.quantMax;
      return encodeWith(row, (x) => roundHalfEven(clamp(fround(x * n), lowestActivation(spec), n)));
    },
  },

  check(spec) {
    const { form } = spec.options;
    if (form === "weights" && isUnsigned(spec)) {
      return { message: "DoReFa weights have a sign", remedy: "Set signed to true." };
    }
    if (!isWeights(spec) && spec.quantMax < 1) {
      return { message: "signed DoReFa activations of 1 bit have one level", remedy: "Use 2 bits or more." };
    }
    return undefined;
  },
};
