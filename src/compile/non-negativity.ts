/** Which values are known to hold no negative number: those after a ReLU, and what pooling and shaping make of them. */
import type { Graph, Node, Value } from "../ir/graph.ts";
import { toNumbers } from "../ir/tensor.ts";

const alwaysNonNegative = new Set(["Relu", "Sigmoid", "HardSigmoid", "Softmax", "Exp", "Abs", "Sqrt"]);
const keepsSign = new Set([
  "MaxPool",
  "AveragePool",
  "GlobalAveragePool",
  "GlobalMaxPool",
  "Reshape",
  "Flatten",
  "Transpose",
  "Squeeze",
  "Unsqueeze",
  "Slice",
  "Split",
  "Gather",
  "Identity",
  "Dropout",
  "Expand",
  "FakeQuantize",
]);
const keepsSignOfAll = new Set(["Add", "Mul", "Concat", "Max"]);

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
  if (alwaysNonNegative.has(node.op)) return true;
  const holds = (value: Value | undefined): boolean => value !== undefined && known.has(value);
  if (keepsSign.has(node.op)) return holds(node.inputs[0]);
  if (keepsSignOfAll.has(node.op)) return node.inputs.every(holds);
  if (node.op === "Clip") {
    const low = node.inputs[1];
    const bound = low === undefined ? undefined : graph.constants.get(low);
    return (bound !== undefined && (toNumbers(bound)[0] ?? -1) >= 0) || holds(node.inputs[0]);
  }
  return false;
}
