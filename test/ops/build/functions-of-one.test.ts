/** Functions of one number in float64, against ONNX Runtime's in float32. */
import { describe, expect, it } from "vitest";
import { newBuilder, operators, traitsOf } from "../../../src/compile/registry.ts";
import { float32Data, float32Tensor } from "../../../src/ir/tensor.ts";
import { errorFunction } from "../../../src/ops/build/functions-of-one.ts";
import { cast } from "../../../src/ops/families/cast.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";

const names = [...operators.values()].filter(({ traits }) => traits?.ofOne !== undefined).map(({ op }) => op);
const xs = Float32Array.from({ length: 801 }, (_, i) => (i - 400) / 40);

describe("functions of one number", () => {
  it.each(names)("are those of the engine: %s", async (op) => {
    for (const attributes of [{}, ...(op === "Gelu" ? [{ approximate: "tanh" }] : [])]) {
      const b = newBuilder("function");
      const x = b.input("x", { dtype: "float32", shape: [xs.length] });
      const isLogical = op === "Not";
      const y = b.one(op, [isLogical ? cast(b, x, "bool") : x], attributes);
      b.output("y", cast(b, y, "float32"));
      const node = b.nodes.find((each) => each.op === op);
      if (node === undefined) throw new Error("there is no node");
      const ofOne = traitsOf(node).ofOne?.(node);
      if (ofOne === undefined) throw new Error(`${op} is no function of one number`);
      const { y: result } = await runGraph(b.finish(), { x: float32Tensor([xs.length], xs) });
      if (result === undefined) throw new Error("there is no result");
      float32Data(result).forEach((value, i) => {
        const expected = ofOne(xs[i] ?? 0);
        // Outside of its domain, and at a pole, it has no value there either.
        if (!Number.isFinite(expected)) expect(value).toBe(expected);
        else expect(Math.abs(value - expected)).toBeLessThan(2e-6 * Math.max(1, Math.abs(value)));
      });
    }
  });

  it("have an error function with the digits of tables", () => {
    // Abramowitz and Stegun, table 7.1.
    expect(errorFunction(0.5)).toBeCloseTo(0.5204998778, 10);
    expect(errorFunction(1)).toBeCloseTo(0.8427007929, 10);
    expect(errorFunction(-2)).toBeCloseTo(-0.995322265, 10);
    expect([errorFunction(0), errorFunction(7), errorFunction(-9)]).toEqual([0, 1, -1]);
  });
});
