/** Rules of tokens: rows of a table by number, and what follows from numbers alone, as masks do. */

import { intAttribute } from "../../../ir/attributes.ts";
import { toNumbers } from "../../../ir/tensor.ts";
import { elementCount } from "../../../ir/types.ts";
import type { Rows, Symbolic } from "../../assembly/symbolic.ts";
import { nodeShape, type RuleContext, symbolicInput, unsupported } from "../rule.ts";
import { tableOfIntegers } from "../tables.ts";

/** Rows of a table that is a parameter, by numbers that enter the network; undefined where it is something else. */
export function rowsRule(context: RuleContext): Rows | undefined {
  const { assembly, node } = context;
  const [table, index] = [symbolicInput(context, 0), symbolicInput(context, 1)];
  if (table.kind !== "constant" || index.kind === "constant") return undefined;
  const numbers = index.kind === "codes" ? assembly.tensor(index.tensor) : undefined;
  if (numbers?.form.kind !== "integers") throw unsupported(node, "its indices are computed");
  if (intAttribute(node, "axis", 0) !== 0) throw unsupported(node, "it picks along another axis than the first");
  return {
    kind: "rows",
    name: node.name,
    shape: nodeShape(node),
    tensor: numbers.id,
    size: elementCount(table.shape.slice(1)),
    values: Float64Array.from(toNumbers(table.tensor)),
  };
}

/**
 * What follows from numbers alone, with other values: 1 and 0 of a mask. Undefined where a part of the value follows from something
 * else.
 *
 * @param of Returns the new value of each; undefined where they are not what is expected.
 */
export function withValues(
  context: RuleContext,
  value: Symbolic,
  of: (values: Float64Array) => Float64Array | undefined,
): Symbolic | undefined {
  if (value.kind === "rearranged") {
    if (value.fill !== undefined) return undefined;
    const inputs = value.inputs.flatMap((input) => withValues(context, input, of) ?? []);
    return inputs.length === value.inputs.length ? { ...value, inputs } : undefined;
  }
  const table = tableOfIntegers(context.assembly, value);
  const values = table === undefined ? undefined : of(table.values);
  return table === undefined || values === undefined ? undefined : { ...table, values };
}
