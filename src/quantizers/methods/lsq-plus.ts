/**
 * LSQ+: Bhalgat et al., "LSQ+: Improving low-bit quantization through learnable offsets and better initialization",
 * CVPR workshops 2020 (arXiv 2004.09576).
 *
 * v = (x − β)/s; y = round(clip(v, n, p))·s + β (eq. 4–5). Inside the range dx = dy, ds = dy·(round(v) − v), dβ = 0;
 * outside dx = 0, ds = dy·n or dy·p, dβ = dy (eq. 6–7). ds and dβ are multiplied by g = 1/√(N·p), as in LSQ.
 *
 * Initial values: with an offset, the range just covers the sample (eq. 8): s = (max − min)/(p − n), β = min − n·s.
 * Without one (weights; section 3.3): s = max(|μ − 3σ|, |μ + 3σ|)/2^(b−1). The paper's other choice, the range with the
 * least squared error, is `initializer: "mse"`.
 *
 * The offset does not belong to the integers: a stored tensor is s·q + β, and padding with 0 is not a code.
 * Options: `offset` (default true; false for weights), `gradientScale` "lsq" (default) or "none".
 */
import type { Value } from "../../ir/graph.ts";
import { add, divide, multiply, subtract } from "../../ops/families/elementwise.ts";
import { codeCount, quotientIntegers } from "../arithmetic/even-codes.ts";
import {
  gradientFactor,
  initializeGroups,
  parameterOf,
  positiveParameter,
  scaled,
  scaleFromRange,
  scaleGradient,
  smallestScale,
  sumOfResiduals,
  sumShared,
} from "../arithmetic/learned.ts";
import { insideRange } from "../arithmetic/masks.ts";
import { quotientOf, roundedValue, specCodeRange } from "../arithmetic/round-codes.ts";
import { scalarParameter, statisticsOf } from "../arithmetic/scalar.ts";
import {
  type GroupParameters,
  parameterShape,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerSpec,
} from "../definition.ts";
import { gradientScales } from "../options.ts";

function hasOffset(spec: QuantizerSpec): boolean {
  return spec.options.offset !== false;
}

/** The rounded value can be below 0 once an offset is subtracted. */
function rangeOf(spec: QuantizerSpec) {
  const range = specCodeRange(spec);
  return { ...range, nonNegative: range.nonNegative && !hasOffset(spec) };
}

/** v = (x − β)/s */
function quotient(context: QuantizerContext): Value {
  const { builder, spec, x } = context;
  const moved = hasOffset(spec) ? subtract(builder, x, parameterOf(context, "offset")) : x;
  return quotientOf(builder, moved, parameterOf(context, "scale"));
}

function numbersFromRange(spec: QuantizerSpec, min: number, max: number): GroupParameters {
  if (!hasOffset(spec)) return scaleFromRange(spec, min, max);
  const scale = Math.max((max - min) / (spec.quantMax - spec.quantMin), smallestScale);
  return { scale, offset: min - spec.quantMin * scale };
}

/** LSQ+ (arXiv 2004.09576). */
export const lsqPlus: QuantizerDefinition = {
  name: "lsq+",
  traits: { masksOutside: true, fixedSign: false, torchRange: false },
  options: { offset: "boolean", gradientScale: gradientScales },

  parameters(spec, type) {
    const shape = parameterShape(spec, type);
    const scale = positiveParameter("scale", spec, type);
    return hasOffset(spec)
      ? [scale, { name: "offset", shape, trainable: true, initial: 1, change: "shift", unit: "scale" }]
      : [scale];
  },

  initialize: (spec, sample) =>
    initializeGroups(spec, sample, (row) => {
      const { min, max, mean, deviation } = statisticsOf(row);
      if (hasOffset(spec)) return numbersFromRange(spec, min, max);
      const reach = Math.max(Math.abs(mean - 3 * deviation), Math.abs(mean + 3 * deviation));
      return { scale: Math.max(reach / 2 ** (spec.bits - 1), smallestScale) };
    }),

  initialFromRange: numbersFromRange,

  forward(context) {
    const { builder, spec, target } = context;
    const product = roundedValue(builder, target, quotient(context), parameterOf(context, "scale"), rangeOf(spec));
    return hasOffset(spec) ? add(builder, product, parameterOf(context, "offset")) : product;
  },

  /**
   * With m the mask the sum of ds is Σ dy·(q − m·v) = (Σ dy·y − Σ dx·x − β·dβ)/s, where dβ = Σ dy − Σ dx.
   */
  gradient(context) {
    const { builder, spec, x, y, dy } = context;
    const scale = parameterOf(context, "scale");
    const mask = insideRange(builder, quotient(context), rangeOf(spec));
    const dx = multiply(builder, dy, mask);
    if (!hasOffset(spec)) {
      return { x: dx, parameters: { scale: scaleGradient(context, { dy, y, dx, x }, scale) } };
    }
    const factor = gradientFactor(context, scale, "lsq");
    const residuals = sumOfResiduals(context, { dy, y, dx, x }, scale);
    const outside = subtract(builder, sumShared(context, dy, scale), sumShared(context, dx, scale));
    const moved = subtract(builder, residuals, multiply(builder, outside, parameterOf(context, "offset")));
    return {
      x: dx,
      parameters: {
        scale: scaled(builder, divide(builder, moved, scale), factor),
        offset: scaled(builder, outside, factor),
      },
    };
  },

  grid: (context) => ({
    scale: parameterOf(context, "scale"),
    ...(hasOffset(context.spec) ? { offset: parameterOf(context, "offset") } : {}),
  }),

  levels: codeCount,

  integers: quotientIntegers({
    offset: (spec, parameters) => (hasOffset(spec) ? scalarParameter(parameters, "offset") : 0),
  }),
};
