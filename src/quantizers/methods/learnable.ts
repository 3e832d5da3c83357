/**
 * torch's learnable fake-quantize: `torch.ao.quantization._learnable_fake_quantize._LearnableFakeQuantize` and the
 * operators `_fake_quantize_learnable_per_tensor_affine` / `..._per_channel_affine` (torch 1.13), after Jain et al.,
 * "Trained Quantization Thresholds" and Esser et al., "Learned Step Size Quantization".
 *
 * Forward: z = clamp(round(zero_point), qmin, qmax); y = (clamp(z + round(x·(1/s)), qmin, qmax) − z)·s.
 * Backward, with q = round(z′ + x·(1/s)): dx = dy where q lies in the range; inside, ds = dy·((q − z′)·s − x)/s and
 * dz = 0; outside, ds = dy·(bound − z′) and dz = −dy·s. All are multiplied by the gradient factor.
 *
 * torch's own irregularities are kept, because trajectories depend on them: per tensor the backward zero point z′ is
 * trunc(zero_point + ½), so that 2.5 is 2 forward and 3 backward; q is rounded jointly there, so that ties differ for
 * odd z; `gradientScale: "torch"` counts the whole tensor's elements even per channel.
 *
 * Options: `scheme` "affine" (default) or "symmetric" (no zero point); `gradientScale` "none" (torch's default),
 * "torch" (`use_grad_scaling=True`) or "lsq".
 */

import { defined } from "../../base/defined.ts";
import { clamp, float32Epsilon, roundHalfEven } from "../../base/rounding.ts";
import type { Value } from "../../ir/graph.ts";
import { clip } from "../../ops/families/activations.ts";
import { cast } from "../../ops/families/cast.ts";
import { add, multiply, negate, reciprocal, round, subtract } from "../../ops/families/elementwise.ts";
import { affineIntegers, codeCount } from "../arithmetic/even-codes.ts";
import { codeInside, gradientFactor, parameterOf, scaled, startFromRange, sumShared } from "../arithmetic/learned.ts";
import { roundedWithin } from "../arithmetic/round-codes.ts";
import { scalarParameter } from "../arithmetic/scalar.ts";
import { uniformParameters } from "../arithmetic/uniform-parameters.ts";
import {
  type GridContext,
  type GroupParameters,
  legalScale,
  parameterShape,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerSpec,
} from "../definition.ts";
import { gradientScales } from "../options.ts";

function isSymmetric(spec: QuantizerSpec): boolean {
  return spec.options.scheme === "symmetric";
}

/** torch divides by max(s, ε), whatever the optimizer made of s. */
function scaleOf(context: GridContext): Value {
  return parameterOf(context, "scale");
}

/** The zero point of the forward pass; undefined where it is 0 by the scheme. */
function forwardZeroPoint(context: GridContext): Value | undefined {
  const { builder, spec } = context;
  if (isSymmetric(spec)) return undefined;
  return clip(builder, round(builder, parameterOf(context, "zero_point")), spec.quantMin, spec.quantMax);
}

/** The zero point of the backward pass. */
function backwardZeroPoint(context: QuantizerContext): Value | undefined {
  const { builder, spec } = context;
  if (isSymmetric(spec) || spec.channelAxis !== undefined) return forwardZeroPoint(context);
  const moved = clip(builder, add(builder, parameterOf(context, "zero_point"), 0.5), spec.quantMin, spec.quantMax);
  return cast(builder, cast(builder, moved, "int64"), "float32");
}

/** clamp(round(value), qmin − z, qmax − z) */
function withinCodes(context: QuantizerContext, value: Value, zeroPoint: Value | undefined): Value {
  const { builder, spec, target } = context;
  const moved = (bound: number) => (zeroPoint === undefined ? bound : subtract(builder, bound, zeroPoint));
  return roundedWithin(builder, target, value, { low: moved(spec.quantMin), high: moved(spec.quantMax) });
}

function numbersFromRange(spec: QuantizerSpec, min: number, max: number): GroupParameters {
  const { scale, zeroPoint } = uniformParameters(spec, min, max);
  return isSymmetric(spec) ? { scale } : { scale, zero_point: zeroPoint };
}

function zeroPointOf(spec: QuantizerSpec, parameters: GroupParameters): number {
  if (isSymmetric(spec)) return 0;
  return clamp(roundHalfEven(scalarParameter(parameters, "zero_point")), spec.quantMin, spec.quantMax);
}

/** torch's _LearnableFakeQuantize. */
export const learnable: QuantizerDefinition = {
  name: "learnable",
  traits: { masksOutside: true, fixedSign: false, torchRange: false },
  options: { scheme: ["affine", "symmetric"], gradientScale: gradientScales },

  parameters(spec, type) {
    const shape = parameterShape(spec, type);
    const scale = { name: "scale", shape, trainable: true, initial: 1, minimum: float32Epsilon, legal: legalScale };
    return isSymmetric(spec)
      ? [scale]
      : [scale, { name: "zero_point", shape, trainable: true, initial: 0, change: "shift" }];
  },

  ...startFromRange(numbersFromRange),

  forward(context) {
    const { builder, x } = context;
    const scale = scaleOf(context);
    const quotient = multiply(builder, x, reciprocal(builder, scale));
    return multiply(builder, withinCodes(context, quotient, forwardZeroPoint(context)), scale);
  },

  gradient(context) {
    const { builder, spec, target, x, dy } = context;
    const scale = scaleOf(context);
    const zeroPoint = backwardZeroPoint(context);
    const inverse = reciprocal(builder, scale);
    const quotient = multiply(builder, x, inverse);
    // One code further on each side is enough to tell inside from outside.
    const position = zeroPoint === undefined ? quotient : add(builder, quotient, zeroPoint);
    const code = roundedWithin(builder, target, position, { low: spec.quantMin - 1, high: spec.quantMax + 1 });
    const mask = codeInside(builder, code, spec.quantMin, spec.quantMax);
    const dx = multiply(builder, dy, mask);
    const clipped = clip(builder, code, spec.quantMin, spec.quantMax);
    const moved = zeroPoint === undefined ? clipped : subtract(builder, clipped, zeroPoint);
    // Inside: dy·((q − z)·s − x)/s = dy·(q − z) − dy·x/s; outside only the first term is left.
    const perScale = subtract(builder, multiply(builder, dy, moved), multiply(builder, dx, quotient));
    const factor = gradientFactor(context, scale, "none");
    const parameters = { scale: scaled(builder, sumShared(context, perScale, scale), factor) };
    if (isSymmetric(spec)) return { x: dx, parameters };
    const outside = sumShared(context, subtract(builder, dy, dx), scale);
    const perZeroPoint = multiply(builder, negate(builder, outside), scale);
    return { x: dx, parameters: { ...parameters, zero_point: scaled(builder, perZeroPoint, factor) } };
  },

  grid: (context) => ({ scale: scaleOf(context), ...defined({ zeroPoint: forwardZeroPoint(context) }) }),

  levels: codeCount,
  integers: affineIntegers(zeroPointOf),
};
