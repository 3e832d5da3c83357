import { describe, expect, test } from "vitest";
import { capturedValues, consumers, GraphBuilder, producers, withoutUnused } from "../../src/ir/graph.ts";
import { float32Tensor } from "../../src/ir/tensor.ts";
import { tinyInfer } from "../support/graphs/infer.ts";

const type = { dtype: "float32", shape: [2, 3] } as const;

function start() {
  const builder = new GraphBuilder("g", tinyInfer);
  return { builder, x: builder.input("x", type), y: builder.input("y", type) };
}

describe("equal nodes", () => {
  test("are added once", () => {
    const { builder, x, y } = start();
    expect(builder.one("Add", [x, y])).toBe(builder.one("Add", [x, y]));
    expect(builder.one("Transpose", [x], { perm: [1, 0] })).toBe(builder.one("Transpose", [x], { perm: [1, 0] }));
  });

  test("differ by input order, attributes, kind of attribute, domain and output count", () => {
    const { builder, x, y } = start();
    const domain = { domain: "subbyte" };
    const made = [
      builder.one("Add", [x, y]),
      builder.one("Add", [y, x]),
      builder.one("Probe", [x], {}, domain),
      builder.one("Probe", [x, undefined, y], {}, domain),
      builder.one("Probe", [x], { alpha: 1 }, domain),
      builder.one("Probe", [x], { alpha: { float: 1 } }, domain),
      builder.one("Probe", [x], { alpha: { float: Number.POSITIVE_INFINITY } }, domain),
      builder.one("Probe", [x], { alpha: { float: Number.NEGATIVE_INFINITY } }, domain),
      builder.one("Probe", [x], { alpha: { float: Number.NaN } }, domain),
      builder.one("Probe", [x], { alpha: { float: 0 } }, domain),
      builder.one("Probe", [x], { alpha: { float: -0 } }, domain),
      builder.one("Probe", [x], { alpha: [1] }, domain),
      builder.one("Probe", [x], { alpha: { floats: [1] } }, domain),
      builder.one("Probe", [x], { alpha: "1" }, domain),
      builder.one("Split", [x], { axis: 0 }, { outputCount: 2 }),
      builder.one("Split", [x], { axis: 0 }, { outputCount: 1 }),
    ];
    expect(new Set(made).size).toBe(made.length);
  });

  test("share scalars by number", () => {
    const { builder } = start();
    expect(builder.scalar(0.5)).toBe(builder.scalar(0.5));
    expect(builder.scalar(Number.NaN)).toBe(builder.scalar(Number.NaN));
    expect(builder.scalar(0.5)).not.toBe(builder.scalar(0.25));
  });
});

describe("names", () => {
  test("of nodes carry the scopes around them, and scopes end even when a body throws", () => {
    const { builder, x } = start();
    const inner = builder.scope("layer1", () =>
      builder.scope("conv", () => builder.one("Relu", [x], {}, { name: "act" })),
    );
    expect(builder.producerOf(inner)?.name).toBe("layer1/conv/act");
    expect(() => builder.scope("broken", () => builder.one("Unheard", [x]))).toThrow(/no rule for Unheard/);
    expect(builder.producerOf(builder.one("Neg", [x], {}, { name: "after" }))?.name).toBe("after");
  });

  test("of inputs and outputs are given once", () => {
    const { builder, x } = start();
    expect(() => builder.input("x", type)).toThrow(/has an input "x" already/);
    builder.output("out", x);
    expect(() => builder.output("out", x)).toThrow(/has an output "out" already/);
  });
});

test("a mistake is reported at the node that made it", () => {
  const { builder, x } = start();
  const wrong = builder.input("wrong", { dtype: "float32", shape: [4] });
  expect(() => builder.scope("head", () => builder.one("Add", [x, wrong], {}, { name: "sum" }))).toThrow(
    expect.objectContaining({
      where: 'node Add "head/sum"',
      message: "shapes differ in Add(float32[2,3], float32[4])",
    }),
  );
});

describe("finish", () => {
  test("drops nodes and constants that no output needs, and keeps inputs", () => {
    const { builder, x, y } = start();
    const used = builder.constant(float32Tensor([2, 3], [1, 2, 3, 4, 5, 6]), "used");
    const unused = builder.constant(float32Tensor([2, 3], [1, 2, 3, 4, 5, 6]), "unused");
    builder.one("Add", [y, unused]);
    const sum = builder.one("Add", [x, used]);
    builder.output("sum", sum);
    const graph = builder.finish();
    expect(graph.nodes.map((node) => node.outputs[0])).toEqual([sum]);
    expect([...graph.constants.keys()]).toEqual([used]);
    expect(graph.inputs).toEqual([x, y]);
    expect(withoutUnused(graph)).toEqual(graph);
  });

  test("keeps what only a subgraph reads", () => {
    const { builder, x, y } = start();
    const inner = new GraphBuilder("then", tinyInfer);
    const hidden = builder.one("Relu", [y]);
    inner.output("r", inner.one("Add", [x, hidden]));
    const branch = { graph: inner.finish() };
    const condition = builder.constant({ dtype: "bool", shape: [], data: Uint8Array.of(1) });
    builder.output("r", builder.one("If", [condition], { then_branch: branch, else_branch: branch }));
    const graph = builder.finish();
    expect(graph.nodes.map((node) => node.op)).toEqual(["Relu", "If"]);
    const [, conditional] = graph.nodes;
    expect(conditional && new Set(capturedValues(conditional))).toEqual(new Set([x, hidden]));
  });
});

test("producers and consumers", () => {
  const { builder, x } = start();
  const square = builder.one("Mul", [x, x]);
  builder.output("out", builder.one("Add", [square, x]));
  const graph = builder.finish();
  const [mul, add] = graph.nodes;
  expect(consumers(graph).get(x)).toEqual([mul, add]);
  expect(consumers(graph).get(square)).toEqual([add]);
  expect(producers(graph).get(square)).toBe(mul);
  expect(producers(graph).has(x)).toBe(false);
});
