import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newBuilder } from "../../../src/compile/registry.ts";
import { RuntimeError } from "../../../src/errors.ts";
import { withNumberedNodes } from "../../../src/ir/numbered-nodes.ts";
import { filled } from "../../../src/ir/tensor.ts";
import { writeOnnx } from "../../../src/onnx/write/write.ts";
import { parseProfile, profiled } from "../../../src/runtime/node/profile.ts";

describe("profiled", () => {
  it("tells the nodes of every run, by the names that they have in the graph", async () => {
    const builder = newBuilder("small");
    const type = { dtype: "float32", shape: [64, 64] } as const;
    const x = builder.input("x", type);
    const product = builder.scope("layer", () => builder.one("MatMul", [x, x]));
    builder.output("y", builder.one("Sin", [product]));
    const bytes = writeOnnx(builder.finish());
    const runs = await profiled({ threads: 1 }, async (engine) => {
      const session = await engine.createSession(bytes);
      for (let i = 0; i < 3; i++) await session.run({ x: filled([64, 64], 0.5) }, { y: filled([64, 64], 0) });
      await session.release();
    });
    expect(runs).toHaveLength(3);
    for (const { seconds, nodes } of runs) {
      expect(nodes.map(({ op }) => op)).toEqual(["MatMul", "Sin"]);
      expect(nodes[0]?.name).toMatch(/^layer\/MatMul_/);
      expect(nodes[0]?.bytes).toBe(3 * 64 * 64 * 4);
      expect(nodes.reduce((sum, node) => sum + node.seconds, 0)).toBeLessThanOrEqual(seconds);
    }
  });

  // ONNX Runtime writes names into its JSON as they are: a quote ends them, and "\\b" is read as another character.
  it("tells the nodes of a graph with numbered nodes apart, whatever their own names hold", async () => {
    const name = fc.string({
      minLength: 1,
      maxLength: 6,
      unit: fc.oneof(
        fc.constantFrom('"', "\\", "\u001b", "\n", "\t", "\u0000", "\u009b", '","name":"'),
        fc.constantFrom("a", "b", "u"),
      ),
    });
    const type = { dtype: "float32", shape: [4, 4] } as const;
    const property = fc.asyncProperty(name, name, async (first, second) => {
      const builder = newBuilder("hostile");
      const x = builder.input("x", type);
      const product = builder.one("MatMul", [x, x], {}, { name: first });
      builder.output("y", builder.one("Sin", [product], {}, { name: second }));
      const graph = withNumberedNodes(builder.finish());
      const runs = await profiled({ threads: 1 }, async (engine) => {
        const session = await engine.createSession(writeOnnx(graph));
        await session.run({ x: filled([4, 4], 0.5) }, { y: filled([4, 4], 0) });
        await session.release();
      });
      const named = runs.map(({ nodes }) => nodes.map((node) => node.name));
      expect(named).toEqual([graph.nodes.map((node) => node.name)]);
    });
    await fc.assert(property, { numRuns: 20 });
  });

  it("refuses what is no profile", () => {
    expect(() => parseProfile("nonsense")).toThrow(RuntimeError);
    expect(() => parseProfile('{"a": 1}')).toThrow(/not ONNX Runtime's/);
  });
});
