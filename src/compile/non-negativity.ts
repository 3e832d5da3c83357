/** Finds the values that hold no negative number: those after a ReLU, also when pooled or reshaped. */
import type { Graph, Node, Value } from "../ir/graph.ts";
import { toNumbers } from "../ir/tensor.ts";
import { traitsOf } from "./registry.ts";

/** The values of a graph that hold no negative number whatever its inputs are. */
export function nonNegativeValues(graph: Graph): Set<Value> {
  const known = new Set<Value>();
  for (const [value, tensor] of graph.constants) {
    if (tensor.dtype === "float32" && toNumbers(tensor).every((number) => number >= 0)) known.add(value);
  }
  for (const node of graph.nodes) {
    if (isNonNegative(graph, node, known)) for (const output of node.outputs) known.add(output);
  }
  return known;
}

function isNonNegative(graph: Graph, node: Node, known: ReadonlySet<Value>): boolean {
  const rule = traitsOf(node).nonNegative;
  const holds = (value: Value | undefined): boolean => value !== undefined && known.has(value);
  if (rule === undefined || rule === "always") return rule === "always";
  if (rule === "when-first-input") return holds(node.inputs[0]);
  if (rule === "when-all-inputs") return node.inputs.every(holds);
  const constant = (index: number) => {
    const value = node.inputs[index];
    return value === undefined ? undefined : graph.constants.get(value);
  };
  return rule({ node, isNonNegative: (index) => holds(node.inputs[index]), constant });
}
