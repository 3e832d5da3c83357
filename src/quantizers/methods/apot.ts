/**
 * Additive powers of two: Li, Dong, Wang, "Additive Powers-of-Two Quantization: An Efficient Non-uniform Discretization
 * for Neural Networks", ICLR 2020 (arXiv 1909.13144), as the official yhhhli/APoT_Quantization does it.
 *
 * Levels (eq. 5–6): α·γ·(sums of one power of two, or 0, from each of k lists), scaled so that the largest is α. Here they
 * are integers times a unit: level = α·i/M. With B bits of magnitude
 *   B = 2: 0 1 2 4 (M = 4);   B = 3: 0 1 2 3 4 6 8 10 (M = 10);   B = 4: 16 of 64ths (M = 48);
 *   B = 5: 32 of 128ths (M = 100);   B = 6: 64 of 512ths (M = 448).
 * Weights have a sign and B = bits − 1; activations have B = bits. For any other B the levels are uniform, 0..2^B − 1, as
 * in the official code's `power=False` (2-bit weights), and above 7 bits the weights are not normalised, as in its 8-bit
 * first and last layers.
 *
 * Weights (codes with a sign): ŵ = (w − mean)/std over the elements that share α, std over n − 1; v = ŵ/α clipped to
 * [−1, 1]; y = α·level(v), on the normalised scale (a BatchNormalization follows). dŵ = dy unclipped, dw = dŵ/std with
 * mean and std constant; dα = Σ dy·(sign v where |v| > 1, level(v) − v elsewhere). α starts at 3.
 * Activations: v = x/α, clipped at 1; dx = dy where v ≤ 1; dα as above. α starts at the sample's largest value (the
 * official 8 and 6 are such values), or where an `initializer` puts it.
 *
 * Differences: exact ties take the lower level (the official argmin runs over an unordered set); activations with a
 * sign use ± levels and a clipped gradient (the official code has ReLU outputs only).
 * Options: `form` "weights" or "activations" (default: by the sign of the codes); `normalize` (weights; default true).
 */
import type { Value } from "../../ir/graph.ts";
import { divide, maximum, multiply, reciprocal, square, squareRoot, subtract } from "../../ops/families/elementwise.ts";
import { reduceMean, reduceSum } from "../../ops/families/reduce.ts";
import {
  alphaFromRange,
  checkWholeRange,
  initializeGroups,
  isUnsigned,
  parameterOf,
  positiveParameter,
  smallestScale,
  startFromRange,
  sumOfResiduals,
} from "../arithmetic/learned.ts";
import { lookUpLevel, lookUpScalar, mirrored, sumsOf, tablesBy } from "../arithmetic/levels.ts";
import { insideRange } from "../arithmetic/masks.ts";
import { encodeWith, scalarParameter, statisticsOf, unitOf } from "../arithmetic/scalar.ts";
import { type QuantizerContext, type QuantizerDefinition, type QuantizerSpec, sharedAxes } from "../definition.ts";
import { forms } from "../options.ts";

const { fround } = Math;
/** The official initial α of normalised weights. */
const initialWeightAlpha = 3;

/** The terms of each bit-width, as integers; the official code spells the same numbers as 2^−i. */
const additiveTerms: Readonly<Record<number, readonly (readonly number[])[]>> = {
  2: [[0, 4, 2, 1]],
  3: [
    [0, 8, 4, 1],
    [0, 2],
  ],
  4: [
    [0, 32, 8, 2],
    [0, 16, 4, 1],
  ],
  5: [
    [0, 64, 16, 2],
    [0, 32, 8, 1],
    [0, 4],
  ],
  6: [
    [0, 256, 32, 4],
    [0, 128, 16, 2],
    [0, 64, 8, 1],
  ],
};

const largestAdditive = 6;

/** The magnitudes of B bits, ascending integers from 0. */
export function apotMagnitudes(bits: number): number[] {
  const terms = additiveTerms[bits];
  return terms === undefined ? Array.from({ length: 2 ** bits }, (_, i) => i) : sumsOf(terms);
}

const tableOf = tablesBy(
  (spec) => `${spec.bits} ${isUnsigned(spec)}`,
  (spec) => {
    const isSigned = !isUnsigned(spec);
    const magnitudes = apotMagnitudes(isSigned ? spec.bits - 1 : spec.bits);
    return { levels: isSigned ? mirrored(magnitudes) : magnitudes, ties: "down" };
  },
);

