/** Rounding to codes, in the fewest and fastest passes that the target has. */
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { clip } from "../ops/activations.ts";
import { add, maximum, minimum, round, subtract } from "../ops/elementwise.ts";
import { lacks } from "../ops/missing-operators.ts";
import type { Target } from "../ops/operator.ts";

/**
 * 1.5·2²³: between 2²³ and 2²⁴ float32 numbers are whole, so adding this rounds a number of up to 2²² half to even, and
 * subtracting it gives the rounded number exactly. The engine's Round uses one thread and no vectors.
 */
const wholeNumbers = 12_582_912;

export interface CodeRange {
  /** Integers. */
  readonly low: number | Value;
  readonly high: number | Value;
}

/** v rounded half to even and limited to a range of integers: in either order, which is the same. */
export function roundedWithin(builder: GraphBuilder, target: Target, v: Value, { low, high }: CodeRange): Value {
  const limited = limit(builder, v, low, high);
  // Only where a sum was seen to round as it should: on the CPU, and on a device that was probed for it.
  if ((target.name !== "cpu" && !lacks(target, "Round")) || v.type.dtype !== "float32") return round(builder, limited);
  return subtract(builder, add(builder, limited, wholeNumbers), wholeNumbers);
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

/** The greatest float32 below a positive one. */
function floatBefore(value: number): number {
  const bits = new Int32Array(Float32Array.of(value).buffer);
  bits[0] = (bits[0] ?? 0) - 1;
  return new Float32Array(bits.buffer)[0] ?? value;
}
