/** Rounding to codes, in the fewest and fastest passes that the target has. */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { makeTensor } from "../../ir/tensor.ts";
import { floatBefore } from "../../ops/build/masks.ts";
import { lacks } from "../../ops/build/missing-operators.ts";
import type { Target } from "../../ops/definition.ts";
import { clip } from "../../ops/families/activations.ts";
import { cast } from "../../ops/families/cast.ts";
import { add, maximum, minimum, multiply, reciprocal, round, subtract } from "../../ops/families/elementwise.ts";
import { dequantizeLinear, quantizeLinear } from "../../ops/families/quantize-linear.ts";
import type { QuantizerSpec } from "../definition.ts";

/**
 * 1.5·2²³: between 2²³ and 2²⁴ float32 numbers are whole, so adding this rounds a number of up to 2²² half to even, and
 * subtracting it gives the rounded number exactly. The engine's Round uses one thread and no vectors.
 */
const wholeNumbers = 12_582_912;

/** Lowest and highest code, as numbers or as values of the graph. */
export interface CodeRange {
  /** Integers. */
  readonly low: number | Value;
  readonly high: number | Value;
}

/** The codes of a spec, and whether what is quantized can be below 0. */
export function specCodeRange(spec: QuantizerSpec): {
  readonly low: number;
  readonly high: number;
  readonly nonNegative: boolean;
} {
  return { low: spec.quantMin, high: spec.quantMax, nonNegative: spec.nonNegative === true };
}

/** x/s, as torch computes it: by the float32 reciprocal. */
export function quotientOf(builder: GraphBuilder, x: Value, step: Value): Value {
  return multiply(builder, x, reciprocal(builder, step));
}

/** v rounded half to even and limited to a range of integers: in either order, which is the same. */
export function roundedWithin(builder: GraphBuilder, target: Target, v: Value, { low, high }: CodeRange): Value {
  const limited = limit(builder, v, low, high);
  // Only where a sum was seen to round as it should: on the CPU, and on a device that was probed for it.
  if ((target.name !== "cpu" && !lacks(target, "Round")) || v.type.dtype !== "float32") return round(builder, limited);
  return subtract(builder, add(builder, limited, wholeNumbers), wholeNumbers);
}

/**
 * step·code for the code of v: the value of a quantizer with even levels.
 *
 * On the CPU the code of a whole tensor is one of the engine's bytes: QuantizeLinear rounds half to even and stops at 255,
 * so with 255 as the highest code that bound costs nothing; a lower bound is a pass over bytes, or none where v cannot
 * reach it. DequantizeLinear multiplies the integer by the step: the numbers are those of {@link roundedWithin}.
 */
export function roundedValue(
  builder: GraphBuilder,
  target: Target,
  v: Value,
  step: Value,
  range: CodeRange & { readonly nonNegative: boolean },
): Value {
  const { low, high, nonNegative } = range;
  const fits = typeof low === "number" && typeof high === "number" && high >= 0 && high - low <= 255;
  if (target.name !== "cpu" || !fits || v.type.dtype !== "float32" || step.type.shape.length > 0) {
    return multiply(builder, roundedWithin(builder, target, v, range), step);
  }
  const zeroPoint = builder.constant(makeTensor("uint8", [], Uint8Array.of(255 - high)));
  const saturated = quantizeLinear(builder, v, builder.scalar(1), { zeroPoint });
  const lowest = 255 - high + low;
  const codes = lowest === 0 || (nonNegative && low <= 0) ? saturated : clip(builder, saturated, lowest);
  return dequantizeLinear(builder, codes, step, { zeroPoint });
}

/** Codes as bytes that go beyond the range by `margin` on both sides, which tells what was outside. */
export interface StoredCodes {
  readonly codes: Value;
  readonly zeroPoint: Value;
  /** The byte of the lowest code. */
  readonly margin: number;
  readonly levels: number;
}

/**
 * The codes of v rounded half to even, plus a zero point that is known only when the graph runs, before they are limited:
 * a quarter of the memory of v, and all that a backward pass needs. Undefined where bytes are of no use.
 *
 * @param zeroPoint A float32 integer, one of the codes.
 */
export function storedCodes(
  builder: GraphBuilder,
  target: Target,
  v: Value,
  zeroPoint: Value,
  { low, high }: { readonly low: number; readonly high: number },
): StoredCodes | undefined {
  const levels = high - low + 1;
  if (target.name !== "cpu" || levels > 256 || v.type.dtype !== "float32" || zeroPoint.type.shape.length > 0) {
    return undefined;
  }
  const margin = Math.floor((256 - levels) / 2);
  const stored = cast(builder, add(builder, zeroPoint, margin - low), "uint8");
  const codes = quantizeLinear(builder, v, builder.scalar(1), { zeroPoint: stored });
  return { codes, zeroPoint: stored, margin, levels };
}

/** step·(code − zero point), the code limited to the range. */
export function valueOfCodes(builder: GraphBuilder, stored: StoredCodes, step: Value): Value {
  const { codes, zeroPoint, margin, levels } = stored;
  const limited = levels === 256 ? codes : clip(builder, codes, margin, margin + levels - 1);
  return dequantizeLinear(builder, limited, step, { zeroPoint });
}

/** v limited to low..high, which may be computed and may differ between channels. */
function limit(builder: GraphBuilder, v: Value, low: number | Value, high: number | Value): Value {
  const isVector = (bound: number | Value) => typeof bound !== "number" && bound.type.shape.length > 0;
  if (!isVector(low) && !isVector(high)) return clip(builder, v, low, high);
  return minimum(builder, maximum(builder, v, low), high);
}

/**
 * The greatest float32 that rounds to at most `code`: half a step further, or the number before it where that tie goes up,
 * to an even code.
 */
export function highestRoundingTo(code: number): number {
  const tie = code + 0.5;
  return code % 2 === 0 ? tie : floatBefore(tie);
}

/** The least float32 that rounds to at least a `code` of 0 or below. */
export function lowestRoundingTo(code: number): number {
  return -highestRoundingTo(-code);
}
