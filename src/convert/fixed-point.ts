/**
 * The fixed-point variant of a requantization: integer multipliers and one right shift in place of float factors.
 * docs/integer.md, "The fixed-point variant".
 */
import { type Dequantize, multipliers, quotientBits, type Requantize, type TensorForm } from "./integer-network.ts";

/** Integer multipliers stay below this, so that two products of 31-bit integers fit 64 bits. */
const multiplierBits = 30;
const largestShift = 60;

/** One operation's factors: t = Σ v·M[i][k] + O[k], code = (t + 2^(shift−1)) >> shift. */
export interface FixedFactors {
  readonly shift: number;
  /** For each term one multiplier, or one for each channel. */
  readonly multipliers: readonly Int32Array[];
  readonly offset?: BigInt64Array;
}

/** The multipliers of a requantization, from the float32 ones. @param inputs The forms of the terms' tensors. */
export function fixedFactors(
  operation: Requantize | Dequantize,
  form: TensorForm,
  inputs: readonly TensorForm[],
): FixedFactors {
  const factors = operation.terms.map((term, index) => {
    const unit = inputs[index]?.kind === "quotient" ? 2 ** -quotientBits : 1;
    return multipliers(term, form.scale).map((value) => value * unit);
  });
  const largest = factors.flatMap((values) => [...values]).reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const exponent = largest === 0 ? 0 : Math.floor(Math.log2(largest)) + 1;
  const shift = Math.max(1, Math.min(largestShift, multiplierBits - exponent));
  const { offset } = operation;
  return {
    shift,
    multipliers: factors.map((values) => Int32Array.from(values, (value) => Math.round(value * 2 ** shift))),
    ...(offset === undefined
      ? {}
      : { offset: BigInt64Array.from(offset, (value) => BigInt(Math.round(value * 2 ** shift))) }),
  };
}
