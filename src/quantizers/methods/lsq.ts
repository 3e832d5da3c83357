/**
 * Learned step size quantization: Esser et al., "Learned Step Size Quantization", ICLR 2020 (arXiv 1902.08153).
 *
 * y = round(clip(x/s, Qn, Qp))·s (eq. 1–2). The gradient of x passes inside the range (eq. 5); that of s is
 * Σ dy·(round(v) − v) inside and dy·Qn or dy·Qp outside (eq. 3), times g = 1/√(N·Qp) (section 2.2), N being the number
 * of elements that share the step. Initial value: s = 2·mean|x|/√Qp (section 2.1).
 *
 * Options: `gradientScale` "lsq" (default: g as above) or "none" (1).
 */

import { multiply } from "../../ops/families/elementwise.ts";
import { codeCount, scaleIntegers } from "../arithmetic/even-codes.ts";
import {
  initializeGroups,
  lsqScale,
  parameterOf,
  positiveParameter,
  scaleFromRange,
  scaleGradient,
} from "../arithmetic/learned.ts";
import { insideQuotient } from "../arithmetic/masks.ts";
import { quotientOf, roundedValue, specCodeRange } from "../arithmetic/round-codes.ts";
import type { QuantizerDefinition } from "../definition.ts";

/** Learned step size quantization (arXiv 1902.08153). */
export const lsq: QuantizerDefinition = {
  name: "lsq",
  traits: { masksOutside: true, fixedSign: false, torchRange: false },
  options: { gradientScale: ["lsq", "none"] },

  parameters: (spec, type) => [positiveParameter("scale", spec, type)],

  initialize: (spec, sample) => initializeGroups(spec, sample, (row) => ({ scale: lsqScale(spec, row) })),

  initialFromRange: scaleFromRange,

  forward(context) {
    const { builder, target, x } = context;
    const scale = parameterOf(context, "scale");
    return roundedValue(builder, target, quotientOf(builder, x, scale), scale, specCodeRange(context.spec));
  },

  /** The mask is 1 where Qn ≤ v ≤ Qp, as in the paper's own code (a clip whose gradient is 1 at its ends). */
  gradient(context) {
    const { builder, spec, x, y, dy } = context;
    const scale = parameterOf(context, "scale");
    const dx = multiply(builder, dy, insideQuotient(context, scale, specCodeRange(spec)));
    return { x: dx, parameters: { scale: scaleGradient(context, { dy, y, dx, x }, scale) } };
  },

  grid: (context) => ({ scale: parameterOf(context, "scale") }),

  levels: codeCount,
  integers: scaleIntegers,
};
