/** Values that hold nothing but zeros, as the initial states that exporters write: constants that nodes only move and repeat. */

import { traitsOf } from "../../compile/registry.ts";
import type { GraphBuilder, Node, Value } from "../../ir/graph.ts";
import { type Tensor, toNumbers } from "../../ir/tensor.ts";
import { isOperator } from "../../ops/definition.ts";
import { expandBatchOperator } from "../../ops/internal/expand-batch.ts";
import type { Slot } from "../../ops/rewrite/slots.ts";
import type { Emitter } from "../emitter.ts";

/** Whether every element of a slot is known to be 0, for any batch. */
export function isZero({ builder }: Emitter, slot: Slot): boolean {
  if (slot.kind === "constant") return holdsZeros(slot.tensor);
  return slot.kind === "value" && isZeroValue(builder, slot.value);
}

function holdsZeros(tensor: Tensor): boolean {
  return toNumbers(tensor).every((element) => element === 0);
}

function isZeroValue(builder: GraphBuilder, value: Value): boolean {
  const tensor = builder.constantOf(value);
  if (tensor !== undefined) return holdsZeros(tensor);
  const node = builder.producerOf(value);
  return node !== undefined && movedBy(node).length > 0 && movedBy(node).every((input) => isZeroValue(builder, input));
}

/** What a node moves or repeats elements of, and what it puts between them; none for a node that computes. */
function movedBy(node: Node): Value[] {
  if (isOperator(expandBatchOperator, node)) return node.inputs.slice(0, 1).filter((value) => value !== undefined);
  const { movement = false } = traitsOf(node);
  if (!(typeof movement === "boolean" ? movement : movement(node))) return [];
  return node.inputs.filter((value) => value?.type.dtype === "float32").filter((value) => value !== undefined);
}
