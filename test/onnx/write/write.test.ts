import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type GraphProto, type ModelProto, ModelProtoSchema } from "onnx-buf";
import { describe, expect, test } from "vitest";
import { type Attributes, type Graph, GraphBuilder, makeValue, type Node } from "../../../src/ir/graph.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import type { DType } from "../../../src/ir/types.ts";
import { type OnnxWriteOptions, writeOnnx, writtenNames } from "../../../src/onnx/write/write.ts";
import { tinyInfer } from "../../support/graphs/infer.ts";
import { anyGraph, tensorOf } from "../../support/graphs/random.ts";

const type = { dtype: "float32", shape: [2] } as const;

function write(graph: Graph, options: OnnxWriteOptions = {}): ModelProto {
  return fromBinary(ModelProtoSchema, writeOnnx(graph, options));
}

function build(body: (builder: GraphBuilder) => void): Graph {
  const builder = new GraphBuilder("g", tinyInfer);
  body(builder);
  return builder.finish();
}

/** The nodes as `a, b = Op(c)`. */
function nodesOf(model: ModelProto): string[] {
  return (model.graph?.node ?? []).map(
    (node) => `${node.output.join(", ")} = ${node.opType}(${node.input.join(", ")})`,
  );
}

describe("names", () => {
  test("inside are made unique, those of inputs and outputs are kept", () => {
    const model = write(
      build((builder) => {
        const x = builder.input("x", type);
        const weight = builder.constant(float32Tensor([2], [1, 2]), "x");
        const sum = builder.one("Add", [x, weight], {}, { outputNames: ["x"] });
        const product = builder.one("Mul", [sum, x], {}, { outputNames: ["x"] });
        builder.output("x_1", builder.one("Relu", [product], {}, { outputNames: ["x"] }));
      }),
    );
    expect(nodesOf(model)).toEqual(["x_3 = Add(x, x_2)", "x_4 = Mul(x_3, x)", "x_1 = Relu(x_4)"]);
  });

  test("of nodes are those of writtenNames, inside subgraphs too", () => {
    /** Copies of outputs have no node in the graph. */
    const namesIn = (graph: GraphProto | undefined): string[] =>
      (graph?.node ?? []).flatMap(({ name, attribute }) => [
        ...attribute.flatMap(({ g }) => namesIn(g)),
        ...(name.endsWith("/copy") ? [] : [name]),
      ]);
    fc.assert(
      fc.property(anyGraph(), fc.constantFrom("same", "", undefined), (graph, name) => {
        const nodes = graph.nodes.map((node) => ({ ...node, name: name ?? node.name }));
        const renamed = { ...graph, nodes };
        const written = [...writtenNames(renamed).values()];
        expect(new Set(written).size).toBe(written.length);
        expect(written).toEqual(namesIn(write(renamed).graph));
      }),
    );
  });

  test("outputs that are inputs, constants or other outputs become copies", () => {
    const model = write(
      build((builder) => {
        const x = builder.input("x", type);
        const h = builder.one("Relu", [x]);
        builder.output("first", h);
        builder.output("second", h);
        builder.output("input", x);
        builder.output("constant", builder.constant(float32Tensor([2], [1, 2]), "c"));
        builder.output("x", x);
      }),
    );
    expect(nodesOf(model)).toEqual([
      "first = Relu(x)",
      "second = Identity(first)",
      "input = Identity(x)",
      "constant = Identity(c)",
    ]);
    expect(model.graph?.output.map((output) => output.name)).toEqual(["first", "second", "input", "constant", "x"]);
  });

  test("of subgraphs do not hide those around them", () => {
    const model = write(
      build((builder) => {
        const x = builder.input("x", type);
        const inner = new GraphBuilder("then", tinyInfer);
        inner.output("x", inner.one("Add", [x, inner.constant(float32Tensor([2], [1, 2]), "x")]));
        const branch = { graph: inner.finish() };
        const condition = builder.constant({ dtype: "bool", shape: [], data: Uint8Array.of(1) });
        builder.output("y", builder.one("If", [condition], { then_branch: branch, else_branch: branch }));
      }),
    );
    const branches = model.graph?.node[0]?.attribute.map((attribute) => attribute.g);
    expect(branches?.map((graph) => graph?.node[0]?.input)).toEqual([
      ["x", "x_2"],
      ["x", "x_4"],
    ]);
    expect(branches?.map((graph) => graph?.output[0]?.name)).toEqual(["x_1", "x_3"]);
  });

  test("that clash in the interface, and values without a producer, are errors", () => {
    const clash = build((builder) => {
      const x = builder.input("x", type);
      builder.output("x", builder.one("Relu", [x]));
    });
    expect(() => write(clash)).toThrow(/two inputs or outputs have the name "x"/);
    const stranger = makeValue("stranger", type);
    expect(() => write({ ...clash, inputs: [stranger] })).toThrow(/the value "x" is used before any node produces it/);
  });
});

