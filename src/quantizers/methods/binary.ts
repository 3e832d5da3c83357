/**
 * Binary values: Rastegari et al., "XNOR-Net", ECCV 2016 (arXiv 1603.05279), and the gradients that Larq names.
 *
 * y = A·sign(x) with sign(0) = 1. `scale` "mean": A = mean|x| over the elements that share it (section 3.1); "none": A = 1.
 * Gradient, with g the estimate of sign's derivative:
 * - "ste": g = 1 (straight through);
 * - "steSign" (default): g = 1 where |x| ≤ 1, else 0 (BinaryNet; Larq's `ste_sign`);
 * - "approxSign": g = 2 − 2|x| where |x| ≤ 1, else 0 (Bi-Real Net, arXiv 1808.00278; Larq's `approx_sign`).
 * dx = dy·g for "none", and dy·(A·g + 1/N) for "mean" (section 3.1, N elements share A).
 *
 * The integers are −1 and 1 with the scale A, which depends on the values. There is no code for 0 and none for a lack of
 * sign: outputs of a ReLU would all become A, so unsigned codes are refused.
 */
import type { Value } from "../../ir/graph.ts";
import { atMost } from "../../ops/build/masks.ts";
import { clip } from "../../ops/families/activations.ts";
import { absolute, add, multiply, subtract } from "../../ops/families/elementwise.ts";
import { reduceMean } from "../../ops/families/reduce.ts";
import { isUnsigned, nonZeroSign } from "../arithmetic/learned.ts";
import { encodeWith, statisticsOf, unitOf } from "../arithmetic/scalar.ts";
import { type QuantizerContext, type QuantizerDefinition, type QuantizerSpec, sharedAxes } from "../definition.ts";

const gradients = ["ste", "steSign", "approxSign"] as const;

function hasScale(spec: QuantizerSpec): boolean {
  return spec.options.scale !== "none";
}

/** A = mean|x| */
function meanMagnitude(context: QuantizerContext): Value {
  const { builder, spec, x } = context;
  const axes = sharedAxes(spec, x.type.shape.length);
  const magnitude = absolute(builder, x);
  return axes.length === 0 ? magnitude : reduceMean(builder, magnitude, axes);
}

/** g; undefined stands for 1. */
function slope(context: QuantizerContext): Value | undefined {
  const { builder, spec, x } = context;
  const kind = spec.options.gradient ?? "steSign";
  if (kind === "ste") return undefined;
  if (kind === "steSign") return atMost(builder, absolute(builder, x), 1);
  return subtract(builder, 2, multiply(builder, clip(builder, absolute(builder, x), 0, 1), 2));
}

/** Binary weights with a scale (XNOR-Net, arXiv 1603.05279). */
export const binary: QuantizerDefinition = {
  name: "binary",
  traits: { masksOutside: false, fixedSign: false, torchRange: false },
  options: { scale: ["mean", "none"], gradient: gradients },
  parameters: () => [],
  initialize: () => new Map(),

  forward(context) {
    const { builder, spec, x } = context;
    const sign = nonZeroSign(builder, x);
    return hasScale(spec) ? multiply(builder, sign, meanMagnitude(context)) : sign;
  },

  gradient(context) {
    const { builder, spec, x, dy } = context;
    const g = slope(context);
    if (!hasScale(spec)) return { x: g === undefined ? dy : multiply(builder, dy, g), parameters: {} };
    const shape = x.type.shape;
    const shared = sharedAxes(spec, shape.length).reduce((count, axis) => count * (shape[axis] ?? 1), 1);
    const scale = meanMagnitude(context);
    const factor = add(builder, g === undefined ? scale : multiply(builder, g, scale), 1 / shared);
    return { x: multiply(builder, dy, factor), parameters: {} };
  },

  levels: () => 2,

  integers: {
    codes: () => [-1, 1],
    unit(spec, _parameters, row) {
      if (!hasScale(spec)) return unitOf(1);
      return row === undefined ? undefined : unitOf(statisticsOf(row).meanMagnitude);
    },
    encode: (_spec, _parameters, row) => encodeWith(row, (x) => (x >= 0 ? 1 : -1)),
  },

  check(spec) {
    if (spec.bits !== 1) {
      return { message: `binary values have 1 bit, not ${spec.bits}`, remedy: "Set the bits to 1." };
    }
    if (isUnsigned(spec)) {
      return {
        message: "binary values are −A and A, and the codes here have no sign",
        remedy: "Set signed to true, or use another quantizer for this tensor.",
      };
    }
    return undefined;
  },
};
