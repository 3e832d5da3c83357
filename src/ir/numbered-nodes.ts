/** Names without characters of people's, for tools that write names into a text and escape nothing. */
import type { Attribute, Graph, Node } from "./graph.ts";

/** Returns the graph with its nodes named node0, node1 and so on, those of subgraphs before the node that holds them. */
export function withNumberedNodes(graph: Graph): Graph {
  let count = 0;
  const numberedAttribute = (attribute: Attribute): Attribute =>
    typeof attribute === "object" && "graph" in attribute ? { graph: numbered(attribute.graph) } : attribute;
  const numberedNode = (node: Node): Node => {
    const attributes = Object.fromEntries(
      Object.entries(node.attributes).map(([key, attribute]) => [key, numberedAttribute(attribute)]),
    );
    return { ...node, attributes, name: `node${count++}` };
  };
  const numbered = (part: Graph): Graph => ({ ...part, nodes: part.nodes.map(numberedNode) });
  return numbered(graph);
}
