/**
 * The additive powers of two of torch.ao.quantization.experimental (`APoTObserver`, `APoTQuantizer`).
 *
 * With b bits in k terms and n = b/k: term i of k holds 0 and 2^−(i + j·n) for j = 0 … 2^k − 2; a level is γ·(one number of
 * each term) with γ = α/Σᵢ 2^−i, so that the largest level is α. α = max(−min, max) of the observed range; it is not
 * learned. y is the level nearest to clip(x, −α, α), the lower one on a tie; dx = dy where −α ≤ x ≤ α.
 * Unsigned b = 4, k = 2 equals the official APoT levels of 4 bits; k = 1 is uniform, k = b plain powers of two.
 *
 * torch's defects are options, off by default:
 * - `signedLevels: "torch"`: every term gets ± copies of its numbers. Signed b = 4, k = 2 has then 49 sums and **39**
 *   distinct levels, about 5.3 bits. The default, "sign", is a sign and the levels of b − 1 bits, so b − 1 must be
 *   divisible by k.
 * - `alwaysUnsigned`: `APoTFakeQuantize.forward` asks for unsigned levels whatever the tensor is, so that negative
 *   weights become 0, and −α where they are below −α.
 * Not reproduced: the TypeError in torch's backward pass, and `float_to_apot` returning α instead of an index.
 *
 * Options: `k` (default 2 where it divides the bits, else 1), `signedLevels`, `alwaysUnsigned`.
 */

import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { positive } from "../../ops/build/masks.ts";
import { add, divide, maximum, multiply, negate, reciprocal } from "../../ops/families/elementwise.ts";
import { checkWholeRange, isUnsigned, parameterOf, smallestScale, startFromRange } from "../arithmetic/learned.ts";
import { lookUpLevel, lookUpScalar, mirrored, sumsOf, tablesBy } from "../arithmetic/levels.ts";
import { insideRange } from "../arithmetic/masks.ts";
import { encodeWith, scalarParameter, unitOf } from "../arithmetic/scalar.ts";
import {
  type GroupParameters,
  legalScale,
  parameterShape,
  type QuantizerContext,
  type QuantizerDefinition,
  type QuantizerSpec,
} from "../definition.ts";

const { fround } = Math;
/** The table has one cell for each half unit; more than this makes it larger than most tensors. */
const largestTable = 2 ** 16;

/** The terms of unsigned levels, as integers: 2^−(i + j·n) in units of the smallest. */
function termsOf(bits: number, k: number): number[][] {
  const n = bits / k;
  const smallest = n - 1 + (2 ** k - 2) * n;
  return Array.from({ length: n }, (_, i) => [
    0,
    ...Array.from({ length: 2 ** k - 1 }, (_, j) => 2 ** (smallest - i - j * n)),
  ]);
}

function withSigns(term: readonly number[]): number[] {
  return term.flatMap((number) => (number === 0 ? [0] : [number, -number]));
}

/** The distinct levels as integers, ascending; torch lists repeated sums as well. */
export function apotTorchLevels(bits: number, k: number, signs: "none" | "sign" | "torch"): number[] {
  if (signs === "none") return sumsOf(termsOf(bits, k));
  if (signs === "sign") return mirrored(sumsOf(termsOf(bits - 1, k)));
  return sumsOf(termsOf(bits, k).map(withSigns));
}

function signsOf(spec: QuantizerSpec): "none" | "sign" | "torch" {
  if (isUnsigned(spec) || spec.options.alwaysUnsigned === true) return "none";
  return spec.options.signedLevels === "torch" ? "torch" : "sign";
}

/** The bits that the terms share. */
function levelBits(spec: QuantizerSpec): number {
  return signsOf(spec) === "sign" ? spec.bits - 1 : spec.bits;
}

function termBits(spec: QuantizerSpec): number {
  const { k } = spec.options;
  return typeof k === "number" ? k : levelBits(spec) % 2 === 0 ? 2 : 1;
}

const tableOf = tablesBy(
  (spec) => `${spec.bits} ${termBits(spec)} ${signsOf(spec)}`,
  (spec) => ({ levels: apotTorchLevels(spec.bits, termBits(spec), signsOf(spec)), ties: "down" }),
);

