/**
 * Lowering: replaces the operators that have a lowering by what it builds, for a target. What is left is what the
 * engine executes. Sharing is done by the builder, which never adds the same node twice.
 */
import { GraphError } from "../errors.ts";
import { type Graph, type Node, showNode, type Value } from "../graph/graph.ts";
import { showType } from "../graph/types.ts";
import { builderFor, definitionOf, type LoweringContext, type OperatorRegistry, type Target } from "../ops/operator.ts";
import { copyNodes, mapped, type ValueMap } from "./copy.ts";

/** @throws GraphError when a lowering changes the type of a value. */
export function lowerGraph(graph: Graph, registry: OperatorRegistry, target: Target): Graph {
  const builder = builderFor(registry, graph.name);
  const map: ValueMap = new Map(graph.inputs.map((input) => [input, builder.input(input.name, input.type)]));
  copyNodes(graph, builder, map, (node, inputs) => {
    const { lower } = definitionOf(registry, node);
    if (lower === undefined) return undefined;
    const outputs = builder.scope(node.name, () => lower(makeContext(builder, node, inputs, target)));
    node.outputs.forEach((value, index) => {
      const output = outputs[index];
      if (output === undefined || showType(output.type) === showType(value.type)) return;
      throw new GraphError(
        `the ${target.name} lowering made ${showType(output.type)} of output ${index}, which is ${showType(value.type)}`,
        { where: showNode(node) },
      );
    });
    return outputs;
  });
  for (const output of graph.outputs) builder.output(output.name, mapped(map, output.value));
  return builder.finish();
}

function makeContext(
  builder: LoweringContext["builder"],
  node: Node,
  inputs: readonly (Value | undefined)[],
  target: Target,
): LoweringContext {
  return {
    builder,
    node,
    inputs,
    target,
    input: (index) => {
      const value = inputs[index];
      if (value === undefined) throw new GraphError(`input ${index} is missing`, { where: showNode(node) });
      return value;
    },
  };
}
