/** Masks of ones and zeros that gradients of quantizers need, in few passes and without booleans. */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { float32Tensor } from "../../ir/tensor.ts";
import { atMost, stepSlope } from "../../ops/build/masks.ts";
import type { Target } from "../../ops/definition.ts";
import { clip, hardSigmoid } from "../../ops/families/activations.ts";
import { absolute, add, multiply, subtract } from "../../ops/families/elementwise.ts";
import { reduceMax } from "../../ops/families/reduce.ts";
import { canBeBlocked } from "../../ops/internal/channel-ops.ts";
import { insideLimits } from "../../ops/internal/inside-limits.ts";
import { quotientOf } from "./round-codes.ts";

/** 1 where low ≤ v ≤ high, 0 elsewhere. With `nonNegative`, v is known to be at least 0, which saves two passes. */
export function insideRange(
  builder: GraphBuilder,
  v: Value,
  range: { readonly low: number; readonly high: number; readonly nonNegative: boolean },
): Value {
  if (range.nonNegative && range.low <= 0) return atMost(builder, v, range.high);
  return equalTo(builder, v, clip(builder, v, range.low, range.high));
}

/**
 * 1 where low ≤ x·(1/scale) ≤ high, 0 elsewhere, with the product as {@link quotientOf} rounds it. Where that is possible
 * it is a limit of x itself, which joins with the limits of the activation before, and x/scale need not be kept.
 */
export function insideQuotient(
  { builder, target, x }: { readonly builder: GraphBuilder; readonly target: Target; readonly x: Value },
  scale: Value,
  range: { readonly low: number; readonly high: number; readonly nonNegative: boolean },
): Value {
  const isLimit = range.nonNegative && range.low <= 0 && range.high > 0;
  if (isLimit && scale.type.shape.length === 0 && target.name === "cpu" && canBeBlocked(x, target.blockSize)) {
    return insideLimits(builder, x, { positive: false, upper: greatestWithin(builder, scale, range.high) });
  }
  return insideRange(builder, quotientOf(builder, x, scale), range);
}

/** The largest distance of the limit from scale·high in units of 2⁻²⁴: three roundings lie between them. */
const uncertainty = 8;

/**
 * The greatest float32 x whose float32 product with the float32 reciprocal of a scalar scale is at most `high`, above 0.
 *
 * The product does not decrease with x, so all numbers near scale·high are tried: steps of half a unit in the last place,
 * or of a whole one, reach all of them.
 */
export function greatestWithin(builder: GraphBuilder, scale: Value, high: number): Value {
  const units = Array.from({ length: 2 * uncertainty + 1 }, (_, i) => (i - uncertainty) * 2 ** -24);
  const near = multiply(builder, scale, high);
  const distances = multiply(builder, near, builder.constant(float32Tensor([units.length], units)));
  const tried = add(builder, near, distances);
  const kept = multiply(builder, tried, atMost(builder, quotientOf(builder, tried, scale), high));
  return reduceMax(builder, kept, [0], { keepDimensions: false });
}

/** 1 where two values are equal, 0 elsewhere. */
export function equalTo(builder: GraphBuilder, a: Value, b: Value): Value {
  return hardSigmoid(builder, absolute(builder, subtract(builder, a, b)), -stepSlope, 1);
}
