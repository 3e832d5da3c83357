/**
 * Ternary weights: Li, Zhang, Liu, "Ternary Weight Networks", 2016 (arXiv 1605.04711).
 *
 * Δ = 0.7·mean|w| (eq. 6); y = A·(1 where w > Δ, −1 where w < −Δ, 0 elsewhere), A = the mean of |w| over |w| > Δ (eq. 5);
 * both over the elements that share them. The gradient passes straight through, unclipped, as in the paper's training
 * (BinaryConnect's).
 *
 * Three levels are log₂ 3 = 1.58 bits, stored in 2. The integers are −1, 0, 1 with the scale A, which depends on the
 * values. Options: `threshold` (default 0.7).
 */
import type { Value } from "../../ir/graph.ts";
import { absolute, divide, maximum, multiply, negate, subtract } from "../../ops/families/elementwise.ts";
import { reduceMean, reduceSum } from "../../ops/families/reduce.ts";
import { isAbove, isUnsigned } from "../arithmetic/learned.ts";
import { encodeWith, statisticsOf, unitOf } from "../arithmetic/scalar.ts";
import { type QuantizerContext, type QuantizerDefinition, type QuantizerSpec, sharedAxes } from "../definition.ts";

const { fround } = Math;

function thresholdFactor(spec: QuantizerSpec): number {
  return typeof spec.options.threshold === "number" ? spec.options.threshold : 0.7;
}

function reduceShared(context: QuantizerContext, value: Value, reduce: typeof reduceSum): Value {
  const axes = sharedAxes(context.spec, value.type.shape.length);
  return axes.length === 0 ? value : reduce(context.builder, value, axes);
}

/** Δ of a group, in numbers. */
function thresholdOf(spec: QuantizerSpec, row: Float32Array): number {
  return fround(fround(statisticsOf(row).meanMagnitude) * thresholdFactor(spec));
}

/** Ternary weights (arXiv 1605.04711). */
export const ternary: QuantizerDefinition = {
  name: "ternary",
  traits: { masksOutside: false, fixedSign: false, torchRange: false },
  options: { threshold: { from: 0 } },
  parameters: () => [],
  initialize: () => new Map(),

  forward(context) {
    const { builder, spec, x } = context;
    const magnitude = absolute(builder, x);
    const threshold = multiply(builder, reduceShared(context, magnitude, reduceMean), thresholdFactor(spec));
    const above = isAbove(builder, subtract(builder, x, threshold));
    const below = isAbove(builder, subtract(builder, negate(builder, x), threshold));
    const code = subtract(builder, above, below);
    const count = maximum(builder, reduceShared(context, absolute(builder, code), reduceSum), 1);
    const scale = divide(builder, reduceShared(context, multiply(builder, code, x), reduceSum), count);
    return multiply(builder, code, scale);
  },

  gradient: ({ dy }) => ({ x: dy, parameters: {} }),

  levels: () => 3,

  integers: {
    codes: () => [-1, 0, 1],
    unit(spec, _parameters, row) {
      if (row === undefined) return undefined;
      const threshold = thresholdOf(spec, row);
      let [sum, count] = [0, 0];
      for (const value of row) {
        if (Math.abs(value) <= threshold) continue;
        sum += Math.abs(value);
        count++;
      }
      return unitOf(sum / Math.max(count, 1));
    },
    encode(spec, _parameters, row) {
      const threshold = thresholdOf(spec, row);
      return encodeWith(row, (x) => (x > threshold ? 1 : x < -threshold ? -1 : 0));
    },
  },

  check(spec) {
    if (spec.bits !== 2) {
      return { message: `ternary values are stored in 2 bits, not ${spec.bits}`, remedy: "Set the bits to 2." };
    }
    if (isUnsigned(spec)) {
      return {
        message: "ternary values are −A, 0 and A, and the codes here have no sign",
        remedy: "Set signed to true, or use another quantizer for this tensor.",
      };
    }
    return undefined;
  },
};
