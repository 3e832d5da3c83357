import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as Kind,
  TensorProto_DataLocation as Location,
  type TensorProto,
  TensorProtoSchema,
} from "onnx-buf";
import { describe, expect, test } from "vitest";
import { ConfigError, FileFormatError, GraphError, SubbyteError, UnsupportedError } from "../../../src/errors.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { toNumbers } from "../../../src/ir/tensor.ts";
import { type OnnxReadOptions, readOnnx } from "../../../src/onnx/read/read.ts";
import { readTensor } from "../../../src/onnx/wire/tensor.ts";
import { tinyInfer } from "../../support/graphs/infer.ts";
import { floatBytes, type GraphInit, info, modelBytes } from "../../support/graphs/onnx.ts";
import { verifyGraph } from "../../support/graphs/verify.ts";

function read(graph: GraphInit, options: OnnxReadOptions = {}) {
  const model = readOnnx(modelBytes(graph), tinyInfer, options);
  verifyGraph(model.graph, tinyInfer);
  return model.graph;
}

function relu(input: string, output: string) {
  return { opType: "Relu", name: `to ${output}`, input: [input], output: [output] };
}

const identity: GraphInit = { input: [info("x", [2])], output: [info("y", [2])], node: [relu("x", "y")] };

/** Returns the thrown error, which must have a location and a remedy. */
function failure(body: () => unknown): SubbyteError {
  try {
    body();
  } catch (error) {
    if (!(error instanceof SubbyteError)) throw error;
    expect(error.where, error.message).toBeTruthy();
    return error;
  }
  throw new Error("nothing was thrown");
}

function broken(
  graph: GraphInit,
  kind: new (message: string) => Error,
  message: RegExp,
  options?: OnnxReadOptions,
): void {
  const error = failure(() => readOnnx(modelBytes(graph), tinyInfer, options));
  expect(error).toBeInstanceOf(kind);
  expect(error.describe()).toMatch(message);
  expect(error.remedy).toBeTruthy();
}

