/** Copying a graph: what no rule touches stays as it is, what a rule gives stands for the old values. */
import { describe, expect, it } from "vitest";
import { copyNode, copyNodes, mapped, type NodeRule, type ValueMap } from "../../../src/compile/passes/copy.ts";
import { newBuilder } from "../../../src/compile/registry.ts";
import { GraphError } from "../../../src/errors.ts";
import { type Graph, makeValue } from "../../../src/ir/graph.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { expectSameNumbers } from "../../support/graphs/same-numbers.ts";

function smallGraph(): Graph {
  const builder = newBuilder("small");
  const x = builder.input("x", { dtype: "float32", shape: [2, 3] });
  const doubled = builder.one("Mul", [x, builder.scalar(2)], {}, { name: "double" });
  builder.output("y", builder.one("Relu", [doubled], {}, { name: "relu" }));
  builder.output("z", builder.one("Add", [doubled, x], {}, { name: "sum" }));
  return builder.finish();
}

function copied(graph: Graph, rule?: (builder: ReturnType<typeof newBuilder>) => NodeRule): Graph {
  const builder = newBuilder(graph.name);
  const map: ValueMap = new Map(graph.inputs.map((input) => [input, builder.input(input.name, input.type)]));
  copyNodes(graph, builder, map, rule?.(builder));
  for (const { name, value } of graph.outputs) builder.output(name, mapped(map, value));
  return builder.finish();
}

describe("a copied graph", () => {
  it("prints as the graph, and computes its numbers", async () => {
    const graph = smallGraph();
    expect(printGraph(copied(graph))).toBe(printGraph(graph));
    await expectSameNumbers(graph, copied(graph), 3);
  });

  it("has what the rule gives in place of a node", async () => {
    const graph = smallGraph();
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "graph "small"
        input %x: float32[2,3]
        %0: float32[2,3] = Mul(%x, 2.0)  // double
        %1: float32[2,3] = Relu(%0)  // relu
        %2: float32[2,3] = Add(%0, %x)  // sum
        output y = %1
        output z = %2"
    `);
    const changed = copied(
      graph,
      (builder) =>
        (node, [x]) =>
          node.op === "Mul" ? [builder.one("Add", [x, x], {}, { name: "twice" })] : undefined,
    );
    expect(printGraph(changed)).toMatchInlineSnapshot(`
      "graph "small"
        input %x: float32[2,3]
        %0: float32[2,3] = Add(%x, %x)  // twice
        %1: float32[2,3] = Relu(%0)  // relu
        %2: float32[2,3] = Add(%0, %x)  // sum
        output y = %1
        output z = %2"
    `);
    await expectSameNumbers(graph, changed, 3);
  });

  it("can give a node other inputs", () => {
    const changed = copied(
      smallGraph(),
      (builder) =>
        (node, [first]) =>
          node.op === "Add" ? copyNode(builder, node, [first, first]) : undefined,
    );
    expect(printGraph(changed)).toMatchInlineSnapshot(`
      "graph "small"
        input %x: float32[2,3]
        %0: float32[2,3] = Mul(%x, 2.0)  // double
        %1: float32[2,3] = Relu(%0)  // relu
        %2: float32[2,3] = Add(%0, %0)  // sum
        output y = %1
        output z = %2"
    `);
  });

  it("refuses a value that nothing made", () => {
    expect(() => mapped(new Map(), makeValue("lost", { dtype: "float32", shape: [] }))).toThrow(
      new GraphError('nothing makes "lost"'),
    );
  });
});
