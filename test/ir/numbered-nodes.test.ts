/** Nodes named by numbers: everything but the names stays, inside subgraphs too. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { withNumberedNodes } from "../../src/ir/numbered-nodes.ts";
import { writtenNames } from "../../src/onnx/write/write.ts";
import { anyGraph, difference } from "../support/graphs/random.ts";

it("gives every node, also of subgraphs, a name that its file keeps, and changes nothing else", () => {
  let subgraphs = 0;
  fc.assert(
    fc.property(anyGraph(), (graph) => {
      const numbered = withNumberedNodes(graph);
      const names = [...writtenNames(numbered)];
      expect(names.map(([, written]) => written).sort()).toEqual(names.map((_, i) => `node${i}`).sort());
      expect(names.every(([node, written]) => node.name === written)).toBe(true);
      expect(names).toHaveLength(writtenNames(graph).size);
      subgraphs += names.length - graph.nodes.length;
      expect(difference(graph, numbered)).toBeUndefined();
      expect(numbered.nodes.map(({ origin }) => origin)).toEqual(graph.nodes.map(({ origin }) => origin));
    }),
  );
  expect(subgraphs).toBeGreaterThan(0);
});
