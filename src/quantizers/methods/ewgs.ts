/**
 * EWGS: Lee, Kim, Ham, "Network Quantization with Element-wise Gradient Scaling", CVPR 2021 (arXiv 2104.00903).
 *
 * Forward as LSQ: v = x/s, q = round(clip(v, n, p)), y = q·s. The gradient that reaches x is scaled for each element by
 * how far it was rounded and in which direction it is pulled (eq. 4): dx = dy·(1 + δ·sign(dy)·(v − q)/(L − 1)) inside
 * the range, 0 outside; L is the number of levels, so that (v − q)/(L − 1) is the original's difference of values
 * normalised to [0, 1]. ds is LSQ's, from the unscaled gradient.
 *
 * cvlab-yonsei/EWGS trains a lower and an upper bound and an output scale for each layer instead of one step; with the
 * bounds at n·s and p·s and the output scale at (p − n)·s its x gradient is this one.
 * Options: `delta` δ (default 1e-3, the original's fixed value; its Hessian-based δ is a schedule over this option),
 * `gradientScale` "lsq" (default) or "none".
 */
import { absolute, add, multiply, reciprocal, subtract } from "../../ops/families/elementwise.ts";
import { parameterOf, scaleGradient } from "../arithmetic/learned.ts";
import { insideRange } from "../arithmetic/masks.ts";
import { quotientOf, specCodeRange } from "../arithmetic/round-codes.ts";
import type { QuantizerDefinition } from "../definition.ts";
import { gradientScales } from "../options.ts";
import { lsq } from "./lsq.ts";

/** Elementwise gradient scaling (arXiv 2104.00903). */
export const ewgs: QuantizerDefinition = {
  ...lsq,
  name: "ewgs",
  options: { delta: { from: 0 }, gradientScale: gradientScales },

  gradient(context) {
    const { builder, spec, x, y, dy } = context;
    const scale = parameterOf(context, "scale");
    const mask = insideRange(builder, quotientOf(builder, x, scale), specCodeRange(spec));
    const passed = multiply(builder, dy, mask);
    const ds = scaleGradient(context, { dy, y, dx: passed, x }, scale);
    const { delta } = spec.options;
    const strength = (typeof delta === "number" ? delta : 1e-3) / (spec.quantMax - spec.quantMin);
    // sign(dy)·dy = |dy|, and v − q = (x − y)/s.
    const pull = multiply(builder, subtract(builder, x, y), multiply(builder, reciprocal(builder, scale), strength));
    const dx = add(builder, passed, multiply(builder, absolute(builder, passed), pull));
    return { x: dx, parameters: { scale: ds } };
  },
};
