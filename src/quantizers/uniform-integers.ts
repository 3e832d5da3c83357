/** The integer forms of the uniform quantizer and of LSQ: an integer code less its zero point, times the scale. */

import type { Contradiction, IntegerForm, QuantizerContext, QuantizerDefinition, QuantizerSpec } from "./quantizer.ts";
import { clamp, roundHalfEven } from "./rounding.ts";
import { encodeWith, integersBetween, roundedQuotient, scalarOf, unitOf } from "./scalar.ts";
import { uniform } from "./uniform.ts";
import { conventions, uniformParameters } from "./uniform-parameters.ts";

const { fround } = Math;

/** value = s·(code − z), code = clamp(z + round(x·(1/s)), qmin, qmax). */
const uniformIntegers: IntegerForm = {
  codes: (spec) => integersBetween(spec.quantMin, spec.quantMax),
  unit: (_spec, parameters) => ({
    scale: scalarOf(parameters, "scale"),
    zeroPoint: scalarOf(parameters, "zero_point"),
    offset: 0,
  }),
  encode(spec, parameters, row) {
    const inverse = fround(1 / scalarOf(parameters, "scale"));
    const zeroPoint = scalarOf(parameters, "zero_point");
    return encodeWith(row, (x) => clamp(zeroPoint + roundHalfEven(fround(x * inverse)), spec.quantMin, spec.quantMax));
  },
};

/** value = s·code, code = round(clip(x·(1/s), qmin, qmax)). */
const lsqIntegers: IntegerForm = {
  codes: (spec) => integersBetween(spec.quantMin, spec.quantMax),
  unit: (_spec, parameters) => unitOf(scalarOf(parameters, "scale")),
  encode(spec, parameters, row) {
    const step = scalarOf(parameters, "scale");
    return encodeWith(row, (x) => roundedQuotient(x, step, spec.quantMin, spec.quantMax));
  },
};

/** The step at which a range just fits the codes; ends without codes of their sign do not count. */
export function stepFromRange(spec: QuantizerSpec, min: number, max: number): number {
  const below = spec.quantMin < 0 ? Math.max(0, -min) / -spec.quantMin : 0;
  const above = spec.quantMax > 0 ? Math.max(0, max) / spec.quantMax : 0;
  return Math.max(below, above, 1e-8);
}

function checkUniform(spec: QuantizerSpec): Contradiction | undefined {
  const { convention, scheme, zeroPoint } = spec.options;
  if (convention !== undefined && !conventions.some((known) => known === convention)) {
    return {
      message: `there is no convention "${convention}"`,
      remedy: `Set options.convention to one of: ${conventions.join(", ")}.`,
    };
  }
  if (scheme !== undefined && scheme !== "affine" && scheme !== "symmetric") {
    return { message: `there is no scheme "${scheme}"`, remedy: 'Set options.scheme to "affine" or "symmetric".' };
  }
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

/** The fused convention gives symmetric ranges a zero point where they have one sign only: the code must ask for it. */
function withZeroPoint<Context extends QuantizerContext>(context: Context): Context {
  const { spec } = context;
  if (spec.options.convention !== "fused") return context;
  return { ...context, spec: { ...spec, options: { ...spec.options, scheme: "affine" } } };
}

/** What the uniform quantizer's definition is completed by. */
export const uniformCompletion: Partial<QuantizerDefinition> = {
  forward: (context) => uniform.forward(withZeroPoint(context)),
  gradient: (context) => uniform.gradient(withZeroPoint(context)),
  integers: uniformIntegers,
  initialFromRange(spec, min, max) {
    const { scale, zeroPoint } = uniformParameters(spec, min, max);
    return { scale, zero_point: zeroPoint };
  },
  check: checkUniform,
};

/** What the definition of LSQ is completed by. */
export const lsqCompletion: Partial<QuantizerDefinition> = {
  integers: lsqIntegers,
  initialFromRange: (spec, min, max) => ({ scale: stepFromRange(spec, min, max) }),
};
