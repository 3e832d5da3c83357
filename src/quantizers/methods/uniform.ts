/**
 * The uniform quantizer of torch: y = (clamp(z + round(x/s), qmin, qmax) − z)·s, straight-through gradient where the
 * rounded code lies inside the range.
 *
 * Matches `torch.fake_quantize_per_tensor_affine` and `..._per_channel_affine` (integer zero point) bit for bit in
 * float32: the product is with the float32 reciprocal of the scale, rounding is half to even, and the mask is taken on
 * the rounded code (so values up to half a step outside the range keep their gradient).
 * The parameters follow an observer, by the rules in uniform-parameters.ts.
 *
 * Options: `scheme` "affine" (default) or "symmetric"; `zeroPoint` for symmetric unsigned ranges; `eps`, `convention`
 * and `reducedObserver`, which uniform-parameters.ts explains.
 */

import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { makeTensor } from "../../ir/tensor.ts";
import type { TensorType } from "../../ir/types.ts";
import { hardSigmoid } from "../../ops/families/activations.ts";
import { absolute, add, multiply, subtract } from "../../ops/families/elementwise.ts";
import { dequantizeLinear } from "../../ops/families/quantize-linear.ts";
import { affineIntegers, codeCount } from "../arithmetic/even-codes.ts";
import { startFromRange } from "../arithmetic/learned.ts";
import { insideQuotient } from "../arithmetic/masks.ts";
import {
  type CodeRange,
  highestRoundingTo,
  lowestRoundingTo,
  quotientOf,
  roundedValue,
  roundedWithin,
  type StoredCodes,
  specCodeRange,
  storedCodes,
  valueOfCodes,
} from "../arithmetic/round-codes.ts";
import { scalarParameter } from "../arithmetic/scalar.ts";
import { conventions, parametersFromRange, uniformParameters } from "../arithmetic/uniform-parameters.ts";
import {
  type Contradiction,
  type GroupParameters,
  legalScale,
  type ParameterValues,
  parameterShape,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerSpec,
} from "../definition.ts";

/** x/s, before it is rounded. */
function quotient({ builder, x, parameters }: QuantizerContext): Value {
  return quotientOf(builder, x, scaleOf(parameters));
}

function scaleOf(parameters: ParameterValues): Value {
  return required(parameters, "scale");
}

function zeroPointOf(parameters: ParameterValues): Value {
  return required(parameters, "zero_point");
}

function required(parameters: ParameterValues, name: string): Value {
  const value = parameters[name];
  if (value === undefined) throw new Error(`the uniform quantizer has no parameter "${name}"`);
  return value;
}

/**
 * The zero point where the configuration alone decides it, else undefined. The fused convention gives symmetric ranges
 * a zero point where they have one sign only.
 */
function knownZeroPoint(spec: QuantizerSpec): number | undefined {
  if (spec.options.scheme === "symmetric" && spec.options.convention !== "fused") {
    return typeof spec.options.zeroPoint === "number" ? spec.options.zeroPoint : 0;
  }
  // The range of a tensor without negative values begins at 0, so 0 is its lowest code.
  return spec.nonNegative === true && spec.quantMin === 0 ? 0 : undefined;
}

/** The range of round(x/s): the code's range, moved by the zero point. */
function quotientRange(context: QuantizerContext): CodeRange {
  const { builder, spec, parameters } = context;
  const known = knownZeroPoint(spec);
  if (known !== undefined) return { low: spec.quantMin - known, high: spec.quantMax - known };
  const zeroPoint = zeroPointOf(parameters);
  return {
    low: subtract(builder, spec.quantMin, zeroPoint),
    high: subtract(builder, spec.quantMax, zeroPoint),
  };
}

/** The codes as bytes, where the zero point is known only when the graph runs. */
function codesOf(context: QuantizerContext): StoredCodes | undefined {
  const { builder, parameters, spec, target } = context;
  // Before torch 1.12 the zero point may lie outside the codes.
  if (knownZeroPoint(spec) !== undefined || spec.options.convention === "pre-1.12") return undefined;
  return storedCodes(builder, target, quotient(context), zeroPointOf(parameters), specCodeRange(spec));
}

