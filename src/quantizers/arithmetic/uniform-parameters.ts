/**
 * From a range to a scale and a zero point, in the three conventions of torch, once in numbers and once as graph nodes.
 * The option `convention` chooses:
 *
 * - `classic` (default): `UniformQuantizationObserverBase._calculate_qparams`, in float32.
 *   affine: the range is widened to hold 0; s = max((max − min)/(qmax − qmin), ε); z = clamp(qmin − round(min/s), …).
 *   symmetric: s = max(max(−min, max)/((qmax − qmin)/2), ε); z = 0, or the option `zeroPoint` for unsigned types.
 *   ε is float32's 2⁻²³ unless the option `eps` gives another; rounding is half to even.
 * - `pre-1.12`: the same, but the scale comes from the whole eight-bit type while the codes stop at qmin and qmax, since
 *   `FakeQuantize` did not pass its limits to the observer (fixed in torch by pull request 74581). The option
 *   `reducedObserver` halves the type's range, as `reduce_range` did there.
 * - `fused`: the kernel's `ChooseQuantizationParams` (`FusedMovingAvgObsFakeQuantize`), in float64 and rounded once:
 *   a two-sided symmetric range becomes m·[−⌊n/2⌋ − 1, ⌊n/2⌋] with n = qmax − qmin and z = round((qmin + qmax)/2); a
 *   one-sided range is treated as affine, symmetric or not; z comes from the end with the smaller error; s = 0 becomes
 *   0.1, and a smaller s than 6.1e-5 becomes that.
 */

import { clamp, float32Epsilon, roundHalfEven } from "../../base/rounding.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { filled, makeTensor } from "../../ir/tensor.ts";
import { clip } from "../../ops/families/activations.ts";
import { cast } from "../../ops/families/cast.ts";
import { equal, greater, less, lessOrEqual, where } from "../../ops/families/comparison.ts";
import {
  absolute,
  divide,
  maximum,
  minimum,
  multiply,
  negate,
  round,
  subtract,
} from "../../ops/families/elementwise.ts";
import type { ParameterValues, QuantizerSpec } from "../definition.ts";

/** Scale and zero point of a uniform quantizer. */
export interface UniformParameters {
  readonly scale: number;
  readonly zeroPoint: number;
}

/** The values of the option `convention`. */
export const conventions = ["classic", "fused", "pre-1.12"] as const;

const { fround } = Math;
/** The kernel's `SMALL_SCALE_THRESHOLD`. */
const smallScale = fround(6.1e-5);

/** The zero point of a symmetric range: 0 for signed codes. */
function symmetricZeroPoint(spec: QuantizerSpec): number {
  return typeof spec.options.zeroPoint === "number" ? spec.options.zeroPoint : 0;
}

/** The smallest scale, as float32 holds it. */
function smallestOf({ options }: QuantizerSpec): number {
  return typeof options.eps === "number" ? fround(options.eps) : float32Epsilon;
}

/** The codes from which the scale and the zero point are computed: not the quantizer's own before torch 1.12. */
export function observedCodes(spec: QuantizerSpec): { readonly min: number; readonly max: number } {
  if (spec.options.convention !== "pre-1.12") return { min: spec.quantMin, max: spec.quantMax };
  const halved = spec.options.reducedObserver === true;
  if (spec.quantMin < 0) return halved ? { min: -64, max: 63 } : { min: -128, max: 127 };
  return { min: 0, max: halved ? 127 : 255 };
}

/** Scale and zero point of a range, in float32 arithmetic. A range that was never observed gives scale 1, zero point 0. */
export function uniformParameters(spec: QuantizerSpec, min: number, max: number): UniformParameters {
  if (min > max) return { scale: 1, zeroPoint: 0 };
  if (spec.options.convention === "fused") return fusedParameters(spec, fround(min), fround(max));
  const codes = observedCodes(spec);
  const low = Math.min(fround(min), 0);
  const high = Math.max(fround(max), 0);
  const span = codes.max - codes.min;
  if (spec.options.scheme === "symmetric") {
    const scale = Math.max(fround(Math.max(-low, high) / (span / 2)), smallestOf(spec));
    return { scale, zeroPoint: symmetricZeroPoint(spec) };
  }
  const scale = Math.max(fround(fround(high - low) / span), smallestOf(spec));
  const zeroPoint = codes.min - roundHalfEven(fround(low / scale));
  return { scale, zeroPoint: clamp(zeroPoint, codes.min, codes.max) };
}

/** `ChooseQuantizationParams`, with its mixture of float32 and float64. */
function fusedParameters(spec: QuantizerSpec, givenMin: number, givenMax: number): UniformParameters {
  const { quantMin, quantMax } = spec;
  const span = quantMax - quantMin;
  const isTwoSidedSymmetric = spec.options.scheme === "symmetric" && givenMin < 0 && givenMax > 0;
  let [min, max] = [Math.min(givenMin, 0), Math.max(givenMax, 0)];
  if (isTwoSidedSymmetric) {
    const { low, high } = fusedSymmetricCodes(span);
    const unit = Math.max(fround(Math.abs(min / low)), fround(Math.abs(max / high)));
    [min, max] = [fround(unit * low), fround(unit * high)];
  }
  let scale = (max - min) / span;
  if (fround(scale) === 0 || !Number.isFinite(fround(1 / fround(scale)))) scale = 0.1;
  if (scale < smallScale) {
    const amplifier = fround(smallScale / fround(scale));
    scale = smallScale;
    if (min === 0) max = fround(smallScale * span);
    else if (max === 0) min = fround(-smallScale * span);
    else [min, max] = [fround(min * amplifier), fround(max * amplifier)];
  }
  if (isTwoSidedSymmetric) return { scale: fround(scale), zeroPoint: roundHalfEven((quantMin + quantMax) / 2) };
  const errorOfMin = Math.abs(quantMin) - Math.abs(min / scale);
  const errorOfMax = Math.abs(quantMax) - Math.abs(max / scale);
  const initial = errorOfMin < errorOfMax ? quantMin - min / scale : quantMax - max / scale;
  return { scale: fround(scale), zeroPoint: clamp(roundHalfEven(initial), quantMin, quantMax) };
}