function largestLevel(spec: QuantizerSpec): number {
  return tableOf(spec).levels.at(-1) ?? 1;
}

function isWeights(spec: QuantizerSpec): boolean {
  return spec.options.form === undefined ? !isUnsigned(spec) : spec.options.form === "weights";
}

/** The official 8-bit ends of a network, which have uniform levels, are not normalised. */
function normalizes(spec: QuantizerSpec): boolean {
  return isWeights(spec) && spec.options.normalize !== false && spec.bits <= largestAdditive + 1;
}

/** The mean and 1/std of the elements that share α. */
function moments(context: QuantizerContext): { readonly mean: Value; readonly inverse: Value } {
  const { builder, x } = context;
  const axes = sharedAxes(context.spec, x.type.shape.length);
  const count = axes.reduce((product, axis) => product * (x.type.shape[axis] ?? 1), 1);
  const mean = axes.length === 0 ? x : reduceMean(builder, x, axes);
  const squares = reduceSum(builder, square(builder, subtract(builder, x, mean)), axes);
  const variance = divide(builder, squares, Math.max(count - 1, 1));
  return { mean, inverse: reciprocal(builder, maximum(builder, squareRoot(builder, variance), smallestScale)) };
}

/** ŵ, or x where nothing is normalised. */
function normalized(context: QuantizerContext): Value {
  if (!normalizes(context.spec)) return context.x;
  const { mean, inverse } = moments(context);
  return multiply(context.builder, subtract(context.builder, context.x, mean), inverse);
}

function normalizedRow(spec: QuantizerSpec, row: Float32Array): Float32Array {
  if (!normalizes(spec)) return row;
  const { mean, deviation } = statisticsOf(row);
  const inverse = fround(1 / Math.max(fround(deviation), smallestScale));
  return row.map((x) => fround(fround(x - fround(mean)) * inverse));
}

const coveringAlpha = startFromRange(alphaFromRange);

/** Additive powers of two (Li et al., arXiv 1909.13144). */
export const apot: QuantizerDefinition = {
  name: "apot",
  traits: { masksOutside: false, fixedSign: false, torchRange: false },
  options: { form: forms, normalize: "boolean" },

  parameters: (spec, type) => [positiveParameter("alpha", spec, type)],

  initialize: (spec, sample) =>
    normalizes(spec)
      ? initializeGroups(spec, sample, () => ({ alpha: initialWeightAlpha }))
      : coveringAlpha.initialize(spec, sample),

  initialFromRange: coveringAlpha.initialFromRange,

  forward(context) {
    const { builder, spec } = context;
    const unit = divide(builder, parameterOf(context, "alpha"), largestLevel(spec));
    const level = lookUpLevel(builder, normalized(context), reciprocal(builder, unit), tableOf(spec));
    return multiply(builder, level, unit);
  },

  /**
   * With m the mask, dα = Σ dy·(bound outside; level − v inside) = (Σ dy·y − Σ m·dy·x)/α: outside the level is ±1.
   */
  gradient(context) {
    const { builder, spec, y, dy } = context;
    const alpha = parameterOf(context, "alpha");
    const x = normalized(context);
    const v = multiply(builder, x, reciprocal(builder, alpha));
    const low = isUnsigned(spec) ? 0 : -1;
    const mask = insideRange(builder, v, { low, high: 1, nonNegative: spec.nonNegative === true });
    const inside = multiply(builder, dy, mask);
    const sum = divide(builder, sumOfResiduals(context, { dy, y, dx: inside, x }, alpha), alpha);
    if (!isWeights(spec)) return { x: inside, parameters: { alpha: sum } };
    return {
      x: normalizes(spec) ? multiply(builder, dy, moments(context).inverse) : dy,
      parameters: { alpha: sum },
    };
  },

  levels: (spec) => tableOf(spec).levels.length,

  integers: {
    codes: (spec) => tableOf(spec).levels,
    unit: (spec, parameters) => unitOf(fround(scalarParameter(parameters, "alpha") / largestLevel(spec))),
    encode(spec, parameters, row) {
      const unit = fround(scalarParameter(parameters, "alpha") / largestLevel(spec));
      return encodeWith(normalizedRow(spec, row), (x) => lookUpScalar(x, fround(1 / unit), tableOf(spec)));
    },
  },

  check(spec) {
    if (!isUnsigned(spec) && spec.bits < 2) {
      return { message: "APoT needs a bit besides the sign", remedy: "Use 2 bits or more." };
    }
    return checkWholeRange(spec, "APoT");
  },
};
