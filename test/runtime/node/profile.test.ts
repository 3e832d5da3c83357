import { describe, expect, it } from "vitest";
import { newBuilder } from "../../../src/compile/registry.ts";
import { RuntimeError } from "../../../src/errors.ts";
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

  it("refuses what is no profile", () => {
    expect(() => parseProfile("nonsense")).toThrow(RuntimeError);
    expect(() => parseProfile('{"a": 1}')).toThrow(/not ONNX Runtime's/);
  });
});
