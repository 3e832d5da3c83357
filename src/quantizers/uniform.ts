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
import { hardSigmoid } from "../ops/activations.ts";
import { absolute, add, multiply, reciprocal, subtract } from "../ops/elementwise.ts";
import { atMost } from "../ops/masks.ts";
import {
  type ParameterValues,
  parameterGroups,
  parameterShape,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerSpec,
} from "./quantizer.ts";
import { type CodeRange, highestRoundingTo, roundedWithin } from "./round-codes.ts";
import { parametersFromRange, uniformParameters } from "./uniform-parameters.ts";

/** x/s, before it is rounded. */
function quotientOf(context: QuantizerContext): Value {
  const { builder, x, parameters } = context;
  return multiply(builder, x, reciprocal(builder, scaleOf(parameters)));
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

/** The zero point where the configuration alone decides it, else undefined. */
function knownZeroPoint(spec: QuantizerSpec): number | undefined {
  if (spec.options.scheme === "symmetric") {
    return typeof spec.options.zeroPoint === "number" ? spec.options.zeroPoint : 0;
  }
  // The range of a tensor without negative values begins at 0, so 0 is its lowest code.
  return spec.nonNegative === true && spec.quantMin === 0 ? 0 : undefined;
}

/** The range of round(x/s): the code's range, moved by the zero point. */
function quotientRange(context: QuantizerContext): CodeRange {
  const { builder, spec, parameters } = context;
  const known = knownZeroPoint(spec);
  if (known !== undefined) return { low: spec.quantMin - known, high: spec.quantMax - known };
  const zeroPoint = zeroPointOf(parameters);
  return {
    low: subtract(builder, spec.quantMin, zeroPoint),
    high: subtract(builder, spec.quantMax, zeroPoint),
  };
}

/**
 * 1 where the rounded code lies inside the range. A tensor without negative values has only an upper bound, which is one
 * on x/s itself. Otherwise, with r the integer to which x/s rounds, h = (qmax − qmin)/2 and m the middle of the range, r
 * lies inside exactly when h + 1 − |r − m| ≥ 1, and outside that is at most 0.
 */
function insideMask(context: QuantizerContext): Value {
  const { builder, spec, target } = context;
  const quotient = quotientOf(context);
  const range = quotientRange(context);
  if (spec.nonNegative === true && typeof range.low === "number" && typeof range.high === "number" && range.low <= 0) {
    return atMost(builder, quotient, highestRoundingTo(range.high));
  }
  // One code further on each side is enough to tell inside from outside.
  const rounded = roundedWithin(builder, target, quotient, {
    low: moved(builder, range.low, -1),
    high: moved(builder, range.high, 1),
  });
  const half = (spec.quantMax - spec.quantMin) / 2;
  const middle = moved(builder, range.low, half);
  return hardSigmoid(builder, absolute(builder, subtract(builder, rounded, middle)), -1, half + 1);
}

function moved(builder: GraphBuilder, bound: number | Value, distance: number): number | Value {
  return typeof bound === "number" ? bound + distance : add(builder, bound, distance);
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
    const { builder, parameters, target } = context;
    const code = roundedWithin(builder, target, quotientOf(context), quotientRange(context));
    return multiply(builder, code, scaleOf(parameters));
  },

  gradient(context) {
    const { builder, dy } = context;
    return { x: multiply(builder, dy, insideMask(context)), parameters: {} };
  },

  levels: (spec) => spec.quantMax - spec.quantMin + 1,
};
