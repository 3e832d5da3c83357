/** Tensors that count 0, 1, 2, … for every batch: what exporters write where elements are taken in their order. */

import { operators } from "../../compile/registry.ts";
import { onnxDomain } from "../../ir/graph.ts";
import { type Dimension, productOf, sameSize, sampledBatches } from "../../ir/size.ts";
import { type Tensor, toNumbers } from "../../ir/tensor.ts";
import { keepsPolynomials } from "../../ops/build/fold/symbolic.ts";
import { findDefinition } from "../../ops/definition.ts";
import { rangeOperator } from "../../ops/families/shape/indexing.ts";
import { type BatchCall, type BatchSlot, type ConstantSlot, typeOf } from "../../ops/rewrite/slots.ts";
import { tensorAt } from "./computation.ts";

/** Polynomials of a lower degree that agree at this many batches are the same. */
const fewestBatches = 5;

/** Returns whether a tensor holds 0, 1, 2, … up to a size, each once and in order, for every batch. */
export function countsTo(slot: ConstantSlot | BatchSlot, size: Dimension): boolean {
  if (!sameSize(productOf(typeOf(slot).shape), size)) return false;
  if (slot.kind === "constant") return counts(slot.tensor);
  if (!isPolynomial(slot)) return false;
  const known = sampledBatches.map((batch) => tensorAt(slot, batch)).filter((tensor) => tensor !== undefined);
  return known.length >= fewestBatches && known.every(counts);
}

function counts(tensor: Tensor): boolean {
  return tensor.dtype.startsWith("int") && toNumbers(tensor).every((number, place) => number === place);
}

/** Whether each element is one polynomial in its place and the batch: then a few batches show what it is for all. */
function isPolynomial(slot: ConstantSlot | BatchSlot): boolean {
  if (slot.kind === "constant" || "elements" in slot.source) return true;
  const { call } = slot.source;
  const definition = findDefinition(operators, { op: call.op, domain: onnxDomain });
  if (definition === rangeOperator) return read(call).every(isPolynomial);
  const { symbolic } = definition ?? {};
  const [first, ...others] = read(call);
  if (first === undefined || !keepsPolynomials(symbolic)) return false;
  const areKnown = symbolic?.kind !== "arranges" || symbolic.from === "all" || others.every(isConstant);
  return areKnown && [first, ...others].every(isPolynomial);
}

function isConstant({ kind }: ConstantSlot | BatchSlot): boolean {
  return kind === "constant";
}

function read({ inputs }: BatchCall): (ConstantSlot | BatchSlot)[] {
  return inputs.filter((input) => input !== undefined);
}
