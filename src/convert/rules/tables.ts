/** Rules of functions of one value, as tables from code to code. */

import type { FunctionOfOne } from "../../ops/build/functions-of-one.ts";
import type { Assembly } from "../assembly/assembly.ts";
import type { Symbolic, Tabled } from "../assembly/symbolic.ts";
import { valuesOfCodes } from "../grid.ts";
import { type RuleContext, symbolicInput, unsupported } from "./rule.ts";

/** A value as a function of its codes; undefined where it has none. */
function tabled(assembly: Assembly, value: Symbolic): Tabled | undefined {
  if (value.kind === "tabled") return value;
  const codes = assembly.readyCodes(value);
  if (codes === undefined) return undefined;
  const { tensor } = codes;
  const { form } = assembly.tensor(tensor);
  // Wide codes are as many as an int32 holds.
  if (form.kind !== "codes") return undefined;
  const values = valuesOfCodes(form);
  return { kind: "tabled", name: value.name, shape: value.shape, tensor, values };
}

/** A function of a value that has codes. */
export function functionRule(context: RuleContext, ofOne: FunctionOfOne): Tabled {
  const { assembly, node } = context;
  const x = tabled(assembly, symbolicInput(context, 0));
  if (x === undefined) {
    throw unsupported(
      node,
      "its input is not quantized",
      "Train with --set quantization.residualBits=8, or convert with --residual-bits 8: a function needs codes to tabulate.",
    );
  }
  return { ...x, name: node.name, values: x.values.map(ofOne(node)) };
}

/**
 * A function of two values that are functions of the same codes, as the product of SiLU; undefined where they are not.
 */
export function functionOfBoth(
  { assembly, node }: RuleContext,
  a: Symbolic,
  b: Symbolic,
  combine: (a: number, b: number) => number,
): Tabled | undefined {
  if (a.kind !== "tabled" && b.kind !== "tabled") return undefined;
  const [first, second] = [tabled(assembly, a), tabled(assembly, b)];
  if (first === undefined || second === undefined || first.tensor !== second.tensor) return undefined;
  const values = first.values.map((value, i) => combine(value, second.values[i] ?? 0));
  return { ...first, name: node.name, values };
}
