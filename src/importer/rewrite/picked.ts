/** One index of values that were joined is a part of one of them: the last output of a recurrent layer needs none of the others. */

import { intAttribute } from "../../ir/attributes.ts";
import { type Dimensions, isSymbolic, sameSizes } from "../../ir/size.ts";
import { toNumbers } from "../../ir/tensor.ts";
import { isOperator } from "../../ops/definition.ts";
import { gatherOperator } from "../../ops/families/shape/indexing.ts";
import { reshapeOperator } from "../../ops/families/shape/reshaping.ts";
import { concatOperator } from "../../ops/families/shape/slicing.ts";
import { type Slot, type SourceNode, tensorOf, typeOf } from "../../ops/rewrite/slots.ts";
import type { Emitter } from "../emitter.ts";
import { reshapeTo } from "./batch-forms.ts";

/**
 * Returns one index of an axis of values that were joined; undefined where they were not, or where their sizes depend on the batch.
 *
 * @param index From 0.
 */
export function pickedFromJoin(e: Emitter, x: Slot, axis: number, index: number): Slot | undefined {
  const producer = x.kind === "value" ? e.builder.producerOf(x.value) : undefined;
  if (producer === undefined || !isOperator(concatOperator, producer)) return undefined;
  const parts = producer.inputs.flatMap((value) => (value === undefined ? [] : [e.slotOf(value)]));
  const given = intAttribute(producer, "axis");
  const joined = given < 0 ? given + typeOf(x).shape.length : given;
  if (joined !== axis) {
    const picked = parts.flatMap((part) => pickedFromJoin(e, part, axis, index) ?? []);
    return picked.length === parts.length
      ? e.one("Concat", picked, { axis: joined > axis ? joined - 1 : joined })
      : undefined;
  }
  let start = 0;
  for (const part of parts) {
    const size = typeOf(part).shape[axis];
    if (size === undefined || isSymbolic(size)) return undefined;
    if (index < start + size)
      return size === 1
        ? reshapedBack(e, part, typeOf(part).shape.toSpliced(axis, 1))
        : pickedFromJoin(e, part, axis, index - start);
    start += size;
  }
  return undefined;
}

/** x in another shape: what it was reshaped from, where that has the shape. */
export function reshapedBack(e: Emitter, x: Slot, shape: Dimensions): Slot {
  const producer = x.kind === "value" ? e.builder.producerOf(x.value) : undefined;
  const [source] = producer?.inputs ?? [];
  if (producer !== undefined && source !== undefined && isOperator(reshapeOperator, producer)) {
    const slot = e.slotOf(source);
    if (sameSizes(typeOf(slot).shape, shape)) return slot;
  }
  return reshapeTo(e, x, shape);
}

/** A Gather of one index as a part of what was joined. */
export function pickedPart(e: Emitter, node: SourceNode): readonly Slot[] | undefined {
  const [x, indices] = node.inputs;
  const index = tensorOf(indices);
  if (x === undefined || index === undefined || index.shape.length > 0 || !isOperator(gatherOperator, node))
    return undefined;
  const { axis = 0 } = node.attributes;
  if (typeof axis !== "number") return undefined;
  const { shape } = typeOf(x);
  const own = axis < 0 ? axis + shape.length : axis;
  const [given = 0] = toNumbers(index);
  const size = shape[own];
  if (size === undefined || isSymbolic(size)) return undefined;
  const picked = pickedFromJoin(e, x, own, given < 0 ? given + size : given);
  return picked === undefined ? undefined : [picked];
}
