/**
 * PACT: Choi et al., "PACT: Parameterized Clipping Activation for Quantized Neural Networks", 2018 (arXiv 1805.06085).
 *
 * y = round(clip(x, 0, α)·(n/α))·(α/n) with n = 2^b − 1 (eq. 1–2). dx = dy inside [0, α], dα = Σ dy over x ≥ α (eq. 3).
 * Equal to KwangHoonAn/PACT but for the order of multiplying and dividing by α.
 *
 * For tensors with a sign the clip is symmetric, clip(x, −α, α) with codes −p..p, and dα takes the lower end's −dy as
 * well (the "PACT for weights" of several systems; the paper has ReLU outputs only).
 *
 * The paper starts α large and lets an L2 penalty λ·α² shrink it. Here α starts at the largest magnitude of the sample,
 * or where an `initializer` puts it, and the option `decay` adds decay·α to its gradient.
 */
import type { Value } from "../../ir/graph.ts";
import { atLeast } from "../../ops/build/masks.ts";
import { add, divide, multiply, negate, subtract } from "../../ops/families/elementwise.ts";
import { dot } from "../../ops/internal/channel-ops.ts";
import { quotientIntegers } from "../arithmetic/even-codes.ts";
import {
  alphaFromRange,
  isUnsigned,
  parameterOf,
  positiveParameter,
  startFromRange,
  sumShared,
} from "../arithmetic/learned.ts";
import { insideRange } from "../arithmetic/masks.ts";
import { quotientOf, roundedValue, specCodeRange } from "../arithmetic/round-codes.ts";
import { scalarParameter } from "../arithmetic/scalar.ts";
import type { GridContext, QuantizerContext, QuantizerDefinition, QuantizerSpec } from "../definition.ts";

/** The lowest code that is used: the clip is symmetric where it is not one-sided. */
function lowestCode(spec: QuantizerSpec): number {
  return isUnsigned(spec) ? 0 : -spec.quantMax;
}

/** s = α/n */
function scaleValue(context: GridContext): Value {
  return divide(context.builder, parameterOf(context, "alpha"), context.spec.quantMax);
}

function rangeOf(spec: QuantizerSpec) {
  return { ...specCodeRange(spec), low: lowestCode(spec) };
}

function quotient(context: QuantizerContext): Value {
  return quotientOf(context.builder, context.x, scaleValue(context));
}

/** Parameterized clipping activation (arXiv 1805.06085). */
export const pact: QuantizerDefinition = {
  name: "pact",
  traits: { masksOutside: true, fixedSign: false, torchRange: false },
  options: { decay: { from: 0 } },

  parameters: (spec, type) => [positiveParameter("alpha", spec, type)],

  ...startFromRange(alphaFromRange),

  forward(context) {
    const { builder, spec, target } = context;
    return roundedValue(builder, target, quotient(context), scaleValue(context), rangeOf(spec));
  },

  gradient(context) {
    const { builder, spec, dy } = context;
    const alpha = parameterOf(context, "alpha");
    const v = quotient(context);
    const mask = insideRange(builder, v, rangeOf(spec));
    const above = atLeast(builder, v, spec.quantMax);
    const ends = isUnsigned(spec)
      ? above
      : subtract(builder, above, atLeast(builder, negate(builder, v), spec.quantMax));
    const sum =
      alpha.type.shape.length === 0 ? dot(builder, dy, ends) : sumShared(context, multiply(builder, dy, ends), alpha);
    const { decay } = spec.options;
    const penalised =
      typeof decay === "number" && decay !== 0 ? add(builder, sum, multiply(builder, alpha, decay)) : sum;
    return { x: multiply(builder, dy, mask), parameters: { alpha: penalised } };
  },

  grid: (context) => ({ scale: scaleValue(context), lowest: lowestCode(context.spec) }),

  levels: (spec) => spec.quantMax - lowestCode(spec) + 1,

  integers: quotientIntegers({
    scale: (spec, parameters) => scalarParameter(parameters, "alpha") / spec.quantMax,
    lowest: lowestCode,
  }),

  check: (spec) =>
    spec.quantMax >= 1
      ? undefined
      : { message: `PACT has no code above 0 in ${spec.quantMin}..${spec.quantMax}`, remedy: "Use 2 bits or more." },
};
