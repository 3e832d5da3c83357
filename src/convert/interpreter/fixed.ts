/** The fixed-point variant of the requantization, in whole numbers of any size. */
import { fixedFactors } from "../fixed-point.ts";
import type { IntegerTensor, Requantize } from "../integer-network.ts";
import { channelOf, type Elements, limit } from "./numbers.ts";

/** code = clamp(((Σ v·M + O + 2^(r−1)) >> r) + z): halves are rounded up. */
export function interpretFixed(
  operation: Requantize,
  inputs: readonly Elements[],
  output: IntegerTensor,
): Float64Array {
  const factors = fixedFactors(
    operation,
    output.form,
    inputs.map(({ tensor }) => tensor.form),
  );
  const half = 2n ** BigInt(factors.shift - 1);
  const count = output.shape.reduce((product, size) => product * size, 1);
  const { low, high } = operation;
  return Float64Array.from({ length: count }, (_, i) => {
    const k = channelOf(i, output.shape, operation.axis);
    let t = factors.offset?.[k] ?? 0n;
    operation.terms.forEach((term, index) => {
      const source = inputs[index];
      if (source === undefined) throw new RangeError(`${operation.name}: term ${index} has no input`);
      const centred = (source.data[i] ?? 0) - source.tensor.form.zeroPoint;
      const v = centred * 2 ** term.shift + (term.bias?.[k] ?? 0);
      const multiplier = factors.multipliers[index]?.[term.gains.length === 1 ? 0 : k] ?? 0;
      t += BigInt(v) * BigInt(multiplier);
    });
    const { levels, zeroPoint } = output.form;
    // An arithmetic shift of a bigint rounds down, also below zero.
    const nearest =
      levels === undefined ? Number((t + half) >> BigInt(factors.shift)) : nearestLevel(t, factors.shift, levels);
    return limit(nearest + zeroPoint, low, high);
  });
}

/** The level nearest to t/2^shift, the lower one of two. */
function nearestLevel(t: bigint, shift: number, levels: readonly number[]): number {
  const distance = (level: number): bigint => {
    const difference = t - BigInt(level) * 2n ** BigInt(shift);
    return difference < 0n ? -difference : difference;
  };
  return levels.reduce((best, level) => (distance(level) < distance(best) ? level : best));
}
