/** Copying a graph into a builder, node by node, with a say in how each node is copied. */
import { GraphError } from "../../errors.ts";
import { type Graph, type GraphBuilder, type Node, showNode, type Value } from "../../ir/graph.ts";

/** Values of the old graph → values of the new one. */
export type ValueMap = Map<Value, Value>;

/**
 * Returns the values that stand for the outputs of a node, or undefined to copy the node as it is.
 * `inputs` are the node's inputs in the new graph.
 */
export type NodeRule = (
  node: Node,
  inputs: readonly (Value | undefined)[],
) => readonly (Value | undefined)[] | undefined;

/**
 * Copies the constants and nodes of `graph` into `builder`. `map` must hold the graph's inputs already. What a rule adds
 * has the origin of the node that it stands for.
 *
 * @throws GraphError when a node reads a value that nothing made.
 */
export function copyNodes(graph: Graph, builder: GraphBuilder, map: ValueMap, rule: NodeRule = () => undefined): void {
  for (const [value, tensor] of graph.constants) {
    if (!map.has(value)) map.set(value, builder.constant(tensor, value.name));
  }
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((value) => (value === undefined ? undefined : mapped(map, value, node)));
    const outputs = builder.from(node, () => rule(node, inputs)) ?? copyNode(builder, node, inputs);
    node.outputs.forEach((value, index) => {
      const output = outputs[index];
      if (output !== undefined) map.set(value, output);
    });
  }
}

/** Adds the same node with other inputs. */
export function copyNode(builder: GraphBuilder, node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] {
  const { op, domain, name, attributes } = node;
  const outputNames = node.outputs.map((value) => value.name);
  return builder.from(node, () =>
    builder.node(op, inputs, attributes, { domain, name, outputNames, outputCount: outputNames.length }),
  );
}

/** The new value of an old one. @throws GraphError when there is none. */
export function mapped(map: ReadonlyMap<Value, Value>, value: Value, consumer?: Node): Value {
  const result = map.get(value);
  if (result === undefined) {
    throw new GraphError(`nothing makes "${value.name}"`, consumer === undefined ? {} : { where: showNode(consumer) });
  }
  return result;
}