function largestLevel(spec: QuantizerSpec): number {
  return tableOf(spec).levels.at(-1) ?? 1;
}

/** Whether negative tensors meet unsigned levels, where torch returns −α below −α. */
function isDefective(spec: QuantizerSpec): boolean {
  return spec.options.alwaysUnsigned === true && !isUnsigned(spec);
}

function unitValue(context: QuantizerContext): Value {
  return divide(context.builder, parameterOf(context, "alpha"), largestLevel(context.spec));
}

function fromRange(
  builder: GraphBuilder,
  _spec: QuantizerSpec,
  { min, max }: { readonly min: Value; readonly max: Value },
): { readonly alpha: Value } {
  return { alpha: maximum(builder, maximum(builder, negate(builder, min), max), smallestScale) };
}

function threshold(min: number, max: number): number {
  return Math.max(-min, max, smallestScale);
}

function alphaFromRange(_spec: QuantizerSpec, min: number, max: number): GroupParameters {
  return { alpha: threshold(min, max) };
}

/** torch.ao.quantization.experimental's additive powers of two. */
export const apotTorch: QuantizerDefinition = {
  name: "apotTorch",
  traits: { masksOutside: false, fixedSign: false, torchRange: false },
  options: { k: { from: 1, whole: true }, signedLevels: ["sign", "torch"], alwaysUnsigned: "boolean" },

  parameters: (spec, type) => [
    { name: "alpha", shape: parameterShape(spec, type), trainable: false, initial: 1, legal: legalScale },
  ],

  ...startFromRange(alphaFromRange),
  fromRange,

  forward(context) {
    const { builder, spec, x } = context;
    const unit = unitValue(context);
    const level = lookUpLevel(builder, x, reciprocal(builder, unit), tableOf(spec));
    const y = multiply(builder, level, unit);
    if (!isDefective(spec)) return y;
    const alpha = parameterOf(context, "alpha");
    const below = positive(builder, negate(builder, add(builder, x, alpha)));
    return add(builder, y, multiply(builder, below, multiply(builder, unit, -largestLevel(spec))));
  },

  gradient(context) {
    const { builder, x, dy } = context;
    const v = multiply(builder, x, reciprocal(builder, parameterOf(context, "alpha")));
    const mask = insideRange(builder, v, { low: -1, high: 1, nonNegative: context.spec.nonNegative === true });
    return { x: multiply(builder, dy, mask), parameters: {} };
  },

  levels: (spec) => tableOf(spec).levels.length + (isDefective(spec) ? 1 : 0),

  integers: {
    codes: (spec) => (isDefective(spec) ? [-largestLevel(spec), ...tableOf(spec).levels] : tableOf(spec).levels),
    unit: (spec, parameters) => unitOf(fround(scalarParameter(parameters, "alpha") / largestLevel(spec))),
    encode(spec, parameters, row) {
      const alpha = scalarParameter(parameters, "alpha");
      const factor = fround(1 / fround(alpha / largestLevel(spec)));
      return encodeWith(row, (x) =>
        isDefective(spec) && fround(x + alpha) < 0 ? -largestLevel(spec) : lookUpScalar(x, factor, tableOf(spec)),
      );
    },
  },

  check(spec) {
    const bits = levelBits(spec);
    const k = termBits(spec);
    if (!Number.isInteger(k) || k < 1 || bits < 1 || bits % k !== 0) {
      const sign = signsOf(spec) === "sign" ? " besides the sign" : "";
      return {
        message: `${bits} bits${sign} are not divisible by k = ${k}`,
        remedy: `Set options.k to a divisor of ${bits}, or change the bits.`,
      };
    }
    if (largestOf(bits, k) > largestTable) {
      return {
        message: `${bits} bits in terms of ${k} span more powers of two than float32 can use`,
        remedy: "Use fewer bits, or a smaller options.k.",
      };
    }
    return checkWholeRange(spec, "APoT");
  },
};

/** The largest level in units of the smallest. */
function largestOf(bits: number, k: number): number {
  return termsOf(bits, k).reduce((sum, term) => sum + Math.max(...term), 0);
}
