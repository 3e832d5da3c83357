/**
 * Exact arithmetic on integers that depend on the batch, as files write shapes: `Equal(shape, -1)` is false for every batch,
 * `batch * 197 / 197` is the batch. What is not decided for every batch at once is left to the computation of each.
 */

import { evaluateNode } from "../../compile/evaluate.ts";
import { inferTypes, operators } from "../../compile/registry.ts";
import { type Attributes, onnxDomain } from "../../ir/graph.ts";
import {
  type Dimension,
  type Dimensions,
  isSymbolic,
  minus,
  numbersIn,
  plus,
  productOf,
  quotient,
  signOf,
  times,
} from "../../ir/size.ts";
import { int64Tensor, type Tensor, toNumbers } from "../../ir/tensor.ts";
import { type DType, elementCount, type Shape } from "../../ir/types.ts";
import { dtypeFromOnnx } from "../../onnx/wire/proto.ts";
import { broadcastIndex } from "../../ops/build/fold/data.ts";
import type { BatchSlot, ConstantSlot } from "../../ops/rewrite/slots.ts";

/** A tensor of integers or truth values, some of which depend on the batch. */
export interface SymbolicTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly elements: Dimensions;
}

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
  const dataInputs = arranging.get(call.op);
  if (dataInputs !== undefined) return arranged(call, dataInputs);
  const tensors = call.inputs.map(symbolicOf);
  const operands = tensors.filter((tensor) => tensor !== undefined);
  if (operands.length !== tensors.length) return undefined;
  const result =
    call.op === "Cast" ? cast(operands, call.attributes) : (reduced(call, operands) ?? elementwise(call, operands));
  return result === undefined ? undefined : [result];
}

/** Operators that arrange elements, and which of their inputs these come from. */
const arranging: ReadonlyMap<string, "first" | "all"> = new Map([
  ...["Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Expand", "Tile", "Gather", "Slice"].map(
    (op) => [op, "first"] as const,
  ),
  ["Split", "first"],
  ["Concat", "all"],
]);

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

function cast(operands: readonly SymbolicTensor[], { to }: Attributes): SymbolicTensor | undefined {
  const [tensor] = operands;
  const dtype = typeof to === "number" ? dtypeFromOnnx(to) : undefined;
  if (tensor === undefined || dtype === undefined) return undefined;
  if (dtype === "int64" || dtype === "int32") return { ...tensor, dtype };
  if (dtype !== "bool") return undefined;
  const elements = allOf(tensor.elements.map((element) => truth(differs(element, 0))));
  return elements && { dtype, shape: tensor.shape, elements };
}

/** A product or sum of all elements. */
function reduced({ op, attributes }: Call, operands: readonly SymbolicTensor[]): SymbolicTensor | undefined {
  const [tensor] = operands;
  const isAll = tensor !== undefined && tensor.shape.length === 1;
  if (!isAll || (op !== "ReduceProd" && op !== "ReduceSum")) return undefined;
  if (attributes.noop_with_empty_axes === 1 && (operands[1]?.elements.length ?? 0) === 0) return undefined;
  const total = op === "ReduceProd" ? productOf(tensor.elements) : tensor.elements.reduce<Dimension>(plus, 0);
  return { dtype: tensor.dtype, shape: attributes.keepdims === 0 ? [] : [1], elements: [total] };
}

type Rule = (operands: Dimensions) => Dimension | undefined;

function elementwise({ op }: Call, operands: readonly SymbolicTensor[]): SymbolicTensor | undefined {
  const rule = rules.get(op);
  const [first, second] = operands;
  if (rule === undefined || first === undefined) return undefined;
  const types = inferTypes({
    op,
    domain: onnxDomain,
    name: op,
    inputs: operands.map(({ dtype, shape }) => ({ dtype, shape })),
    constants: operands.map(() => undefined),
    attributes: {},
    outputCount: 1,
  });
  const [type] = types;
  if (type === undefined || elementCount(type.shape) > mostElements) return undefined;
  const at = operands.map(({ shape }) => broadcastIndex(shape, type.shape));
  const elements = allOf(
    Array.from({ length: elementCount(type.shape) }, (_, i) =>
      rule(operands.map((operand, j) => operand.elements[at[j]?.(i) ?? 0] ?? 0)),
    ),
  );
  const dtype = op === "Where" ? (second?.dtype ?? type.dtype) : type.dtype;
  return elements && { dtype, shape: type.shape, elements };
}

function allOf(elements: readonly (Dimension | undefined)[]): Dimensions | undefined {
  const known = elements.filter((element) => element !== undefined);
  return known.length === elements.length ? known : undefined;
}

function truth(value: boolean | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

/** Whether a is more than b for every batch; undefined where it depends on the batch. */
function exceeds(a: Dimension, b: Dimension): boolean | undefined {
  const sign = signOf(minus(a, b));
  if (sign === "positive") return true;
  return sign === "zero" || sign === "negative" || sign === "not positive" ? false : undefined;
}

function differs(a: Dimension, b: Dimension): boolean | undefined {
  const sign = signOf(minus(a, b));
  if (sign === "zero") return false;
  return sign === "positive" || sign === "negative" ? true : undefined;
}

function not(value: boolean | undefined): boolean | undefined {
  return value === undefined ? undefined : !value;
}

/** a where it is the larger for every batch, and so on. */
function largest(a: Dimension, b: Dimension): Dimension | undefined {
  if (exceeds(b, a) === false) return a;
  return exceeds(a, b) === false ? b : undefined;
}

function smallest(a: Dimension, b: Dimension): Dimension | undefined {
  if (exceeds(a, b) === false) return a;
  return exceeds(b, a) === false ? b : undefined;
}

function binary(rule: (a: Dimension, b: Dimension) => Dimension | undefined): Rule {
  return ([a = 0, b = 0]) => rule(a, b);
}

/** Several operands, two at a time. */
function joined(rule: (a: Dimension, b: Dimension) => Dimension | undefined): Rule {
  return ([first, ...others]) =>
    others.reduce<Dimension | undefined>((all, each) => (all === undefined ? undefined : rule(all, each)), first);
}

const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ["Add", binary(plus)],
  ["Sub", binary(minus)],
  ["Mul", binary(times)],
  [
    "Div",
    binary((a, b) => (isSymbolic(a) || isSymbolic(b) ? quotient(a, b) : b === 0 ? undefined : Math.trunc(a / b))),
  ],
  ["Sum", joined(plus)],
  ["Neg", ([a = 0]) => times(a, -1)],
  ["Max", joined(largest)],
  ["Min", joined(smallest)],
  ["Equal", binary((a, b) => truth(not(differs(a, b))))],
  ["Greater", binary((a, b) => truth(exceeds(a, b)))],
  ["Less", binary((a, b) => truth(exceeds(b, a)))],
  ["GreaterOrEqual", binary((a, b) => truth(not(exceeds(b, a))))],
  ["LessOrEqual", binary((a, b) => truth(not(exceeds(a, b))))],
  ["Not", ([a]) => (typeof a === "number" ? Number(a === 0) : undefined)],
  ["And", binary((a, b) => (a === 0 || b === 0 ? 0 : isSymbolic(a) || isSymbolic(b) ? undefined : 1))],
  ["Or", binary((a, b) => (isSymbolic(a) || isSymbolic(b) ? undefined : Number(a !== 0 || b !== 0)))],
  ["Where", ([condition, a, b]) => (typeof condition === "number" ? (condition === 0 ? b : a) : undefined)],
]);
