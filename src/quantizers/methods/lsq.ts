/**
 * Learned step size quantization: Esser et al., "Learned Step Size Quantization", ICLR 2020 (arXiv 1902.08153).
 *
 * y = round(clip(x/s, Qn, Qp))·s (eq. 1–2). The gradient of x passes inside the range (eq. 5); that of s is
 * Σ dy·(round(v) − v) inside and dy·Qn or dy·Qp outside (eq. 3), times g = 1/√(N·Qp) (section 2.2), N being the number
 * of elements that share the step. Initial value: s = 2·mean|x|/√Qp (section 2.1).
 *
 * Options: `gradientScale` "lsq" (default: g as above) or "none" (1).
 */

import type { Value } from "../../ir/graph.ts";
import { float32Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { divide, multiply, subtract } from "../../ops/families/elementwise.ts";
import { reduceSum } from "../../ops/families/reduce.ts";
import { dot } from "../../ops/internal/channel-ops.ts";
import { insideQuotient } from "../arithmetic/masks.ts";
import { codeRange, quotientOf, roundedValue } from "../arithmetic/round-codes.ts";
import { encodeWith, integersBetween, roundedQuotient, scalarOf, unitOf } from "../arithmetic/scalar.ts";
import {
  type IntegerForm,
  parameterGroups,
  parameterShape,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerSpec,
  sharedAxes,
} from "../definition.ts";

/** A step never falls to 0 or below it: the gradient would change its sign there. */
const smallestStep = 1e-8;

function stepOf(context: QuantizerContext): Value {
  const step = context.parameters.scale;
  if (step === undefined) throw new Error("the LSQ quantizer has no scale");
  return step;
}

/** 1 where Qn ≤ v ≤ Qp, as in the paper's own code (a clip whose gradient is 1 at its ends). */
function insideMask(context: QuantizerContext): Value {
  return insideQuotient(context, stepOf(context), codeRange(context.spec));
}

/** g of section 2.2. A range without positive codes counts its lowest one. */
export function lsqGradientScale(spec: QuantizerSpec, elements: number, groups: number): number {
  if (spec.options.gradientScale === "none") return 1;
  return 1 / Math.sqrt((elements / groups) * Math.max(spec.quantMax, 1));
}

/** s = 2·mean|x|/√Qp, never 0. */
export function lsqInitialStep(spec: QuantizerSpec, row: Float32Array): number {
  let sum = 0;
  for (const value of row) sum += Math.abs(value);
  const mean = row.length === 0 ? 0 : sum / row.length;
  return Math.max((2 * mean) / Math.sqrt(Math.max(spec.quantMax, 1)), smallestStep);
}

/** The step at which a range just fits the codes; ends without codes of their sign do not count. */
export function stepFromRange(spec: QuantizerSpec, min: number, max: number): number {
  const below = spec.quantMin < 0 ? Math.max(0, -min) / -spec.quantMin : 0;
  const above = spec.quantMax > 0 ? Math.max(0, max) / spec.quantMax : 0;
  return Math.max(below, above, smallestStep);
}

/** value = s·code, code = round(clip(x·(1/s), qmin, qmax)). */
export const lsqIntegers: IntegerForm = {
  codes: (spec) => integersBetween(spec.quantMin, spec.quantMax),
  unit: (_spec, parameters) => unitOf(scalarOf(parameters, "scale")),
  encode(spec, parameters, row) {
    const step = scalarOf(parameters, "scale");
    return encodeWith(row, (x) => roundedQuotient(x, step, spec.quantMin, spec.quantMax));
  },
};

export const lsq: QuantizerDefinition = {
  name: "lsq",
  traits: { uniformGrid: true, masksOutside: true, fixedSign: false, torchRange: false },
  options: { gradientScale: ["lsq", "none"] },

  parameters: (spec, type) => [
    { name: "scale", shape: parameterShape(spec, type), trainable: true, initial: 1, minimum: smallestStep },
  ],

  initialize(spec, sample) {
    const steps = parameterGroups(spec, sample).map((row) => lsqInitialStep(spec, row));
    return new Map([["scale", float32Tensor(parameterShape(spec, sample), steps)]]);
  },

  initialFromRange: (spec, min, max) => ({ scale: stepFromRange(spec, min, max) }),

  forward(context) {
    const { builder, target, x } = context;
    const step = stepOf(context);
    return roundedValue(builder, target, quotientOf(builder, x, step), step, codeRange(context.spec));
  },

  /**
   * With m the mask, the sum of eq. 3 is Σ dy·(q − m·v) = (Σ dy·y − Σ dx·x)/s, which needs no tensor that the forward
   * pass did not keep anyway.
   */
  gradient(context) {
    const { builder, spec, x, y, dy } = context;
    const step = stepOf(context);
    const dx = multiply(builder, dy, insideMask(context));
    const groups = elementCount(step.type.shape);
    const factor = lsqGradientScale(spec, elementCount(x.type.shape), groups);
    const sum =
      step.type.shape.length === 0
        ? subtract(builder, dot(builder, dy, y), dot(builder, dx, x))
        : reduceSum(
            builder,
            subtract(builder, multiply(builder, dy, y), multiply(builder, dx, x)),
            sharedAxes(spec, x.type.shape.length),
          );
    return { x: dx, parameters: { scale: multiply(builder, divide(builder, sum, step), factor) } };
  },

  levels: (spec) => spec.quantMax - spec.quantMin + 1,
  integers: lsqIntegers,
};
