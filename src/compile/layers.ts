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

/** Returns the layers of a graph, in its order; of one that is repeated over time its first node. */
export function layersOf(graph: Graph): Node[] {
  return withoutRepeats(graph.nodes.filter(isLayer));
}

/** Returns nodes in groups, in the order of the first of each: those that are one at several time steps together. */
export function groupedOverTime(nodes: readonly Node[]): readonly (readonly [Node, ...Node[]])[] {
  const groups: [Node, ...Node[]][] = [];
  const repeated = new Map<string, [Node, ...Node[]]>();
  for (const node of nodes) {
    const known = node.origin.step === undefined ? undefined : repeated.get(node.name);
    if (known !== undefined) known.push(node);
    else {
      const group: [Node, ...Node[]] = [node];
      groups.push(group);
      if (node.origin.step !== undefined) repeated.set(node.name, group);
    }
  }
  return groups;
}

/** Returns nodes without those that repeat an earlier one at another time step. */
export function withoutRepeats(nodes: readonly Node[]): Node[] {
  return groupedOverTime(nodes).map(([first]) => first);
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
