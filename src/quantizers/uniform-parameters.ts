/**
 * From a range to a scale and a zero point, as torch's classic observers do it (`UniformQuantizationObserverBase.
 * _calculate_qparams`), in float32, once in numbers and once as graph nodes.
 *
 * affine: the range is widened to hold 0; s = max((max − min)/(qmax − qmin), ε); z = clamp(qmin − round(min/s), qmin, qmax).
 * symmetric: s = max(max(−min, max)/((qmax − qmin)/2), ε); z = 0, or the option `zeroPoint` for unsigned types.
 * ε is float32's 2⁻²³; rounding is half to even.
 */
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { clip } from "../ops/activations.ts";
import { divide, maximum, minimum, multiply, negate, round, subtract } from "../ops/elementwise.ts";
import type { ParameterValues, QuantizerSpec } from "./quantizer.ts";
import { clamp, float32Epsilon, roundHalfEven } from "./rounding.ts";

export interface UniformParameters {
  readonly scale: number;
  readonly zeroPoint: number;
}

/** The zero point of a symmetric range: 0 for signed codes. */
function symmetricZeroPoint(spec: QuantizerSpec): number {
  return typeof spec.options.zeroPoint === "number" ? spec.options.zeroPoint : 0;
}

/** Scale and zero point of a range, in float32 arithmetic. A range that was never observed gives scale 1, zero point 0. */
export function uniformParameters(spec: QuantizerSpec, min: number, max: number): UniformParameters {
  if (min > max) return { scale: 1, zeroPoint: 0 };
  const low = Math.min(Math.fround(min), 0);
  const high = Math.max(Math.fround(max), 0);
  const span = spec.quantMax - spec.quantMin;
  if (spec.options.scheme === "symmetric") {
    const scale = Math.max(Math.fround(Math.max(-low, high) / (span / 2)), float32Epsilon);
    return { scale, zeroPoint: symmetricZeroPoint(spec) };
  }
  const scale = Math.max(Math.fround(Math.fround(high - low) / span), float32Epsilon);
  const zeroPoint = spec.quantMin - roundHalfEven(Math.fround(low / scale));
  return { scale, zeroPoint: clamp(zeroPoint, spec.quantMin, spec.quantMax) };
}

/** The same as graph nodes; `min` and `max` are scalars or per-channel vectors. */
export function parametersFromRange(
  builder: GraphBuilder,
  spec: QuantizerSpec,
  range: { readonly min: Value; readonly max: Value },
): ParameterValues {
  const low = minimum(builder, range.min, 0);
  const high = maximum(builder, range.max, 0);
  const span = spec.quantMax - spec.quantMin;
  if (spec.options.scheme === "symmetric") {
    const scale = maximum(
      builder,
      divide(builder, maximum(builder, negate(builder, low), high), span / 2),
      float32Epsilon,
    );
    // A constant of the scale's shape that nothing can fold into NaN: 0·s is 0 for every finite scale.
    const zeroPoint = multiply(builder, scale, 0);
    const offset = symmetricZeroPoint(spec);
    return { scale, zero_point: offset === 0 ? zeroPoint : clip(builder, zeroPoint, offset, offset) };
  }
  const scale = maximum(builder, divide(builder, subtract(builder, high, low), span), float32Epsilon);
  const zeroPoint = subtract(builder, spec.quantMin, round(builder, divide(builder, low, scale)));
  return { scale, zero_point: clip(builder, zeroPoint, spec.quantMin, spec.quantMax) };
}
