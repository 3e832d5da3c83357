/**
 * The context of a rule that rewrites a file's nodes: an importer, as far as an operator's definition needs to know of one.
 */

import { GraphError } from "../../errors.ts";
import type { Attribute, Attributes } from "../../ir/graph.ts";
import { type Dimensions, numbersIn, showSize } from "../../ir/size.ts";
import { int64Tensor, type Tensor } from "../../ir/tensor.ts";
import type { ConstantSlot, Slot, SourceNode } from "./slots.ts";

/** The place of a node in a layer that is written out over time. */
export interface RepeatedPlace {
  /** The purpose of the node within the layer; nodes of one purpose share a name. */
  readonly part: string;
  /** The time step. */
  readonly step: number;
}

/** Makes what stands for values while a file is read. Operators are those of the standard domain, in their present form. */
export interface RewriteContext {
  /** A tensor that is known. @param stored Whether the file stores it, so that a layer that reads it may train it; default false. */
  constant(tensor: Tensor, name?: string, stored?: boolean): ConstantSlot;
  /** Integers, some of which depend on the batch: the sizes of a shape. Default shape: a list. */
  integers(elements: Dimensions, shape?: readonly number[]): Slot;
  /** The integers of a slot, where they are known for every batch. */
  integersOf(slot: Slot | undefined): Dimensions | undefined;
  /** The outputs of an operator. @throws GraphError when the inputs do not fit it. */
  emit(
    op: string,
    inputs: readonly (Slot | undefined)[],
    attributes?: Attributes,
    options?: { readonly outputCount?: number },
  ): readonly Slot[];
  /** The only output of an operator. @throws GraphError when the inputs do not fit it. */
  one(op: string, inputs: readonly (Slot | undefined)[], attributes?: Attributes): Slot;
  /** x in another shape, for any batch. */
  reshape(x: Slot, shape: Dimensions): Slot;
  /** x broadcast to a shape, for any batch. */
  expand(x: Slot, shape: Dimensions): Slot;
  /** x with its axes in another order; x's own source where that undoes what a node before it did. */
  transpose(x: Slot, order: readonly number[]): Slot;
  /** Whether every element is known to be 0, for any batch. */
  isZero(x: Slot): boolean;
  /** The outputs of an operator at one time step of a layer. @throws GraphError when the inputs do not fit it. */
  repeated(
    place: RepeatedPlace,
    op: string,
    inputs: readonly (Slot | undefined)[],
    attributes?: Attributes,
    outputCount?: number,
  ): readonly Slot[];
  /** Tells the user something, once. */
  note(text: string): void;
}

/** Returns another node in place of one, or the slots that stand for its outputs. */
export type Rewrite = (e: RewriteContext, node: SourceNode) => SourceNode | readonly (Slot | undefined)[];

/** Returns the slots that stand for a node's outputs. */
export type Decomposition = (e: RewriteContext, node: SourceNode) => readonly (Slot | undefined)[];

/** Returns the slots that stand for a node's outputs without a node; undefined where the node is needed. */
export type Simplification = (e: RewriteContext, node: SourceNode) => readonly Slot[] | undefined;

/** The rewrites of an operator's nodes into their present form (opset 21). */
export interface Upgrade {
  /** Nodes of versions before this one are rewritten. Absent: nodes of every version. */
  readonly before?: number;
  readonly rewrite: Rewrite;
}

/** A part of the network is another one for other batches, so the network is for one size only. */
export class BatchDependence extends GraphError {}

/** Sizes that must not depend on the batch, as numbers. @throws BatchDependence naming the node. */
export function fixedSizes(node: Pick<SourceNode, "where" | "op">, sizes: Dimensions): number[] {
  const numbers = numbersIn(sizes);
  if (numbers !== undefined) return numbers;
  throw new BatchDependence(`${node.op} needs sizes that do not depend on the batch, not [${showSizes(sizes)}]`, {
    where: node.where,
  });
}

/** `batch,4`, as errors show sizes. */
export function showSizes(sizes: Dimensions): string {
  return sizes.map((size) => showSize(size)).join(",");
}

/** A constant list of integers. */
export function int64Slot(e: Pick<RewriteContext, "constant">, values: readonly number[]): Slot {
  return e.constant(int64Tensor(values));
}

/** The number of a float attribute. */
export function floatOf(attribute: Attribute | undefined): number | undefined {
  return typeof attribute === "object" && "float" in attribute ? attribute.float : undefined;
}

/** The node's attributes without some. */
export function without(attributes: Attributes, ...names: readonly string[]): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !names.includes(name)));
}
