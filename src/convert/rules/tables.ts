/** Rules of functions of one value, as tables from code to code. */

import type { FunctionOfEach, FunctionOfOne } from "../../ops/build/functions-of-one.ts";
import type { Assembly } from "../assembly/assembly.ts";
import { type Affine, channelsOf, type LinearMap, type Symbolic, type Tabled } from "../assembly/symbolic.ts";
import { valuesOfCodes } from "../grid.ts";
import { channelNumbers, nodeShape, type RuleContext, symbolicInput, unsupported } from "./rule.ts";
import { asIntegers, repeatedCodes } from "./tokens/integers.ts";

/** A value as a function of its codes; undefined where it has none. */
function tabled(assembly: Assembly, value: Symbolic): Tabled | undefined {
  if (value.kind === "tabled") return value;
  const scaled = value.kind === "affine" ? scaledCodes(assembly, value) : undefined;
  if (scaled !== undefined) return scaled;
  const codes = assembly.readyCodes(value);
  if (codes === undefined) return undefined;
  const { tensor } = codes;
  const { form } = assembly.tensor(tensor);
  // Wide codes are as many as an int32 holds.
  if (form.kind !== "codes" && form.kind !== "integers") return undefined;
  return {
    kind: "tabled",
    name: value.name,
    shape: value.shape,
    tensor,
    axis: 1,
    tables: 1,
    values: valuesOfCodes(form),
  };
}

/** A value as a function of numbers that enter the network; undefined where it follows from something else. */
export function tableOfIntegers(assembly: Assembly, value: Symbolic): Tabled | undefined {
  const source = value.kind === "affine" ? value.terms[0]?.tensor : "tensor" in value ? value.tensor : undefined;
  const isInteger = typeof source === "number" && assembly.tensor(source).form.kind === "integers";
  return isInteger && value.kind !== "rows" ? tabled(assembly, value) : undefined;
}

/** Codes that are scaled, shifted and limited; undefined for sums of anything else. */
function scaledCodes(assembly: Assembly, sum: Affine): Tabled | undefined {
  const { terms, offset, name, shape, axis } = sum;
  const [term, ...others] = terms;
  const form = term === undefined ? undefined : assembly.tensor(term.tensor).form;
  const isCode = form?.kind === "codes" || form?.kind === "integers";
  if (term === undefined || form === undefined || !isCode || others.length > 0) return undefined;
  const { tensor, gains } = term;
  const codes = { kind: "tabled", name, shape, tensor, axis, tables: 1, values: valuesOfCodes(form) } as const;
  // The offset of the codes is part of the sum's.
  const shift = offset.map((value, k) => value - (form.offset ?? 0) * (gains[k] ?? 0));
  const scaled = linearTable(codes, { axis, gain: gains, offset: shift }, name);
  return scaled === undefined ? undefined : limitedTable(scaled, sum.low, sum.high);
}

/** A table's values times a gain, and an offset; undefined where it has channels along another axis. */
export function linearTable(table: Tabled, { axis, gain, offset }: LinearMap, name: string): Tabled | undefined {
  const at = (numbers: ArrayLike<number>, k: number): number => numbers[numbers.length === 1 ? 0 : k] ?? 0;
  const same = (numbers: ArrayLike<number>): boolean => Array.from(numbers).every((each) => each === numbers[0]);
  const tables = axis === undefined || (same(gain) && same(offset)) ? 1 : channelsOf(table.shape, axis);
  return combined([table], { tables, axis: axis ?? table.axis }, name, (k, [x = 0]) => at(gain, k) * x + at(offset, k));
}

/** The values of a table within limits. */
export function limitedTable(table: Tabled, low: number, high: number): Tabled {
  return { ...table, values: table.values.map((value) => Math.min(Math.max(value, low), high)) };
}

