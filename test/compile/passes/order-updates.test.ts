/** Updates that wait for consumers: the same numbers, and one buffer where there were two. */
import { describe, expect, it } from "vitest";
import { updatesInPlace } from "../../../src/compile/passes/in-place.ts";
import { orderUpdates } from "../../../src/compile/passes/order-updates.ts";
import { inferTypes, newBuilder } from "../../../src/compile/registry.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { expectSameNumbers } from "../../support/graphs/same-numbers.ts";
import { verifyGraph } from "../../support/graphs/verify.ts";

/** w − rate·dw, while x·w may still be computed later. */
function step(size: number): Graph {
  const builder = newBuilder("step");
  const w = builder.input("w", { dtype: "float32", shape: [size, size] });
  const x = builder.input("x", { dtype: "float32", shape: [size, size] });
  const rate = builder.input("rate", { dtype: "float32", shape: [] });
  const next = builder.from({ origin: { phase: "update" } }, () => {
    const change = builder.one("Mul", [x, rate], {}, { name: "change" });
    return builder.one("Sub", [w, change], {}, { name: "update" });
  });
  builder.output("next.w", next);
  builder.output("product", builder.one("MatMul", [x, w], {}, { name: "late" }));
  return builder.finish();
}

describe("ordered updates", () => {
  it("let the learning rate wait for the hazard's consumer", () => {
    const graph = step(256);
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "graph "step"
        input %w: float32[256,256]
        input %x: float32[256,256]
        input %rate: float32[]
        %0: float32[256,256] = Mul(%x, %rate)  // change
        %1: float32[256,256] = Sub(%w, %0)  // update
        %2: float32[256,256] = MatMul(%x, %w)  // late
        output next.w = %1
        output product = %2"
    `);
    const ordered = orderUpdates(graph);
    verifyGraph(ordered, inferTypes);
    expect(printGraph(ordered)).toMatchInlineSnapshot(`
      "graph "step"
        input %w: float32[256,256]
        input %x: float32[256,256]
        input %rate: float32[]
        %0: float32[256,256] = MatMul(%x, %w)  // late
        %1: float32[1,1] = Slice(%0, (0,0):int64, (1,1):int64)  // change/after_0/Slice
        %2: float32[] = Reshape(%1, int64[0])  // change/after_0/Reshape
        %3: float32[] = Where(0:bool, %2, %rate)  // change/after_0/Where
        %4: float32[256,256] = Mul(%x, %3)  // change
        %5: float32[256,256] = Sub(%w, %4)  // update
        output next.w = %5
        output product = %0"
    `);
    expect(updatesInPlace(graph)).toEqual([]);
    expect(updatesInPlace(ordered).map(({ present }) => present.name)).toEqual(["w"]);
  });

  it("give the same bits", async () => {
    await expectSameNumbers(step(256), orderUpdates(step(256)), 2);
  });

  it("are left alone where the tensor is small", () => {
    const graph = step(16);
    expect(orderUpdates(graph)).toBe(graph);
  });
});