/**
 * 1 where the rounded code lies inside the range. Where its ends are known before the graph runs, they are ends of x/s
 * itself. Otherwise, with r the integer to which x/s rounds, h = (qmax − qmin)/2 and m the middle of the range, r lies
 * inside exactly when h + 1 − |r − m| ≥ 1, and outside that is at most 0.
 */
function insideMask(context: QuantizerContext): Value {
  const { builder, spec, target } = context;
  const { low, high } = quotientRange(context);
  if (typeof low === "number" && typeof high === "number" && low <= 0 && high >= 0) {
    const ends = { low: lowestRoundingTo(low), high: highestRoundingTo(high) };
    return insideQuotient(context, scaleOf(context.parameters), { ...ends, nonNegative: spec.nonNegative === true });
  }
  const half = (spec.quantMax - spec.quantMin) / 2;
  const stored = codesOf(context);
  if (stored !== undefined && stored.margin > 0) {
    const lowest = builder.constant(makeTensor("uint8", [], Uint8Array.of(stored.margin)));
    const code = dequantizeLinear(builder, stored.codes, builder.scalar(1), { zeroPoint: lowest });
    return hardSigmoid(builder, absolute(builder, subtract(builder, code, half)), -1, half + 1);
  }
  // One code further on each side is enough to tell inside from outside.
  const rounded = roundedWithin(builder, target, quotient(context), {
    low: moved(builder, low, -1),
    high: moved(builder, high, 1),
  });
  const middle = moved(builder, low, half);
  return hardSigmoid(builder, absolute(builder, subtract(builder, rounded, middle)), -1, half + 1);
}

function moved(builder: GraphBuilder, bound: number | Value, distance: number): number | Value {
  return typeof bound === "number" ? bound + distance : add(builder, bound, distance);
}

function numbersFromRange(spec: QuantizerSpec, min: number, max: number): GroupParameters {
  const { scale, zeroPoint } = uniformParameters(spec, min, max);
  return { scale, zero_point: zeroPoint };
}

function checkUniform(spec: QuantizerSpec): Contradiction | undefined {
  const { convention, scheme, zeroPoint } = spec.options;
  if (convention === "fused" && scheme === "symmetric" && spec.quantMax - spec.quantMin < 2) {
    return {
      message: `the fused convention divides by 0 for the codes ${spec.quantMin}..${spec.quantMax}`,
      remedy: "Give it at least three codes, or leave options.convention out.",
    };
  }
  if (typeof zeroPoint === "number" && (zeroPoint < spec.quantMin || zeroPoint > spec.quantMax)) {
    return {
      message: `the zero point ${zeroPoint} lies outside the codes ${spec.quantMin}..${spec.quantMax}`,
      remedy: "Leave options.zeroPoint out, or set it to a code.",
    };
  }
  return undefined;
}

/** torch's uniform affine and symmetric quantization. */
export const uniform: QuantizerDefinition = {
  name: "uniform",
  traits: { masksOutside: true, fixedSign: false, torchRange: true },
  options: {
    scheme: ["affine", "symmetric"],
    convention: conventions,
    zeroPoint: { whole: true },
    reducedObserver: "boolean",
    eps: { from: 0 },
  },

  parameters(spec: QuantizerSpec, type: TensorType) {
    const shape = parameterShape(spec, type);
    return [
      { name: "scale", shape, trainable: false, initial: 1, legal: legalScale },
      { name: "zero_point", shape, trainable: false, initial: 0 },
    ];
  },

  ...startFromRange(numbersFromRange),
  fromRange: parametersFromRange,

  forward(context) {
    const { builder, parameters, spec, target } = context;
    const step = scaleOf(parameters);
    const stored = codesOf(context);
    if (stored !== undefined) return valueOfCodes(builder, stored, step);
    const nonNegative = spec.nonNegative === true;
    return roundedValue(builder, target, quotient(context), step, { ...quotientRange(context), nonNegative });
  },

  gradient(context) {
    const { builder, dy } = context;
    return { x: multiply(builder, dy, insideMask(context)), parameters: {} };
  },

  grid: ({ parameters }) => ({ scale: scaleOf(parameters), zeroPoint: zeroPointOf(parameters) }),

  levels: codeCount,
  integers: affineIntegers((_spec, parameters) => scalarParameter(parameters, "zero_point")),
  check: checkUniform,
};
