/** Layers: the nodes that count as one, and the properties that follow from their position in the graph. */
import type { Graph, Node, Value } from "../ir/graph.ts";
import { findDefinition, isOperator } from "../ops/definition.ts";
import { batchNormalizationOperator } from "../ops/families/normalization.ts";
import type { OverrideTarget } from "../qconfig/overrides.ts";
import { operators, traitsOf } from "./registry.ts";

/** Whether a node's operator has weights: what is called a layer here. */
export function isLayer(node: Pick<Node, "op" | "domain">): boolean {
  return traitsOf(node).layer !== undefined;
}

/** Returns the layers of a graph, in its order. */
export function layersOf(graph: Graph): Node[] {
  return graph.nodes.filter(isLayer);
}

/** Returns the names of the operators that are layers. */
export function layerOperatorNames(): string[] {
  return [...operators.values()].filter(isLayer).map(({ op }) => op);
}

/** Returns the multiply-accumulates of a node, for its whole batch; 0 where its operator counts none. */
export function macsOf(node: Node): number {
  return findDefinition(operators, node)?.macs?.(node) ?? 0;
}

/** The operator name of the network's data input in overrides. */
export const inputOperator = "Input";

/** Returns the properties of a node that overrides match. */
export function overrideTargetOf(node: Node): OverrideTarget {
  return { name: node.name, operator: node.op };
}

/** Returns the input of a residual addition that is the skip branch: the one that does not end in the block's last layer. */
export function skipBranch(graph: Graph, node: Node): 0 | 1 {
  const [first, second] = node.inputs;
  const position = (value: Value | undefined): number =>
    graph.nodes.findIndex((candidate) => value !== undefined && candidate.outputs.includes(value));
  const madeByLayer = (value: Value | undefined): boolean => {
    const producer = graph.nodes[position(value)];
    return producer !== undefined && (isLayer(producer) || isOperator(batchNormalizationOperator, producer));
  };
  if (madeByLayer(first) !== madeByLayer(second)) return madeByLayer(first) ? 1 : 0;
  return position(first) > position(second) ? 1 : 0;
}
