/** Questions about forms of codes and about sums: what a limit is in codes, what is one form, what is stored as it stands. */

import { clamp, roundHalfEven } from "../../base/rounding.ts";
import { nearestLevel } from "../../quantizers/arithmetic/levels.ts";
import type { TensorForm } from "../integer-network.ts";
import type { Affine, Symbolic } from "./symbolic.ts";

/** Returns the rearranged value, where it was one value. */
export function underlying(value: Symbolic): Symbolic {
  const [input] = value.kind === "rearranged" ? value.inputs : [];
  return value.kind === "rearranged" && value.inputs.length === 1 && input !== undefined ? underlying(input) : value;
}

/** The code of a limit in real numbers, within the form's own. */
export function limitCode(limit: number, { low, high, scale, zeroPoint, offset = 0, levels }: TensorForm): number {
  if (limit === Number.NEGATIVE_INFINITY) return low;
  if (limit === Number.POSITIVE_INFINITY) return high;
  const units = Math.fround(Math.fround(limit - offset) * Math.fround(1 / scale));
  const nearest = levels === undefined ? roundHalfEven(units) : nearestLevel({ levels, ties: "down" }, units);
  return clamp(nearest + zeroPoint, low, high);
}

/** Whether something is added up, as it stands but for one factor for each term. */
export function isPlainSum({ terms, offset }: Affine): boolean {
  return (
    terms.length > 1 &&
    offset.every((value) => value === 0) &&
    terms.every(({ gains }) => gains.every((gain) => gain === gains[0]))
  );
}

/** Whether a sum is one term as it stands, limited at most. */
export function isUnchanged({ terms, offset }: Affine, form: TensorForm): boolean {
  const [term] = terms;
  if (term === undefined || terms.length > 1) return false;
  return offset.every((value) => value === (form.offset ?? 0)) && term.gains.every((gain) => gain === 1);
}

/** Whether two tensors have the same codes, and these stand for the same numbers. */
export function sameForm(a: TensorForm, b: TensorForm): boolean {
  return (
    a.kind === b.kind &&
    a.scale === b.scale &&
    a.zeroPoint === b.zeroPoint &&
    a.offset === b.offset &&
    a.low === b.low &&
    a.high === b.high
  );
}
