import { expect, test } from "vitest";
import { type Graph, GraphBuilder, makeValue } from "../../src/ir/graph.ts";
import { printGraph } from "../../src/ir/print.ts";
import { float32Tensor, int64Tensor, makeTensor, packBits } from "../../src/ir/tensor.ts";
import { tinyInfer } from "../support/graphs/infer.ts";

function sample(): Graph {
  const builder = new GraphBuilder("sample", tinyInfer);
  const x = builder.input("x", { dtype: "float32", shape: [2, 3] });
  const odd = builder.input("odd name", { dtype: "float32", shape: [2, 3] });
  const h = builder.scope("layer1", () => {
    const weight = builder.constant(float32Tensor([3, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1]));
    return builder.one("MatMul", [x, weight], {}, { name: "fc" });
  });
  const clipped = builder.one("Clip", [h, undefined, builder.scalar(Math.fround(0.1))], {}, { name: "clip" });
  const [left, right] = builder.node("Split", [clipped], { axis: 0 }, { name: "split", outputCount: 2 });
  if (left === undefined || right === undefined) throw new Error("two parts expected");
  const flat = builder.one("Reshape", [left, builder.constant(int64Tensor([3, 1]))], {}, { name: "flat" });
  const attributes = {
    pads: [1, 1],
    alpha: { float: 1 },
    mode: "edge",
    betas: { floats: [0.9, 0.999] },
    value: { tensor: makeTensor("int4", [], packBits([-3], "int4")) },
  };
  builder.output("probe", builder.one("Probe", [odd, undefined, right], attributes, { domain: "subbyte", name: "p" }));
  builder.output("flat", flat);
  builder.output("x too", x);
  return builder.finish();
}

test("one line a node, with constants in place", () => {
  expect(printGraph(sample())).toMatchInlineSnapshot(`
    "graph "sample"
      input %x: float32[2,3]
      input %"odd name": float32[2,3]
      %0: float32[2,3] = MatMul(%x, float32[3,3])  // layer1/fc
      %1: float32[2,3] = Clip(%0, -, 0.1)  // clip
      %2: float32[1,3], %3: float32[1,3] = Split(%1) {axis=0}  // split
      %4: float32[3,1] = Reshape(%2, (3,1):int64)  // flat
      %5: float32[2,3] = subbyte:Probe(%"odd name", -, %3) {alpha=1.0, betas=[0.9,0.999], mode="edge", pads=[1,1], value=-3:int4}  // p
      output probe = %5
      output flat = %4
      output "x too" = %x"
  `);
});

test("does not depend on what was built before", () => {
  const first = printGraph(sample());
  makeValue("noise", { dtype: "float32", shape: [] });
  expect(printGraph(sample())).toBe(first);
});

test("subgraphs are indented and numbered through", () => {
  const builder = new GraphBuilder("outer", tinyInfer);
  const x = builder.input("x", { dtype: "float32", shape: [2] });
  const inner = new GraphBuilder("then", tinyInfer);
  inner.output("r", inner.one("Neg", [x], {}, { name: "neg" }));
  const branch = { graph: inner.finish() };
  const condition = builder.constant({ dtype: "bool", shape: [], data: Uint8Array.of(1) });
  builder.output("r", builder.one("If", [condition], { then_branch: branch, else_branch: branch }, { name: "if" }));
  expect(printGraph(builder.finish())).toMatchInlineSnapshot(`
    "graph "outer"
      input %x: float32[2]
      %0: float32[2] = If(1:bool) {else_branch=graph "then", then_branch=graph "then"}  // if
        graph "then"
          %2: float32[2] = Neg(%x)  // neg
          output r = %2
        graph "then"
          %2: float32[2] = Neg(%x)  // neg
          output r = %2
      output r = %0"
  `);
});

test("a long graph is shortened around a node", () => {
  const builder = new GraphBuilder("chain", tinyInfer);
  const x = builder.input("x", { dtype: "float32", shape: [4] });
  const unused = builder.input("unused", { dtype: "float32", shape: [4] });
  let h = builder.one("Add", [x, unused], {}, { name: "first" });
  for (let i = 0; i < 20; i++) h = builder.one("Mul", [h, builder.scalar(i)], {}, { name: `step${i}` });
  builder.output("y", h);
  const graph = builder.finish();
  const around = graph.nodes[10];
  if (around === undefined) throw new Error("node 10 expected");
  expect(printGraph(graph, { maxNodes: 3, around })).toMatchInlineSnapshot(`
    "graph "chain"
      … 9 nodes
      %9: float32[4] = Mul(%8, 8.0)  // step8
    > %10: float32[4] = Mul(%9, 9.0)  // step9
      %11: float32[4] = Mul(%10, 10.0)  // step10
      … 9 nodes"
  `);
  expect(printGraph(graph, { maxNodes: 2 })).toMatchInlineSnapshot(`
    "graph "chain"
      input %x: float32[4]
      input %unused: float32[4]
      %0: float32[4] = Add(%x, %unused)  // first
      %1: float32[4] = Mul(%0, 0.0)  // step0
      … 19 nodes"
  `);
});
