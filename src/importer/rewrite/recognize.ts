/** Puts single operators in place of the arithmetic that exporters wrote for them. */

import { copyNodes, mapped, type ValueMap } from "../../compile/passes/copy.ts";
import { newBuilder } from "../../compile/registry.ts";
import type { Graph, GraphBuilder, Value } from "../../ir/graph.ts";
import { elementCount } from "../../ir/types.ts";
import { reshape } from "../../ops/families/shape/shape-ops.ts";
import { activationPatterns } from "../patterns/activations.ts";
import { Matcher, type Pattern } from "../patterns/match.ts";
import { normalizationPatterns } from "../patterns/normalization.ts";

const patterns: readonly Pattern[] = [...activationPatterns, ...normalizationPatterns];

/** Operators whose scale and offset are vectors. */
const vectorOperators = new Set(["GroupNormalization"]);

/** The graph with the patterns replaced. */
export function recognise(graph: Graph): Graph {
  const matcher = new Matcher(graph);
  const builder = newBuilder(graph.name);
  const map: ValueMap = new Map(graph.inputs.map((input) => [input, builder.input(input.name, input.type)]));
  copyNodes(graph, builder, map, (node) => {
    if (node.outputs.length !== 1) return undefined;
    for (const pattern of patterns) {
      const replacement = pattern(matcher, node);
      if (replacement === undefined) continue;
      const { op, attributes } = replacement;
      const inputs = replacement.inputs.map((value, i) => {
        const input = mapped(map, value, node);
        return vectorOperators.has(op) && i > 0 ? asVector(builder, input) : input;
      });
      return builder.node(op, inputs, attributes, {
        name: node.name,
        outputNames: node.outputs.map(({ name }) => name),
      });
    }
    return undefined;
  });
  for (const output of graph.outputs) builder.output(output.name, mapped(map, output.value));
  return builder.finish();
}

function asVector(builder: GraphBuilder, value: Value): Value {
  return reshape(builder, value, [elementCount(value.type.shape)]);
}