/** A function of tables of the same codes; undefined where they have channels along different axes. */
function combined(
  operands: readonly Tabled[],
  own: Pick<Tabled, "tables" | "axis">,
  name: string,
  of: (channel: number, values: readonly number[]) => number,
): Tabled | undefined {
  const [first] = operands;
  const channelled = [...operands, own].filter(({ tables }) => tables > 1);
  const { tables, axis } = channelled[0] ?? own;
  if (first === undefined || channelled.some((each) => each.axis !== axis)) return undefined;
  const count = first.values.length / first.tables;
  const values = Float64Array.from({ length: tables * count }, (_, i) => {
    const k = Math.floor(i / count);
    const read = operands.map((each) => each.values[(each.tables === 1 ? 0 : k * count) + (i % count)] ?? 0);
    return of(k, read);
  });
  return { ...first, name, axis, tables, values };
}

/** A table with 0 where the function is not a number: a network that trained has no such codes, as those of a root below 0. */
function withNumbers(table: Tabled): Tabled {
  return { ...table, values: table.values.map((value) => (Number.isNaN(value) ? 0 : value)) };
}

/** A function of a value that has codes. */
export function functionRule(context: RuleContext, ofOne: FunctionOfOne): Tabled {
  const { assembly, node } = context;
  const x = tabled(assembly, symbolicInput(context, 0));
  if (x === undefined) throw withoutCodes(context);
  return withNumbers({ ...x, name: node.name, values: x.values.map(ofOne(node)) });
}

function withoutCodes({ node }: RuleContext) {
  return unsupported(
    node,
    "its input is not quantized",
    "Train with --set quantization.residualBits=8, or convert with --residual-bits 8: a function needs codes to tabulate.",
  );
}

/** A function of several inputs of which all but one are constants, or which are all functions of the same codes. */
export function eachRule(context: RuleContext, ofEach: FunctionOfEach): Tabled {
  const { inputs } = context;
  if (inputs.filter((value) => value !== undefined && value.kind !== "constant").length > 1) {
    const table = functionOfEach(context, ofEach);
    if (table !== undefined) return table;
    throw unsupported(context.node, "there is an integer form of it only where its inputs are functions of one value");
  }
  const table = functionOfEach(context, ofEach);
  if (table === undefined) throw withoutCodes(context);
  return table;
}

/**
 * The same where some input is a table already, or where two are functions of the same codes, as in the product of SiLU; undefined where
 * conversion may fold the node.
 */
export function functionOfTables(context: RuleContext, ofEach: FunctionOfEach): Tabled | undefined {
  const activations = context.inputs.filter((value) => value !== undefined && value.kind !== "constant");
  if (activations.length < 2 && !activations.some((value) => value?.kind === "tabled")) return undefined;
  return functionOfEach(context, ofEach);
}

/** Whole numbers that follow from those of an input, in the shape of the node's output. */
function repeatedTable(context: RuleContext, value: Symbolic): Tabled | undefined {
  const numbers = asIntegers(context, value);
  if (numbers === undefined || numbers.shape.length !== nodeShape(context.node).length) return undefined;
  return tabled(context.assembly, context.assembly.codes(repeatedCodes(context, numbers)));
}

function functionOfEach(context: RuleContext, { of }: FunctionOfEach): Tabled | undefined {
  const { assembly, node, inputs } = context;
  const shape = nodeShape(node);
  const tables: Tabled[] = [];
  const operands: (((values: readonly number[], channel: number) => number) | undefined)[] = [];
  let own: Pick<Tabled, "tables" | "axis"> = { tables: 1, axis: 1 };
  for (const value of inputs) {
    if (value?.kind === "constant") {
      const { axis, values: numbers } = channelNumbers(value, node) ?? {};
      if (numbers === undefined || (axis !== undefined && own.tables > 1 && own.axis !== axis)) return undefined;
      if (axis !== undefined) own = { tables: channelsOf(shape, axis), axis };
      operands.push((_, k) => numbers[numbers.length === 1 ? 0 : k] ?? 0);
    } else if (value === undefined) operands.push(undefined);
    else {
      const table = value.shape.join() === shape.join() ? tabled(assembly, value) : repeatedTable(context, value);
      if (table === undefined || (tables[0] ?? table).tensor !== table.tensor) return undefined;
      const index = tables.push(table) - 1;
      operands.push((values) => values[index] ?? 0);
    }
  }
  const made = combined(tables, own, node.name, (k, values) => of(...operands.map((operand) => operand?.(values, k))));
  return made === undefined ? undefined : withNumbers(made);
}
