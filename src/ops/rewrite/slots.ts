/** Slots: the meaning of a value's name in a file while the file is imported. */

import type { Attributes, Value } from "../../ir/graph.ts";
import { type Dimensions, shapeAt } from "../../ir/size.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { DType, TensorType } from "../../ir/types.ts";

/** An element type, and a shape whose sizes may depend on the batch. */
export interface SlotType {
  readonly dtype: DType;
  readonly shape: Dimensions;
}

/** A tensor that is known; it becomes a constant or a parameter when a node that stays reads it. */
export interface ConstantSlot {
  readonly kind: "constant";
  readonly tensor: Tensor;
  readonly name: string;
  /** Whether its elements were stored in the file, perhaps in another order: only those can be trained weights. */
  readonly stored: boolean;
  /** Whether the file uses it both as it is and in another order, as one weight. */
  readonly tied?: boolean;
}

/** A tensor that is known once the size of the batch is: what a file computes of the shapes of its inputs. */
export interface BatchSlot {
  readonly kind: "batch";
  readonly type: SlotType;
  readonly source: BatchElements | BatchResult;
}

/** Integers, each of them a polynomial in the batch. */
export interface BatchElements {
  readonly elements: Dimensions;
}

/** An output of an operator that reads tensors which are known once the batch is. */
export interface BatchResult {
  readonly call: BatchCall;
  readonly output: number;
}

/** A node whose inputs may depend on the batch size. */
export interface BatchCall {
  readonly op: string;
  readonly name: string;
  readonly attributes: Attributes;
  readonly inputs: readonly (ConstantSlot | BatchSlot | undefined)[];
  readonly types: readonly SlotType[];
}

/** A value that a node computes. */
export interface ValueSlot {
  readonly kind: "value";
  readonly value: Value;
  readonly type: SlotType;
}

/** The meaning of a name of the file while it is read. */
export type Slot = ConstantSlot | BatchSlot | ValueSlot;

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
export function typeOf(slot: Slot): SlotType {
  return slot.kind === "constant" ? slot.tensor : slot.type;
}

/** A type for one size of the batch. */
export function typeAt({ dtype, shape }: SlotType, batch: number): TensorType {
  return { dtype, shape: shapeAt(shape, batch) };
}

/** The tensor of a slot that is known. */
export function tensorOf(slot: Slot | undefined): Tensor | undefined {
  return slot?.kind === "constant" ? slot.tensor : undefined;
}
