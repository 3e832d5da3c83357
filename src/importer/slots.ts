/** What the name of a value in a file stands for while the file is imported. */

import type { Attributes, Value } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { TensorType } from "../ir/types.ts";

/** A tensor that is known; it becomes a constant or a parameter when a node that stays reads it. */
export interface ConstantSlot {
  readonly kind: "constant";
  readonly tensor: Tensor;
  readonly name: string;
  /** Whether its elements were stored in the file, perhaps in another order: only those can be trained weights. */
  readonly stored: boolean;
}

export interface ValueSlot {
  readonly kind: "value";
  readonly value: Value;
}

export type Slot = ConstantSlot | ValueSlot;

/** A node of the file as translations see it: attributes are plain, inputs are slots. */
export interface SourceNode {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  /** File and node, for errors. */
  readonly where: string;
  readonly attributes: Attributes;
  readonly inputs: readonly (Slot | undefined)[];
  /** Number of outputs that the node names, those left out in the middle included. */
  readonly outputCount: number;
  /** The version of the node's operator domain. */
  readonly opset: number;
}

/** The type of what a slot stands for. */
export function typeOf(slot: Slot): TensorType {
  return slot.kind === "constant" ? slot.tensor : slot.value.type;
}

/** The tensor of a slot that is known. */
export function tensorOf(slot: Slot | undefined): Tensor | undefined {
  return slot?.kind === "constant" ? slot.tensor : undefined;
}