describe("what files may look like", () => {
  test("nodes out of order, without names, with gaps, constants and the long name of the standard domain", () => {
    const graph = read({
      name: "g",
      input: [info("x", [2])],
      output: [info("y", [2])],
      node: [
        { opType: "Clip", domain: "ai.onnx", input: ["h", "", "top", ""], output: ["y", ""] },
        { opType: "Constant", output: ["top"], attribute: [{ name: "value_float", type: Kind.FLOAT, f: 6 }] },
        { opType: "Relu", input: ["x"], output: ["h"] },
      ],
    });
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "graph "g"
        input %x: float32[2]
        %0: float32[2] = Relu(%x)  // Relu_0
        %1: float32[2] = Clip(%0, -, 6.0)  // Clip_2
        output y = %1"
    `);
  });

  test("a chain of 50,000 nodes in reverse order", () => {
    const node = Array.from({ length: 50_000 }, (_, i) => relu(i === 0 ? "x" : `h${i - 1}`, `h${i}`)).reverse();
    const graph = readOnnx(modelBytes({ ...identity, output: [info("h49999", [2])], node }), tinyInfer).graph;
    expect(graph.nodes.at(-1)?.outputs[0]?.name).toBe("h49999");
  });

  test("initializers that are listed among the inputs are constants", () => {
    const graph = read({
      input: [info("x", [2]), info("w", [2])],
      initializer: [{ name: "w", dims: [2n], dataType: 1, rawData: floatBytes(1, 2) }],
      output: [info("y", [2])],
      node: [{ opType: "Add", input: ["x", "w"], output: ["y"] }],
    });
    expect(graph.inputs.map((value) => value.name)).toEqual(["x"]);
    expect([...graph.constants.values()].map(toNumbers)).toEqual([[1, 2]]);
  });

  test("constants keep the ends of the int64 range", () => {
    const ends = [2n ** 63n - 1n, -(2n ** 63n)];
    const graph = readOnnx(
      modelBytes({
        output: [{ name: "c" }],
        node: [{ opType: "Constant", output: ["c"], attribute: [{ name: "value_ints", type: Kind.INTS, ints: ends }] }],
      }),
      tinyInfer,
    ).graph;
    expect([...graph.constants.values()].map((tensor) => [...tensor.data])).toEqual([ends]);
  });

  test("a subgraph reads the values around it, and a node that it needs comes first", () => {
    const branch = (op: string) => ({
      node: [{ opType: op, input: ["h"], output: ["r"] }],
      output: [info("r", [2])],
    });
    const graph = read({
      input: [info("x", [2])],
      initializer: [{ name: "yes", dims: [], dataType: 9, int32Data: [1] }],
      output: [info("y", [2])],
      node: [
        {
          opType: "If",
          input: ["yes"],
          output: ["y"],
          attribute: [
            { name: "then_branch", type: Kind.GRAPH, g: branch("Neg") },
            { name: "else_branch", type: Kind.GRAPH, g: branch("Relu") },
          ],
        },
        relu("x", "h"),
      ],
    });
    expect(graph.nodes.map((node) => node.op)).toEqual(["Relu", "If"]);
  });

  test("tensors whose data lies in another file", () => {
    const file = new Uint8Array([...floatBytes(9), ...floatBytes(1, 2)]);
    const asked: string[] = [];
    const external = (entries: Record<string, string>) => ({
      ...identity,
      initializer: [
        {
          name: "w",
          dims: [2n],
          dataType: 1,
          dataLocation: Location.EXTERNAL,
          externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
        },
      ],
    });
    const options = {
      externalData: (location: string) => {
        asked.push(location);
        return file;
      },
    };
    const graph = read(external({ location: "weights/a.bin", offset: "4", length: "8" }), options);
    expect([...graph.constants.values()].map(toNumbers)).toEqual([[1, 2]]);
    broken(
      external({ location: "a.bin", offset: "8", length: "8" }),
      FileFormatError,
      /bytes 8 to 16 of "a.bin"/,
      options,
    );
    broken(external({ location: "a.bin", offset: "-4" }), FileFormatError, /offset "-4"/, options);
    broken(
      external({ location: "a.bin", offset: "8" }),
      FileFormatError,
      /needs 8 bytes of data, the file has 4/,
      options,
    );
    broken(external({}), FileFormatError, /which is not named/, options);
    broken(external({ location: "a.bin" }), UnsupportedError, /another file, "a.bin"/);
    for (const location of ["../a.bin", "/etc/passwd", "a/../../b", "C:\\a.bin", "..\\a"]) {
      broken(external({ location }), FileFormatError, /not in the model's folder/, options);
    }
    expect(asked).not.toContain("/etc/passwd");
  });
});

describe("tensor fields", () => {
  const where = "here";
  const proto = (fields: MessageInitShape<typeof TensorProtoSchema>) =>
    create(TensorProtoSchema, { dims: [2n], ...fields });
  const cases: readonly (readonly [string, TensorProto, readonly unknown[]])[] = [
    ["float32", proto({ dataType: 1, floatData: [1.5, -2] }), [1.5, -2]],
    ["float64", proto({ dataType: 11, doubleData: [1.5, -2] }), [1.5, -2]],
    ["int64", proto({ dataType: 7, int64Data: [5n, -6n] }), [5n, -6n]],
    ["uint64", proto({ dataType: 13, uint64Data: [5n, 6n] }), [5n, 6n]],
    ["uint32", proto({ dataType: 12, uint64Data: [5n, 4_294_967_295n] }), [5, 4_294_967_295]],
    ["int32", proto({ dataType: 6, int32Data: [5, -6] }), [5, -6]],
    ["int8", proto({ dataType: 3, int32Data: [127, -128] }), [127, -128]],
    ["float16", proto({ dataType: 10, int32Data: [0x3c00, 0xc000] }), [0x3c00, 0xc000]],
    ["bool", proto({ dataType: 9, int32Data: [1, 0] }), [1, 0]],
    ["int4", proto({ dataType: 22, int32Data: [0x8f] }), [0x8f]],
    ["uint2", proto({ dataType: 25, int32Data: [0x0b] }), [0x0b]],
    ["string", proto({ dataType: 8, stringData: [new TextEncoder().encode("ä"), new Uint8Array()] }), ["ä", ""]],
  ];

  test.each(cases)("%s", (dtype, stored, expected) => {
    const tensor = readTensor(stored, where);
    expect(tensor.dtype).toBe(dtype);
    expect([...tensor.data]).toEqual(expected);
  });

  test("values that do not fit, too few or too many values, and both kinds of absurd shape", () => {
    const bad = (fields: object, message: RegExp) => {
      const error = failure(() => readTensor(create(TensorProtoSchema, fields), where));
      expect(error).toBeInstanceOf(FileFormatError);
      expect(error.message).toMatch(message);
    };
    bad({ dims: [1n], dataType: 3, int32Data: [128] }, /128 at element 0 does not fit int8/);
    bad({ dims: [2n], dataType: 1, floatData: [1] }, /needs 2 values of data, the file has 1/);
    bad({ dims: [1n], dataType: 1, rawData: new Uint8Array(5) }, /needs 4 bytes of data, the file has 5/);
    bad({ dims: [3n], dataType: 22, rawData: new Uint8Array(1) }, /needs 2 bytes/);
    bad({ dims: [2n ** 40n], dataType: 1, rawData: new Uint8Array(4) }, /needs 4398046511104 bytes/);
    bad({ dims: [2n ** 40n], dataType: 1 }, /the file has 0/);
    bad({ dims: [2n ** 40n, 2n ** 40n, 0n], dataType: 1 }, /too large for a tensor/);
    bad({ dims: [-1n], dataType: 1 }, /negative size/);
    bad({ dims: [], dataType: 99 }, /99 is not an element type/);
    bad({ dims: [1n], dataType: 8, rawData: new Uint8Array(1) }, /string tensor may not have raw data/);
    bad({ dims: [1n], dataType: 8, stringData: [Uint8Array.of(0xff)] }, /not valid UTF-8/);
  });
});

describe("open shapes", () => {
  const open: GraphInit = { ...identity, input: [info("x", ["N", 3])], output: [{ name: "y" }] };
  const shapeOf = (graph: GraphInit, options: OnnxReadOptions = {}) =>
    read(graph, options).inputs.map((v) => v.type.shape);

  test("the first dimension becomes the batch size", () => {
    expect(shapeOf(open)).toEqual([[1, 3]]);
    expect(shapeOf(open, { batch: 32 })).toEqual([[32, 3]]);
    expect(shapeOf({ ...open, input: [info("x", [undefined, 3])] }, { batch: 5 })).toEqual([[5, 3]]);
    expect(shapeOf({ ...open, input: [info("x", [4, 3])] }, { batch: 5 })).toEqual([[4, 3]]);
  });

  test("other dimensions need a shape, and a symbol has one size everywhere", () => {
    const image: GraphInit = { ...open, input: [info("x", ["N", "H", "N"]), info("other", [2, "H"])] };
    broken(image, UnsupportedError, /input "x": dimension 1 \("H"\) is open[\s\S]*inputShapes/);
    expect(shapeOf(image, { inputShapes: { x: [7, 9, 7] } })).toEqual([
      [7, 9, 7],
      [2, 9],
    ]);
    broken(
      { ...open, input: [{ name: "x", type: { value: { case: "tensorType", value: { elemType: 1 } } } }] },
      UnsupportedError,
      /the whole shape is open/,
    );
  });

  test("options that do not fit the model", () => {
    const wrong = (options: OnnxReadOptions, message: RegExp) => {
      const error = failure(() => readOnnx(modelBytes(open), tinyInfer, options));
      expect(error).toBeInstanceOf(ConfigError);
      expect(error.describe()).toMatch(message);
    };
    wrong({ batch: 0 }, /batch size 0/);
    wrong({ batch: 1.5 }, /batch size 1.5/);
    wrong({ inputShapes: { z: [1] } }, /no input "z"[\s\S]*"x"/);
    wrong({ inputShapes: { x: [1, 4] } }, /float32\[N,3\]/);
    wrong({ inputShapes: { x: [1] } }, /float32\[N,3\]/);
    wrong({ inputShapes: { x: [-1, 3] } }, /not a shape/);
  });
});

describe("bad files", () => {
  const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

  test.each([
    ["PK\x03\x04 and so on", /zip archive/],
    ["version https://git-lfs.github.com/spec/v1\noid", /Git LFS/],
    ["<!DOCTYPE html>", /web page/],
    ['{"a": 1}', /JSON/],
    ["\x89HDF\r\n", /HDF5/],
    ["", /the file is empty/],
    ["hello world, this is text", /not a whole ONNX model/],
  ])("%s", (text, message) => {
    const error = failure(() => readOnnx(bytes(text), tinyInfer, { source: "dir/net.onnx" }));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.where).toBe("dir/net.onnx");
    expect(error.message).toMatch(message);
    expect(error.remedy).toBeTruthy();
  });

  test("cycles, dangling inputs and outputs, values defined twice", () => {
    const nodes = (...node: NonNullable<GraphInit["node"]>) => ({ ...identity, node });
    broken(
      nodes(relu("b", "a"), relu("a", "b"), relu("b", "y")),
      GraphError,
      /cycle: node Relu "to \w", node Relu "to \w"/,
    );
    broken(nodes(relu("y", "y")), GraphError, /cycle: node Relu "to y"/);
    broken(nodes(relu("gone", "y")), GraphError, /no node produces the input "gone" of node Relu "to y"/);
    broken(nodes(relu("x", "z")), GraphError, /output "y": nothing makes it/);
    broken(nodes(relu("x", "y"), relu("x", "y")), GraphError, /"y" is produced twice: by node Relu "to y" and/);
    broken(nodes(relu("x", "y"), relu("y", "x")), GraphError, /"x" is produced twice: by an input or initializer and/);
    broken({ ...identity, input: [info("x", [2]), info("x", [2])] }, GraphError, /input "x": it occurs twice/);
    broken({ ...identity, output: [info("y", [2]), info("y", [2])] }, GraphError, /output "y": it occurs twice/);
    const w = { name: "w", dims: [], dataType: 1, rawData: floatBytes(1) };
    broken({ ...identity, initializer: [w, w] }, GraphError, /initializer "w": it occurs twice/);
  });

  test("types and attributes", () => {
    broken(
      { ...identity, output: [{ name: "y", type: { value: { case: "tensorType", value: { elemType: 7 } } } }] },
      GraphError,
      /is int64, but it is float32\[2\]/,
    );
    broken(
      { ...identity, input: [{ name: "x", type: { value: { case: "sequenceType", value: {} } } }] },
      UnsupportedError,
      /it is a sequence/,
    );
    broken({ ...identity, input: [info("x", [-5])] }, FileFormatError, /negative size/);
    broken({ ...identity, input: [info("x", [2 ** 40, 2 ** 40])] }, FileFormatError, /too large/);
    const withAttribute = (...attribute: object[]) => ({ ...identity, node: [{ ...relu("x", "y"), attribute }] });
    broken(withAttribute({ name: "a", type: Kind.TENSORS }), UnsupportedError, /kind TENSORS/);
    broken(withAttribute({ name: "a", type: Kind.TENSOR }), FileFormatError, /no value/);
    broken(withAttribute({ name: "a" }), FileFormatError, /no value/);
    broken(
      withAttribute({ name: "a", type: Kind.INT, i: 1n }, { name: "a", type: Kind.INT }),
      FileFormatError,
      /twice/,
    );
    broken(withAttribute({ name: "a", type: Kind.STRING, s: Uint8Array.of(0xc0) }), FileFormatError, /UTF-8/);
    broken({ ...identity, node: [{ opType: "Constant", output: ["y"] }] }, FileFormatError, /has 0/);
    broken(
      { ...identity, node: [{ ...relu("x", "y"), output: ["y", "z"] }] },
      GraphError,
      /has 1 outputs, the node names 2/,
    );
    broken({ ...identity, node: [{ ...relu("x", "y"), opType: "" }] }, FileFormatError, /no operator/);
    broken(
      { ...identity, node: [{ ...relu("x", "y"), domain: "com.example" }] },
      FileFormatError,
      /domain "com.example"/,
    );
    broken({ ...identity, node: [{ ...relu("x", "y"), opType: "Unheard" }] }, UnsupportedError, /node Unheard "to y"/);
    broken({ ...identity, sparseInitializer: [{}] }, UnsupportedError, /sparse/);
  });

  test("operator sets that do not exist", () => {
    const error = failure(() =>
      readOnnx(modelBytes(identity, { opsetImport: [{ domain: "", version: -1n }] }), tinyInfer),
    );
    expect(error).toBeInstanceOf(FileFormatError);
    expect(failure(() => readOnnx(modelBytes(identity, { opsetImport: [] }), tinyInfer)).message).toMatch(
      /which version/,
    );
  });
});
