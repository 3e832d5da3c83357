/** Keeps the copies of stored tensors in another order: a module that is called twice has one weight. */

import type { Attributes } from "../../ir/graph.ts";
import { type Tensor, toNumbers } from "../../ir/tensor.ts";
import type { ConstantSlot, Slot } from "../../ops/rewrite/slots.ts";

/** Longer lists of integers are data rather than a shape or an order of axes. */
const longestList = 16;

/** A node that copies its first input in another order. */
export interface Copy {
  readonly op: string;
  readonly domain: string;
  readonly attributes: Attributes;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly outputCount: number | undefined;
}

/** The copies of each stored tensor, by the node that made them. */
export class Copies {
  readonly #made = new Map<ConstantSlot, Map<string, readonly Slot[]>>();

  /** Returns the copies that an equal node made, or those that `make` makes. */
  of(source: ConstantSlot, copy: Copy, make: () => readonly Slot[] | undefined): readonly Slot[] | undefined {
    const key = keyOf(copy);
    const known = this.#made.get(source) ?? new Map<string, readonly Slot[]>();
    this.#made.set(source, known);
    const slots = (key === undefined ? undefined : known.get(key)) ?? make();
    if (key !== undefined && slots !== undefined) known.set(key, slots);
    return slots;
  }
}

function keyOf({ op, domain, attributes, inputs: [, ...others], outputCount }: Copy): string | undefined {
  const isShort = (tensor: Tensor | undefined) =>
    tensor === undefined || (tensor.dtype === "int64" && tensor.data.length <= longestList);
  if (!others.every(isShort)) return undefined;
  return JSON.stringify([
    op,
    domain,
    attributes,
    outputCount,
    others.map((each) => each && [each.shape, toNumbers(each)]),
  ]);
}
