/**
 * Evaluates nodes whose inputs are all constants: what exporters leave behind when they write shapes as arithmetic.
 *
 * One entry for each operator; the types of the results come from the operators' own rules, so that an entry only
 * computes elements. An operator without an entry stays a node.
 */

import type { Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import type { Fold, FoldCall } from "./data.ts";
import { elementwiseFolds } from "./elementwise.ts";
import { layoutFolds } from "./layout.ts";
import { reductionFolds } from "./reduction.ts";

const folds: ReadonlyMap<string, Fold> = new Map([...elementwiseFolds, ...layoutFolds, ...reductionFolds]);

/** The operators of the standard domain that only move elements: they are worth doing to a weight of any size. */
const layoutOperators: ReadonlySet<string> = new Set([
  "Reshape",
  "Transpose",
  "Squeeze",
  "Unsqueeze",
  "Flatten",
  "Identity",
  "Concat",
  "Slice",
  "Split",
  "Cast",
]);

const computedLimit = 1 << 20;
const movedLimit = 1 << 28;

/** Whether the evaluator has an entry for an operator. */
export function canFold(op: string): boolean {
  return folds.has(op);
}

/** Whether an operator only arranges elements. */
export function isLayout(op: string): boolean {
  return layoutOperators.has(op);
}

/** The outputs of a node of constants, or undefined where it has to stay a node. */
export function foldNode(call: FoldCall): readonly Tensor[] | undefined {
  const fold = folds.get(call.op);
  if (fold === undefined) return undefined;
  const limit = isLayout(call.op) ? movedLimit : computedLimit;
  const sizes = [...call.types, ...call.inputs.filter((tensor) => tensor !== undefined)];
  if (sizes.some(({ shape }) => !(elementCount(shape) <= limit))) return undefined;
  return fold(call);
}
