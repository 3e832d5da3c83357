/** What counts as a layer, and what is known of one from its place in the graph. */
import type { Graph, Node, Value } from "../ir/graph.ts";
import type { OverrideTarget } from "../qconfig/overrides.ts";

/** The operators that have weights: what is called a layer here. */
export const layerOperators = new Set(["Conv", "Gemm", "MatMul", "ConvTranspose"]);
/** The modules after which torch's eager mode observes. */
export const moduleOperators = new Set([...layerOperators, "BatchNormalization", "Relu", "Add"]);

/** The operators that add up what they read, which therefore has to be codes: see `residualBits`. */
export const averageOperators = new Set(["AveragePool", "GlobalAveragePool"]);

/** What overrides call the operator of the network's data input. */
export const inputOperator = "Input";

/** What overrides know of a node. */
export function targetOf(node: Node): OverrideTarget {
  return { name: node.name, operator: node.op };
}

/** The axis of a layer's weight that counts its output channels. */
export function outputAxis(layer: Node): number {
  if (layer.op === "Conv") return 0;
  if (layer.op === "Gemm") return layer.attributes.transB === 1 ? 0 : 1;
  return 1;
}

/** Which input of a residual addition is the skip branch: the one that does not end in this block's last layer. */
export function skipBranch(graph: Graph, node: Node): 0 | 1 {
  const [first, second] = node.inputs;
  const position = (value: Value | undefined): number =>
    graph.nodes.findIndex((candidate) => value !== undefined && candidate.outputs.includes(value));
  const madeByLayer = (value: Value | undefined): boolean => {
    const producer = graph.nodes[position(value)];
    return producer !== undefined && (layerOperators.has(producer.op) || producer.op === "BatchNormalization");
  };
  if (madeByLayer(first) !== madeByLayer(second)) return madeByLayer(first) ? 1 : 0;
  return position(first) > position(second) ? 1 : 0;
}
