/**
 * The uniform quantizer of torch: y = (clamp(z + round(x/s), qmin, qmax) − z)·s, straight-through gradient where the
 * rounded code lies inside the range.
 *
 * Matches `torch.fake_quantize_per_tensor_affine` and `..._per_channel_affine` (integer zero point) bit for bit in
 * float32: the product is with the float32 reciprocal of the scale, rounding is half to even, and the mask is taken on
 * the rounded code (so values up to half a step outside the range keep their gradient).
 * The parameters follow an observer, by the rules in uniform-parameters.ts.
 *
 * Options: `scheme` "affine" (default) or "symmetric"; `zeroPoint` for symmetric unsigned ranges.
 */
import type { GraphBuilder, Value } from "../graph/graph.ts";
import type { Tensor } from "../graph/tensor.ts";
import { float32Tensor } from "../graph/tensor.ts";
import type { TensorType } from "../graph/types.ts";
import { clip, hardSigmoid } from "../ops/activations.ts";
import { absolute, maximum, minimum, multiply, reciprocal, round, subtract } from "../ops/elementwise.ts";
import {
  type ParameterValues,
  parameterGroups,
  parameterShape,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerSpec,
} from "./quantizer.ts";
import { parametersFromRange, uniformParameters } from "./uniform-parameters.ts";

/** round(x/s) before the zero point is added and the range is applied. */
function roundedQuotient(context: QuantizerContext): Value {
  const { builder, x, parameters } = context;
  return round(builder, multiply(builder, x, reciprocal(builder, scaleOf(parameters))));
}

function scaleOf(parameters: ParameterValues): Value {
  return required(parameters, "scale");
}

function zeroPointOf(parameters: ParameterValues): Value {
  return required(parameters, "zero_point");
}

function required(parameters: ParameterValues, name: string): Value {
  const value = parameters[name];
  if (value === undefined) throw new Error(`the uniform quantizer has no parameter "${name}"`);
  return value;
}

/** The range of round(x/s): the code's range, moved by the zero point. */
function quotientRange(context: QuantizerContext): { readonly low: Value; readonly high: Value } {
  const { builder, spec, parameters } = context;
  const zeroPoint = zeroPointOf(parameters);
  return {
    low: subtract(builder, spec.quantMin, zeroPoint),
    high: subtract(builder, spec.quantMax, zeroPoint),
  };
}

function isSymmetricSigned(spec: QuantizerSpec): boolean {
  return spec.options.scheme === "symmetric" && (spec.options.zeroPoint ?? 0) === 0;
}

/** clamp(round(x/s), qmin − z, qmax − z). */
function quotientInRange(context: QuantizerContext, quotient: Value): Value {
  const { builder, spec } = context;
  if (isSymmetricSigned(spec)) return clip(builder, quotient, spec.quantMin, spec.quantMax);
  const { low, high } = quotientRange(context);
  if (low.type.shape.length === 0) return clip(builder, quotient, low, high);
  return minimum(builder, maximum(builder, quotient, low), high);
}

/**
 * 1 where the rounded code lies inside the range. A tensor without negative values has zero point 0 and only an upper
 * bound; the quotient r is an integer, so qmax + 1 − r is at least 1 inside and at most 0 outside. Otherwise, with h = (qmax − qmin)/2 and m the middle of the range, an integer r
 * lies inside exactly when h + 1 − |r − m| ≥ 1, and outside that is at most 0.
 */
function insideMask(builder: GraphBuilder, context: QuantizerContext, quotient: Value): Value {
  const { spec } = context;
  if (spec.nonNegative === true && spec.quantMin === 0) return hardSigmoid(builder, quotient, -1, spec.quantMax + 1);
  const half = (spec.quantMax - spec.quantMin) / 2;
  const middle = (spec.quantMax + spec.quantMin) / 2;
  const centre = isSymmetricSigned(spec)
    ? builder.scalar(middle)
    : subtract(builder, middle, zeroPointOf(context.parameters));
  return hardSigmoid(builder, absolute(builder, subtract(builder, quotient, centre)), -1, half + 1);
}

export const uniform: QuantizerDefinition = {
  name: "uniform",

  parameters(spec: QuantizerSpec, type: TensorType) {
    const shape = parameterShape(spec, type);
    return [
      { name: "scale", shape, trainable: false },
      { name: "zero_point", shape, trainable: false },
    ];
  },

  initialize(spec: QuantizerSpec, sample: Tensor) {
    const rows = parameterGroups(spec, sample).map((row) => {
      let min = Number.POSITIVE_INFINITY;
      let max = Number.NEGATIVE_INFINITY;
      for (const value of row) {
        if (value < min) min = value;
        if (value > max) max = value;
      }
      return uniformParameters(spec, min, max);
    });
    const shape = parameterShape(spec, sample);
    return new Map([
      [
        "scale",
        float32Tensor(
          shape,
          rows.map((row) => row.scale),
        ),
      ],
      [
        "zero_point",
        float32Tensor(
          shape,
          rows.map((row) => row.zeroPoint),
        ),
      ],
    ]);
  },

  fromRange: parametersFromRange,

  forward(context) {
    const { builder, parameters } = context;
    return multiply(builder, quotientInRange(context, roundedQuotient(context)), scaleOf(parameters));
  },

  gradient(context) {
    const { builder, dy } = context;
    const mask = insideMask(builder, context, roundedQuotient(context));
    return { x: multiply(builder, dy, mask), parameters: {} };
  },

  levels: (spec) => spec.quantMax - spec.quantMin + 1,
};
