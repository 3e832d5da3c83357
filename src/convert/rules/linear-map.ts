/** What a linear operation makes of a value: gain·x + offset is folded into sums, tables and what only moves elements. */

import { toNumbers } from "../../ir/tensor.ts";
import { fromNumbers } from "../../ops/build/fold/data.ts";
import { type Affine, alongAxis, type LinearMap, type Symbolic, scaledAffine } from "../assembly/symbolic.ts";
import { type RuleContext, unsupported } from "./rule.ts";
import { linearTable } from "./tables.ts";

/** A sum of integers for any value that has, or can be given, codes. */
export function affineOf(context: RuleContext, value: Symbolic): Affine {
  if (value.kind === "data" || value.kind === "weight" || value.kind === "constant") {
    throw unsupported(context.node, `its input "${value.name}" is not quantized`);
  }
  return context.assembly.affine(value);
}

/** A sum whose channels lie along an axis: its own, or that of the codes that it is stored as. */
export function affineAlong({ assembly }: RuleContext, sum: Affine, axis: number): Affine {
  return alongAxis(sum, axis) ?? alongAxis(assembly.affine(assembly.materialize(sum)), axis) ?? sum;
}

/** Returns gain·x + offset. */
export function linear(context: RuleContext, value: Symbolic, map: LinearMap): Symbolic {
  const { name } = context.node;
  const one = oneNumberEach(map);
  if (value.kind === "constant" && one !== undefined) {
    const { dtype, shape } = value.tensor;
    const numbers = toNumbers(value.tensor).map((each) => one.gain * each + one.offset);
    return { ...value, tensor: fromNumbers({ dtype, shape }, numbers) };
  }
  const table = value.kind === "tabled" ? linearTable(value, map, name) : undefined;
  if (table !== undefined) return table;
  if (value.kind === "rearranged") {
    const inner = (): Symbolic[] => value.inputs.map((input) => linear(context, input, map));
    if (value.isView === true && (map.axis === undefined || map.axis === 1)) return { ...value, inputs: inner() };
    // A positive factor commutes with the choice of the largest too.
    if (one !== undefined && one.gain > 0) {
      const { fill } = value;
      return {
        ...value,
        inputs: inner(),
        ...(fill === undefined ? {} : { fill: one.gain * fill + one.offset }),
      };
    }
  }
  const sum = affineOf(context, value);
  return scaledAffine(map.axis === undefined ? sum : affineAlong(context, sum, map.axis), map, name);
}

/** The gain and the offset of a map that is the same for all channels. */
function oneNumberEach({ gain, offset }: LinearMap): { readonly gain: number; readonly offset: number } | undefined {
  const isSame = (values: ArrayLike<number>): boolean => Array.from(values).every((each) => each === values[0]);
  return isSame(gain) && isSame(offset) ? { gain: gain[0] ?? 1, offset: offset[0] ?? 0 } : undefined;
}