describe("versions", () => {
  const graphOf = (dtype: DType) => build((builder) => builder.output("y", builder.constant(tensorOf(dtype, [4], 1))));
  const versions = (model: ModelProto) => [Number(model.opsetImport[0]?.version), Number(model.irVersion)];

  test.each([
    ["float32", 21, 10],
    ["int4", 21, 10],
    ["float4e2m1", 23, 11],
    ["float8e8m0", 24, 12],
    ["uint2", 25, 13],
  ] as const)("%s needs opset %i and IR version %i", (dtype, opset, irVersion) => {
    expect(versions(write(graphOf(dtype)))).toEqual([opset, irVersion]);
  });

  test("are those of the options where they suffice", () => {
    expect(versions(write(graphOf("float32"), { opset: 17 }))).toEqual([17, 8]);
    expect(versions(write(graphOf("int4"), { opset: 17 }))).toEqual([21, 10]);
    expect(versions(write(graphOf("float32"), { opset: 22, irVersion: 12 }))).toEqual([22, 12]);
  });

  test("of domains are imported where nodes use them", () => {
    const graph = (domain: string) =>
      build((builder) => {
        const x = builder.input("x", type);
        builder.output("y", builder.one("Probe", [x], {}, { domain }));
      });
    const used = write(graph("subbyte")).opsetImport.map(({ domain, version }) => [domain, version]);
    expect(used).toEqual([
      ["", 21n],
      ["subbyte", 1n],
    ]);
    const parts = { inputs: [], outputs: [], attributes: {}, origin: { phase: "forward" } } as const;
    const node = { op: "Odd", domain: "com.example", name: "odd", ...parts };
    expect(() => write({ ...graph("subbyte"), nodes: [node], outputs: [] })).toThrow(
      expect.objectContaining({
        where: 'node Odd "odd"',
        remedy: 'Pass it to writeOnnx: domains: { "com.example": 1 }.',
      }),
    );
  });
});

describe("attributes", () => {
  const attributesOf = (attributes: Attributes) =>
    write(
      build((builder) => {
        const x = builder.input("x", type);
        builder.output("y", builder.one("Probe", [x], attributes, { domain: "subbyte" }));
      }),
    ).graph?.node[0]?.attribute;

  test("have the kind that they say, and integers beyond the exact ones are kept in range", () => {
    const written = attributesOf({ a: 1, b: { float: 1 }, c: [], d: 2 ** 63, e: [-(2 ** 63)] });
    expect(written?.map(({ name, type: kind, i, f, ints }) => [name, kind, i, f, ints])).toEqual([
      ["a", 2, 1n, 0, []],
      ["b", 1, 0n, 1, []],
      ["c", 7, 0n, 0, []],
      ["d", 2, 2n ** 63n - 1n, 0, []],
      ["e", 7, 0n, 0, [-(2n ** 63n)]],
    ]);
  });

  test("that should be floats are refused as integers", () => {
    expect(() => attributesOf({ alpha: 0.5 })).toThrow(/attribute alpha is 0.5, which is not an integer/);
    expect(() => attributesOf({ alpha: [Number.NaN] })).toThrow(/not an integer/);
  });
});

test("inputs left out at the end are not written", () => {
  const x = makeValue("x", type);
  const y = makeValue("y", type);
  const clip: Node = {
    op: "Clip",
    domain: "",
    name: "clip",
    inputs: [x, undefined, undefined],
    outputs: [y],
    attributes: {},
    origin: { phase: "forward" },
  };
  const graph: Graph = {
    name: "g",
    inputs: [x],
    outputs: [{ name: "y", value: y }],
    nodes: [clip],
    constants: new Map(),
  };
  expect(nodesOf(write(graph))).toEqual(["y = Clip(x)"]);
});
