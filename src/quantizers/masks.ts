/** Masks of ones and zeros that gradients of quantizers need, in few passes and without booleans. */
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { clip, hardSigmoid } from "../ops/activations.ts";
import { absolute, subtract } from "../ops/elementwise.ts";
import { atMost, stepSlope } from "../ops/masks.ts";

/** 1 where low ≤ v ≤ high, 0 elsewhere. With `nonNegative`, v is known to be at least 0, which saves two passes. */
export function insideRange(
  builder: GraphBuilder,
  v: Value,
  range: { readonly low: number; readonly high: number; readonly nonNegative: boolean },
): Value {
  if (range.nonNegative && range.low <= 0) return atMost(builder, v, range.high);
  return equalTo(builder, v, clip(builder, v, range.low, range.high));
}

/** 1 where two values are equal, 0 elsewhere. */
export function equalTo(builder: GraphBuilder, a: Value, b: Value): Value {
  return hardSigmoid(builder, absolute(builder, subtract(builder, a, b)), -stepSlope, 1);
}
