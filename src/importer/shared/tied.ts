/**
 * Finds stored tensors that a file uses in two orders, as it is and transposed or reshaped: one weight, as that of an embedding
 * and of the layer that gives the scores. The copy stays a node then, so that training changes both.
 */

import { operators } from "../../compile/registry.ts";
import { onnxDomain } from "../../ir/graph.ts";
import type { FileBody } from "../../onnx/read/file.ts";
import { findDefinition } from "../../ops/definition.ts";
import { canBeParameter } from "../parameters.ts";

/** Returns the names of the constants that are read by a layer and copied in another order too. */
export function tiedConstants({ constants, nodes }: FileBody): ReadonlySet<string> {
  const read = new Set<string>();
  const copied = new Set<string>();
  for (const node of nodes) {
    const call = { op: node.op, domain: node.domain || onnxDomain };
    const copies = findDefinition(operators, call)?.fold?.copies === true;
    node.inputs.forEach((name, index) => {
      if (constants.get(name)?.shape.length !== 2) return;
      if (copies) copied.add(name);
      else if (canBeParameter(call, index)) read.add(name);
    });
  }
  return new Set([...copied].filter((name) => read.has(name)));
}
