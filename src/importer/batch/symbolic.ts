/**
 * Exact arithmetic on integers that depend on the batch, by the rules that operators have for it. What is not decided for
 * every batch at once is left to the computation of each.
 */

import { inferTypes, operators } from "../../compile/registry.ts";
import { type Attributes, onnxDomain } from "../../ir/graph.ts";
import { type Dimension, numbersIn } from "../../ir/size.ts";
import { int64Tensor, type Tensor, toNumbers } from "../../ir/tensor.ts";
import { type DType, elementCount } from "../../ir/types.ts";
import { broadcastIndex } from "../../ops/build/fold/data.ts";
import { allKnown, type SymbolicElement, type SymbolicTensor } from "../../ops/build/fold/symbolic.ts";
import { findDefinition } from "../../ops/definition.ts";
import { evaluateNode } from "../../ops/evaluate.ts";
import type { BatchSlot, ConstantSlot } from "../../ops/rewrite/slots.ts";

type Known = ConstantSlot | BatchSlot;

interface Call {
  readonly op: string;
  readonly name: string;
  readonly attributes: Attributes;
  readonly inputs: readonly (Known | undefined)[];
  readonly outputCount: number | undefined;
}

/** Shapes and masks of shapes are no larger. */
const mostElements = 4096;

/** The elements of a slot, where each of them is a whole number or a polynomial in the batch. */
export function symbolicOf(slot: Known | undefined): SymbolicTensor | undefined {
  if (slot === undefined) return undefined;
  if (slot.kind === "constant") {
    const { dtype, shape } = slot.tensor;
    const isWhole = dtype === "int64" || dtype === "int32" || dtype === "bool";
    return isWhole && elementCount(shape) <= mostElements
      ? { dtype, shape, elements: toNumbers(slot.tensor) }
      : undefined;
  }
  const shape = numbersIn(slot.type.shape);
  return "elements" in slot.source && shape !== undefined
    ? { dtype: slot.type.dtype, shape, elements: slot.source.elements }
    : undefined;
}

/** The outputs of a node where they are the same polynomials for every batch; undefined where that is not known. */
export function symbolicResults(call: Call): readonly SymbolicTensor[] | undefined {
  const rule = findDefinition(operators, { op: call.op, domain: onnxDomain })?.symbolic;
  if (rule === undefined) return undefined;
  if (rule.kind === "arranges") return arranged(call, rule.from);
  const tensors = call.inputs.map(symbolicOf);
  const operands = tensors.filter((tensor) => tensor !== undefined);
  if (operands.length !== tensors.length) return undefined;
  const result =
    rule.kind === "value" ? rule.compute(operands, call.attributes) : elementwise(call, rule.compute, operands);
  return result === undefined ? undefined : [result];
}

/** Arranges the places of the elements, as the operator does with constants, and then the elements by their places. */
function arranged(call: Call, from: "first" | "all"): SymbolicTensor[] | undefined {
  const pool: Dimension[] = [];
  const types: DType[] = [];
  const inputs: (Tensor | undefined)[] = [];
  for (const [i, slot] of call.inputs.entries()) {
    if (slot === undefined || (from === "first" && i > 0)) {
      if (slot?.kind === "batch") return undefined;
      inputs.push(slot?.tensor);
      continue;
    }
    const tensor = symbolicOf(slot);
    if (tensor === undefined) return undefined;
    const start = pool.length;
    pool.push(...tensor.elements);
    types.push(tensor.dtype);
    inputs.push(
      int64Tensor(
        Array.from(tensor.elements, (_, place) => start + place),
        tensor.shape,
      ),
    );
  }
  const [dtype] = types;
  if (dtype === undefined) return undefined;
  const { op, name, attributes, outputCount } = call;
  const results = evaluateNode(operators, { op, domain: onnxDomain, name, attributes, outputCount }, inputs);
  if (results === undefined || results.some(({ shape }) => elementCount(shape) > mostElements)) return undefined;
  return results.map((places) => ({
    dtype,
    shape: places.shape,
    elements: toNumbers(places).map((place) => pool[place] ?? 0),
  }));
}

function elementwise(
  { op }: Call,
  compute: SymbolicElement,
  operands: readonly SymbolicTensor[],
): SymbolicTensor | undefined {
  if (operands.length === 0) return undefined;
  const [type] = inferTypes({
    op,
    domain: onnxDomain,
    name: op,
    inputs: operands.map(({ dtype, shape }) => ({ dtype, shape })),
    constants: operands.map(() => undefined),
    attributes: {},
    outputCount: 1,
  });
  if (type === undefined || elementCount(type.shape) > mostElements) return undefined;
  const at = operands.map(({ shape }) => broadcastIndex(shape, type.shape));
  const elements = allKnown(
    Array.from({ length: elementCount(type.shape) }, (_, i) =>
      compute(operands.map((operand, j) => operand.elements[at[j]?.(i) ?? 0] ?? 0)),
    ),
  );
  return elements && { dtype: type.dtype, shape: type.shape, elements };
}
