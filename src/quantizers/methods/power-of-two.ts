/**
 * Powers of two: every level is 0 or ±α·2^−i, so that a product is a shift. After Zhou et al., "Incremental Network
 * Quantization", ICLR 2017 (arXiv 1702.03044), whose exponents count down from the largest. INQ fixes one part of the
 * weights after another and has no gradient for a quantized one; here α is learned and x has the clipped gradient of APoT's
 * reparameterized clipping function (arXiv 1909.13144, section 2.3).
 *
 * With a sign: i = 0 … 2^(b−1) − 2; without: i = 0 … 2^b − 2. y is the nearest level to clip(x, ∓α), the lower on a tie.
 * dx = dy where |x| ≤ α; dα = Σ dy·(±1 outside; (y − x)/α inside). α starts at the largest magnitude, or where an
 * `initializer` puts it.
 *
 * Exponents end at 14: a level below α·2⁻¹⁴ could not be distinguished from 0 in any product with 8-bit codes, and more bits than
 * that add nothing. So 4 bits are 16 levels unsigned and 15 signed, and no width has more than 31: `levels` says so.
 */
import { divide, multiply, reciprocal } from "../../ops/families/elementwise.ts";
import {
  alphaFromRange,
  checkWholeRange,
  isUnsigned,
  parameterOf,
  positiveParameter,
  startFromRange,
  sumOfResiduals,
} from "../arithmetic/learned.ts";
import { lookUpLevel, lookUpScalar, mirrored, tablesBy } from "../arithmetic/levels.ts";
import { insideRange } from "../arithmetic/masks.ts";
import { encodeWith, scalarParameter, unitOf } from "../arithmetic/scalar.ts";
import type { QuantizerDefinition, QuantizerSpec } from "../definition.ts";

const { fround } = Math;
const lastExponent = 14;

/** The number of powers besides 0. */
function powersOf(spec: QuantizerSpec): number {
  const asked = 2 ** (isUnsigned(spec) ? spec.bits : spec.bits - 1) - 1;
  return Math.min(asked, lastExponent + 1);
}

const tableOf = tablesBy(
  (spec) => `${powersOf(spec)} ${isUnsigned(spec)}`,
  (spec) => {
    const magnitudes = [0, ...Array.from({ length: powersOf(spec) }, (_, i) => 2 ** i)];
    return { levels: isUnsigned(spec) ? magnitudes : mirrored(magnitudes), ties: "down" };
  },
);

function largestLevel(spec: QuantizerSpec): number {
  return 2 ** (powersOf(spec) - 1);
}

/** Powers of two (arXiv 1702.03044). */
export const powerOfTwo: QuantizerDefinition = {
  name: "powerOfTwo",
  traits: { masksOutside: true, fixedSign: false, torchRange: false },
  options: {},

  parameters: (spec, type) => [positiveParameter("alpha", spec, type)],

  ...startFromRange(alphaFromRange),

  forward(context) {
    const { builder, spec, x } = context;
    const unit = divide(builder, parameterOf(context, "alpha"), largestLevel(spec));
    return multiply(builder, lookUpLevel(builder, x, reciprocal(builder, unit), tableOf(spec)), unit);
  },

  gradient(context) {
    const { builder, spec, x, y, dy } = context;
    const alpha = parameterOf(context, "alpha");
    const v = multiply(builder, x, reciprocal(builder, alpha));
    const range = { low: isUnsigned(spec) ? 0 : -1, high: 1, nonNegative: spec.nonNegative === true };
    const dx = multiply(builder, dy, insideRange(builder, v, range));
    return { x: dx, parameters: { alpha: divide(builder, sumOfResiduals(context, { dy, y, dx, x }, alpha), alpha) } };
  },

  levels: (spec) => tableOf(spec).levels.length,

  integers: {
    codes: (spec) => tableOf(spec).levels,
    unit: (spec, parameters) => unitOf(fround(scalarParameter(parameters, "alpha") / largestLevel(spec))),
    encode(spec, parameters, row) {
      const unit = fround(scalarParameter(parameters, "alpha") / largestLevel(spec));
      return encodeWith(row, (x) => lookUpScalar(x, fround(1 / unit), tableOf(spec)));
    },
  },

  check: (spec) =>
    isUnsigned(spec) || spec.bits >= 2
      ? checkWholeRange(spec, "powers of two")
      : { message: "powers of two need a bit besides the sign", remedy: "Use 2 bits or more." },
};
