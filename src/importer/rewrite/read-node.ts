/** A file's node as the operators of today, by the record of its operator. */

import { UnsupportedError } from "../../errors.ts";
import { onnxDomain } from "../../ir/graph.ts";
import { elementCount } from "../../ir/types.ts";
import { readOpsets } from "../../onnx/read/opsets.ts";
import type { RewriteContext } from "../../ops/rewrite/context.ts";
import { type Slot, type SourceNode, tensorOf } from "../../ops/rewrite/slots.ts";
import { recordOf } from "../records.ts";

/** The version whose forms the records have. */
const writtenOpset = 21;

/** Functions of large constants stay nodes, so that their weights stay in training. */
const largeConstant = 1 << 24;

/** The node in the domain that its operator is known by, where the file writes it in another that means the same. */
export function inOwnDomain(node: SourceNode): SourceNode {
  const domain = recordOf(node)?.domain ?? node.domain;
  return domain === node.domain ? node : { ...node, domain, opset: writtenOpset };
}

/** Returns the replacements of a node's outputs where other nodes replace it; undefined for every other node. */
export function decompose(e: RewriteContext, node: SourceNode): readonly (Slot | undefined)[] | undefined {
  const decomposition = recordOf(node)?.decompose;
  if (decomposition === undefined) return undefined;
  const isConstant = node.inputs.length > 0 && node.inputs.every((slot) => tensorOf(slot) !== undefined);
  const isLarge = node.inputs.some((slot) => elementCount(tensorOf(slot)?.shape ?? []) > largeConstant);
  return isConstant && isLarge ? undefined : decomposition(e, node);
}

/** The node in its present form. @throws UnsupportedError for a form that is too old. */
export function upgrade(e: RewriteContext, source: SourceNode): SourceNode | readonly (Slot | undefined)[] {
  // Before the oldest version broadcasting was an attribute, with rules of its own.
  if (source.domain === onnxDomain && source.opset < readOpsets.from && source.attributes.broadcast !== undefined) {
    throw new UnsupportedError(`version ${source.opset} of ${source.op} has its own broadcasting rules`, {
      where: source.where,
      remedy: "Export the model with opset 9 or newer (17 is a good choice).",
    });
  }
  let node = source;
  for (const { before, rewrite } of recordOf(source)?.upgrades ?? []) {
    if (before !== undefined && node.opset >= before) continue;
    const result = rewrite(e, node);
    if (!("op" in result)) return result;
    if (result.op !== node.op) return upgrade(e, result);
    node = result;
  }
  return node;
}
