/**
 * TQT: Jain, Gural, Wu, Dick, "Trained Quantization Thresholds for Accurate and Efficient Fixed-Point Inference of Deep
 * Neural Networks", MLSys 2020 (arXiv 1903.08066).
 *
 * The trained parameter is t′ = log₂ t. s = 2^⌈t′⌉ / 2^(b−1) with a sign, / 2^b without; y = clip(round(x/s), n, p)·s
 * (eq. 3–4). dx = dy where n ≤ round(x/s) ≤ p (eq. 8); dt′ = s·ln 2·Σ dy·(round(x/s) − x/s inside; n or p outside)
 * (eq. 7): the ceiling passes the gradient. Rounding is half to even (section 3.2 asks for it).
 *
 * s is a power of two, so a requantization is a shift and 1/s is exact. The paper trains t′ with Adam at 1e-2; with
 * plain SGD the sum wants `gradientScale: "lsq"` (1/√(N·p)); the default is "none", as in the paper.
 * Initial value: the largest magnitude (the paper's MAX), or what an `initializer` says ("deviation" is its 3SD).
 */
import type { Value } from "../../ir/graph.ts";
import { ceil, multiply, power } from "../../ops/families/elementwise.ts";
import { codeCount, quotientIntegers } from "../arithmetic/even-codes.ts";
import {
  gradientFactor,
  isUnsigned,
  parameterOf,
  scaled,
  startFromRange,
  sumOfResiduals,
} from "../arithmetic/learned.ts";
import { insideQuotient } from "../arithmetic/masks.ts";
import {
  highestRoundingTo,
  lowestRoundingTo,
  quotientOf,
  roundedValue,
  specCodeRange,
} from "../arithmetic/round-codes.ts";
import { scalarParameter } from "../arithmetic/scalar.ts";
import {
  type GridContext,
  type GroupParameters,
  parameterShape,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerSpec,
} from "../definition.ts";
import { gradientScales } from "../options.ts";

const { fround } = Math;
/** Thresholds from 2⁻⁶⁴ up: s and 1/s stay normal numbers. */
const lowestLogarithm = -64;
/** The highest power of two that float32 has. */
const highestLogarithm = 127;

/** 2^(b−1) with a sign, 2^b without. */
function codesPerThreshold(spec: QuantizerSpec): number {
  return spec.quantMax + 1;
}

function scaleValue(context: GridContext): Value {
  const { builder, spec } = context;
  const exponent = ceil(builder, parameterOf(context, "log2_threshold"));
  return multiply(builder, power(builder, 2, exponent), 1 / codesPerThreshold(spec));
}

function quotient(context: QuantizerContext): Value {
  return quotientOf(context.builder, context.x, scaleValue(context));
}

function logarithmFromRange(spec: QuantizerSpec, min: number, max: number): GroupParameters {
  const threshold = isUnsigned(spec) ? max : Math.max(-min, max);
  return { log2_threshold: Math.max(threshold > 0 ? Math.log2(threshold) : lowestLogarithm, lowestLogarithm) };
}

function scaleFor(spec: QuantizerSpec, logarithm: number): number {
  return 2 ** Math.ceil(fround(logarithm)) / codesPerThreshold(spec);
}

/** Trained quantization thresholds (arXiv 1903.08066). */
export const tqt: QuantizerDefinition = {
  name: "tqt",
  traits: { masksOutside: true, fixedSign: false, torchRange: false },
  options: { gradientScale: gradientScales },

  parameters: (spec, type) => [
    {
      name: "log2_threshold",
      shape: parameterShape(spec, type),
      trainable: true,
      initial: 1,
      minimum: lowestLogarithm,
      change: "exponent",
      legal: { from: lowestLogarithm, to: highestLogarithm },
    },
  ],

  ...startFromRange(logarithmFromRange),

  forward(context) {
    const { builder, spec, target } = context;
    return roundedValue(builder, target, quotient(context), scaleValue(context), specCodeRange(spec));
  },

  /** With m the mask, Σ dy·(q − m·v)·s = Σ dy·y − Σ dx·x. */
  gradient(context) {
    const { builder, spec, x, y, dy } = context;
    const parameter = parameterOf(context, "log2_threshold");
    const mask = insideQuotient(context, scaleValue(context), {
      low: lowestRoundingTo(spec.quantMin),
      high: highestRoundingTo(spec.quantMax),
      nonNegative: spec.nonNegative === true,
    });
    const dx = multiply(builder, dy, mask);
    const factor = Math.LN2 * gradientFactor(context, parameter, "none");
    const sum = scaled(builder, sumOfResiduals(context, { dy, y, dx, x }, parameter), factor);
    return { x: dx, parameters: { log2_threshold: sum } };
  },

  grid: (context) => ({ scale: scaleValue(context) }),

  levels: codeCount,
  integers: quotientIntegers({
    scale: (spec, parameters) => scaleFor(spec, scalarParameter(parameters, "log2_threshold")),
  }),

  check: (spec) =>
    Number.isInteger(Math.log2(codesPerThreshold(spec)))
      ? undefined
      : {
          message: `TQT needs a power of two of codes up to ${spec.quantMax}`,
          remedy: "Leave quantMax out: bits alone give a range that fits.",
        },
};
