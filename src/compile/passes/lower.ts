/**
 * Lowering: replaces the operators that have a lowering by what it builds, for a target. What is left is what the
 * engine executes. Sharing is done by the builder, which never adds the same node twice.
 *
 * There are two rounds: the first gives every operator its meaning, the second (`arrange`) the form that suits how the
 * engine keeps the tensors, which are blocked from the first convolution on.
 */
import { GraphError } from "../../errors.ts";
import { consumers, type Graph, type Node, showNode, type Value } from "../../ir/graph.ts";
import { showType } from "../../ir/types.ts";
import { arrangeScalarOperand } from "../../ops/build/scalar-operands.ts";
import { arrangeBlocked } from "../../ops/cpu/blocked-standard.ts";
import {
  builderFor,
  definitionOf,
  type LoweringContext,
  type OperatorRegistry,
  type Target,
} from "../../ops/definition.ts";
import { copyNodes, mapped, type ValueMap } from "./copy.ts";
import { shortenDots } from "./dot-products.ts";
import { joinMasks } from "./join-masks.ts";

/** @throws GraphError when a lowering changes the type of a value. */
export function lowerGraph(graph: Graph, registry: OperatorRegistry, target: Target): Graph {
  const lowered = rewrite(graph, registry, target, (context) => definitionOf(registry, context.node).lower?.(context));
  return rewrite(joinMasks(shortenDots(lowered)), registry, target, (context) => {
    const { arrange, blocked } = definitionOf(registry, context.node);
    return arrange === undefined
      ? (arrangeBlocked(context, blocked) ?? arrangeScalarOperand(context))
      : arrange(context);
  });
}

/** Returns the replacement of a node; undefined: it stays. */
type Rule = (context: LoweringContext) => readonly (Value | undefined)[] | undefined;

function rewrite(graph: Graph, registry: OperatorRegistry, target: Target, rule: Rule): Graph {
  const builder = builderFor(registry, graph.name);
  const map: ValueMap = new Map(graph.inputs.map((input) => [input, builder.input(input.name, input.type)]));
  const uses = countUses(graph);
  copyNodes(graph, builder, map, (node, inputs) => {
    const context = makeContext(builder, node, inputs, target, uses);
    const outputs = builder.from({ origin: node.origin, source: node.source ?? node }, () =>
      builder.scope(node.name, () => rule(context)),
    );
    node.outputs.forEach((value, index) => {
      const output = outputs?.[index];
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

/** Counts the consumers of each value, graph outputs among them. */
function countUses(graph: Graph): ReadonlyMap<Value, number> {
  const counts = new Map([...consumers(graph)].map(([value, nodes]) => [value, nodes.length]));
  for (const { value } of graph.outputs) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function makeContext(
  builder: LoweringContext["builder"],
  node: Node,
  inputs: readonly (Value | undefined)[],
  target: Target,
  uses: ReadonlyMap<Value, number>,
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
    isOnlyConsumer: (index) => {
      const value = node.inputs[index];
      return value !== undefined && uses.get(value) === 1;
    },
  };
}
