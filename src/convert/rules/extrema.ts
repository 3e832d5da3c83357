/** The rules of Max and Min. */
import { toNumbers } from "../../ir/tensor.ts";
import { largestOfEach, smallestOfEach } from "../../ops/build/functions-of-one.ts";
import type { Symbolic } from "../assembly/symbolic.ts";
import { limited } from "./linear.ts";
import { type IntegerRule, nodeShape, type RuleContext, unsupported } from "./rule.ts";
import { eachRule, functionOfTables } from "./tables.ts";

/**
 * The largest or smallest of values: limits where all but one are constants. Of two activations it is taken of their codes on one grid: a
 * quantizer keeps the order of what it rounds.
 */
function extremumRule(of: "largest" | "smallest"): IntegerRule {
  const ofEach = of === "largest" ? largestOfEach : smallestOfEach;
  return (context) => {
    const { node, inputs } = context;
    const table = functionOfTables(context, ofEach);
    if (table !== undefined) return table;
    const constants = inputs.flatMap((value) => (value?.kind === "constant" ? toNumbers(value.tensor) : []));
    const values = inputs.flatMap((value) => (value === undefined || value.kind === "constant" ? [] : [value]));
    const [first] = values;
    if (first === undefined) throw unsupported(node, "all of its inputs are constants");
    const [limit] = constants;
    if (constants.some((value) => value !== limit)) return eachRule(context, ofEach);
    const value = values.length === 1 ? first : extremumOf(context, of, values);
    if (limit === undefined) return value;
    return of === "largest"
      ? limited(context, value, limit, Number.POSITIVE_INFINITY)
      : limited(context, value, Number.NEGATIVE_INFINITY, limit);
  };
}

function extremumOf(
  { assembly, node }: RuleContext,
  of: "largest" | "smallest",
  values: readonly Symbolic[],
): Symbolic {
  const { name } = node;
  const shape = nodeShape(node);
  if (values.some((value) => value.shape.length !== shape.length))
    throw unsupported(node, "its inputs have different numbers of axes");
  return assembly.rearranged({
    kind: "rearranged",
    name,
    shape,
    inputs: values,
    make: (inputs, output) => ({ op: "ExtremumCodes", name, of, inputs, output }),
  });
}

/** The largest of values. */
export const maximumRule: IntegerRule = extremumRule("largest");
/** The smallest of values. */
export const minimumRule: IntegerRule = extremumRule("smallest");
