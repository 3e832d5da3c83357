/**
 * Indicators for gradients, as float tensors of 0 and 1, in one pass each.
 *
 * HardSigmoid is clip(alpha·x + beta, 0, 1). With alpha = 3e38 it saturates at every normal float32 other than zero
 * (the smallest is 1.2e-38), so it is an exact step, without the boolean tensors that the engine is slow at. Subnormal
 * numbers count as zero or nearly so; other element types go through comparisons.
 */

import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { cast } from "../families/cast.ts";
import { scalarOf } from "./operands.ts";

/** Slope at which HardSigmoid is a step for normal float32 numbers. */
export const stepSlope = 3e38;

function ramp(b: GraphBuilder, x: Value, alpha: number, beta: number): Value {
  return b.one("HardSigmoid", [x], { alpha: { float: alpha }, beta: { float: beta } });
}

function compared(b: GraphBuilder, op: string, x: Value, bound: number): Value {
  return cast(b, b.one(op, [x, scalarOf(b, bound, x.type.dtype)]), x.type.dtype);
}

/** 1 where x > 0, else 0. */
export function positive(b: GraphBuilder, x: Value): Value {
  return x.type.dtype === "float32" ? ramp(b, x, stepSlope, 0) : compared(b, "Greater", x, 0);
}

/** 1 where x ≥ 0, else 0. */
export function notNegative(b: GraphBuilder, x: Value): Value {
  return x.type.dtype === "float32" ? ramp(b, x, stepSlope, 1) : compared(b, "GreaterOrEqual", x, 0);
}

/** 1 where x > 0, ½ where x = 0, 0 where x < 0. */
export function halfAtZero(b: GraphBuilder, x: Value): Value {
  if (x.type.dtype === "float32") return ramp(b, x, stepSlope, 0.5);
  const [one, half] = [scalarOf(b, 1, x.type.dtype), scalarOf(b, 0.5, x.type.dtype)];
  return b.one("Mul", [b.one("Add", [b.one("Sign", [x]), one]), half]);
}

/** 1 where x ≥ bound, else 0. */
export function atLeast(b: GraphBuilder, x: Value, bound: number): Value {
  if (x.type.dtype !== "float32") return compared(b, "GreaterOrEqual", x, bound);
  const step = stepAt(bound);
  return step === undefined ? compared(b, "GreaterOrEqual", x, bound) : ramp(b, x, step.alpha, step.beta);
}

/** 1 where x ≤ bound, else 0. */
export function atMost(b: GraphBuilder, x: Value, bound: number): Value {
  if (x.type.dtype !== "float32") return compared(b, "LessOrEqual", x, bound);
  const step = stepAt(-bound);
  return step === undefined ? compared(b, "LessOrEqual", x, bound) : ramp(b, x, -step.alpha, step.beta);
}

/**
 * Slope and offset of a step that is 0 below `bound` and 1 from it on. The slope is a power of two, so that alpha·x is
 * exact, and large enough that the float before `bound` is a whole unit away: there the sum is exactly zero. Undefined
 * for bounds so large or so small that alpha or alpha·x leaves the range of float32 near the bound.
 */
function stepAt(bound: number): { alpha: number; beta: number } | undefined {
  const exact = Math.fround(bound);
  if (exact === 0) return { alpha: stepSlope, beta: 1 };
  const magnitude = Math.abs(exact);
  if (!(magnitude > 1e-30 && magnitude < 1e30)) return undefined;
  const alpha = 2 ** (25 - Math.floor(Math.log2(magnitude)));
  return { alpha, beta: -alpha * floatBefore(exact) };
}

/** The greatest float32 below a finite one that is not zero. */
export function floatBefore(value: number): number {
  const float = Float32Array.of(value);
  const bits = new Int32Array(float.buffer);
  bits[0] = (bits[0] ?? 0) + (value > 0 ? -1 : 1);
  return float[0] ?? 0;
}