/** The codes that a two-sided symmetric range is spread over: one more below zero than above. */
function fusedSymmetricCodes(span: number): { readonly low: number; readonly high: number } {
  const half = Math.floor(span / 2);
  return { low: -(half + 1), high: half };
}

/** The same as graph nodes; `min` and `max` are scalars or per-channel vectors. */
export function parametersFromRange(
  builder: GraphBuilder,
  spec: QuantizerSpec,
  range: { readonly min: Value; readonly max: Value },
): ParameterValues {
  if (spec.options.convention === "fused") return fusedFromRange(builder, spec, range);
  const codes = observedCodes(spec);
  const span = codes.max - codes.min;
  const high = maximum(builder, range.max, 0);
  const low = spec.nonNegative === true ? undefined : minimum(builder, range.min, 0);
  const known = (scale: Value, zeroPoint: number) => ({
    scale,
    zero_point: builder.constant(filled(scale.type.shape, zeroPoint), "zero_point"),
  });
  if (spec.options.scheme === "symmetric") {
    const reach = low === undefined ? high : maximum(builder, negate(builder, low), high);
    const scale = maximum(builder, divide(builder, reach, span / 2), smallestOf(spec));
    return known(scale, symmetricZeroPoint(spec));
  }
  const length = low === undefined ? high : subtract(builder, high, low);
  const scale = maximum(builder, divide(builder, length, span), smallestOf(spec));
  if (low === undefined) return known(scale, codes.min);
  const zeroPoint = subtract(builder, codes.min, round(builder, divide(builder, low, scale)));
  return { scale, zero_point: clip(builder, zeroPoint, codes.min, codes.max) };
}

/** {@link fusedParameters} as nodes; they work on scalars or on a number for each channel, so their cost is nothing. */
function fusedFromRange(
  builder: GraphBuilder,
  spec: QuantizerSpec,
  range: { readonly min: Value; readonly max: Value },
): ParameterValues {
  const { quantMin, quantMax } = spec;
  const span = quantMax - quantMin;
  const wide = (value: Value) => cast(builder, value, "float64");
  const narrow = (value: Value) => cast(builder, value, "float32");
  const number = (value: number) => builder.constant(makeTensor("float64", [], Float64Array.of(value)), `d${value}`);
  const low = minimum(builder, range.min, 0);
  const high = maximum(builder, range.max, 0);
  let [min, max] = [low, high];
  let isTwoSided: Value | undefined;
  if (spec.options.scheme === "symmetric") {
    const codes = fusedSymmetricCodes(span);
    const unit = maximum(builder, divide(builder, low, codes.low), divide(builder, high, codes.high));
    isTwoSided = greater(builder, multiply(builder, sign(builder, high), sign(builder, negate(builder, low))), 0);
    min = where(builder, isTwoSided, multiply(builder, unit, codes.low), low);
    max = where(builder, isTwoSided, multiply(builder, unit, codes.high), high);
  }
  const plain = divide(builder, subtract(builder, wide(max), wide(min)), number(span));
  // A float32 up to 2⁻¹²⁸ has an infinite reciprocal; the kernel takes any scale for such a range.
  const isNothing = lessOrEqual(builder, narrow(plain), 2 ** -128);
  const usable = where(builder, isNothing, number(0.1), plain);
  const isSmall = less(builder, usable, number(smallScale));
  const scale = where(builder, isSmall, number(smallScale), usable);
  const amplifier = divide(builder, smallScale, narrow(usable));
  const amplified = (end: Value, other: Value, alone: number): Value =>
    where(
      builder,
      isSmall,
      where(builder, equal(builder, other, 0), builder.scalar(alone), multiply(builder, end, amplifier)),
      end,
    );
  const finalMin = wide(amplified(min, max, fround(-smallScale * span)));
  const finalMax = wide(amplified(max, min, fround(smallScale * span)));
  // With only one end other than 0 the kernel moves that end; where both are 0 the maximum is moved.
  const quotientMin = divide(builder, finalMin, scale);
  const quotientMax = divide(builder, finalMax, scale);
  const errorOfMin = subtract(builder, number(Math.abs(quantMin)), absolute(builder, quotientMin));
  const errorOfMax = subtract(builder, number(Math.abs(quantMax)), absolute(builder, quotientMax));
  const initial = where(
    builder,
    less(builder, errorOfMin, errorOfMax),
    subtract(builder, number(quantMin), quotientMin),
    subtract(builder, number(quantMax), quotientMax),
  );
  const affine = narrow(round(builder, clip(builder, initial, quantMin, quantMax)));
  const zeroPoint =
    isTwoSided === undefined
      ? affine
      : where(builder, isTwoSided, builder.scalar(roundHalfEven((quantMin + quantMax) / 2)), affine);
  return { scale: narrow(scale), zero_point: zeroPoint };
}

/** 1 where a number is above 0, else 0 (numbers here are never below it). */
function sign(builder: GraphBuilder, value: Value): Value {
  return cast(builder, greater(builder, value, 0), "float32");
}
