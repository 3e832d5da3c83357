/**
 * Evaluates nodes whose inputs are all constants: what exporters leave behind when they write shapes as arithmetic.
 *
 * An operator's definition holds its value on constants; here is what is worth computing.
 */

import type { Tensor } from "../ir/tensor.ts";
import { elementCount } from "../ir/types.ts";
import type { FoldCall, FoldRule } from "../ops/build/fold/data.ts";

const computedLimit = 1 << 20;
const copiedLimit = 1 << 28;

/** The outputs of a node of constants, or undefined where it has to stay a node. */
export function foldNode(rule: FoldRule, call: FoldCall): readonly Tensor[] | undefined {
  const limit = rule.copies === true ? copiedLimit : computedLimit;
  const sizes = [...call.types, ...call.inputs.filter((tensor) => tensor !== undefined)];
  if (sizes.some(({ shape }) => !(elementCount(shape) <= limit))) return undefined;
  return rule.compute(call);
}
