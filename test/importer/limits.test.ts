/** Small files that would take much: each is refused by the limit that it passes, before the memory or the time is taken. @slow */

import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import { FileFormatError, UnsupportedError } from "../../src/errors.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { deepestMessage, mostDecodedBytes, mostNodes } from "../../src/onnx/wire/decoded-size.ts";
import { type FileText, ints, type NodeText, onnxModel, ramp } from "../support/onnx/model.ts";

/** What importing takes, and the error that it ends with. */
function refusal(bytes: Uint8Array): { readonly error: unknown; readonly seconds: number; readonly megabytes: number } {
  const before = process.memoryUsage();
  const start = performance.now();
  let error: unknown;
  try {
    importOnnx(bytes);
  } catch (thrown) {
    error = thrown;
  }
  const after = process.memoryUsage();
  const taken = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  return { error, seconds: (performance.now() - start) / 1000, megabytes: taken / 2 ** 20 };
}

/** A field of bytes, many times. */
function repeated(field: number, content: Uint8Array, count: number): Uint8Array {
  const one = new BinaryWriter().tag(field, 2).bytes(content).finish();
  const all = new Uint8Array(one.length * count);
  for (let i = 0; i < count; i++) all.set(one, i * one.length);
  return all;
}

const wrapped = (field: number, content: Uint8Array) => new BinaryWriter().tag(field, 2).bytes(content).finish();
const nothing = new Uint8Array(0);

describe("what is counted before a file is decoded", () => {
  it("the nodes of a graph", () => {
    const { error, seconds, megabytes } = refusal(wrapped(7, repeated(1, nothing, 1_000_000)));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(String(error)).toContain(`more than ${mostNodes} nodes`);
    expect(seconds).toBeLessThan(10);
    expect(megabytes).toBeLessThan(200);
  });

  it.each([
    ["tensors without content", 5],
    ["types of values", 13],
    ["outputs", 12],
  ])("messages of a few bytes: %s", (_, field) => {
    const count = Math.ceil(mostDecodedBytes / 400) + 1;
    const { error, megabytes } = refusal(wrapped(7, repeated(field, nothing, count)));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(String(error)).toContain("1.5 GB");
    expect(megabytes).toBeLessThan(200);
  });

  it("64-bit integers of a byte each", () => {
    const tensor = wrapped(7, new Uint8Array(Math.ceil(mostDecodedBytes / 32) + 1));
    const { error, megabytes } = refusal(wrapped(7, wrapped(5, tensor)));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(megabytes).toBeLessThan(200);
  });

  it("the depth of messages inside of one another", () => {
    let graph = new Uint8Array(0);
    for (let depth = 0; depth < 5000; depth++) graph = new Uint8Array(wrapped(1, wrapped(5, wrapped(6, graph))));
    const { error } = refusal(wrapped(7, graph));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(String(error)).toContain(`more than ${deepestMessage} deep`);
  });
});

const doubled = (times: number, op: (i: number) => NodeText, last: NodeText): FileText => ({
  inputs: { x: ["N", 4] },
  outputs: ["y"],
  nodes: [...Array.from({ length: times }, (_, i) => op(i)), last],
  initializers: { v0: ramp(1, 3), eight: ints(8), both: ints(2048, 2048) },
});

describe("what is computed while a file is read", () => {
  it.each([26, 40])("a constant that doubles %d times", (times) => {
    const text = doubled(times, (i) => ["Concat", [`v${i}`, `v${i}`], [`v${i + 1}`], { axis: 1 }], [
      "Concat",
      ["x", `v${times}`],
      ["y"],
      { axis: 1 },
    ]);
    const { error, seconds, megabytes } = refusal(onnxModel(text));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(String(error)).toContain("256 MB of constants");
    expect(seconds).toBeLessThan(10);
    expect(megabytes).toBeLessThan(1000);
  });

  it("products of large matrices, one after another", () => {
    const nodes: NodeText[] = [["ConstantOfShape", ["size"], ["v0"]]];
    for (let i = 0; i < 300; i++) nodes.push(["MatMul", [`v${i}`, "v0"], [`v${i + 1}`]]);
    const text: FileText = {
      inputs: { x: ["N", 160] },
      outputs: ["y"],
      nodes: [...nodes, ["MatMul", ["x", "v300"], ["y"]]],
      initializers: { size: ints(160, 160) },
    };
    const { error, seconds } = refusal(onnxModel(text));
    expect(String(error)).toContain("products of constants");
    expect(seconds).toBeLessThan(30);
  });

  it("but constants of a usual size are computed", () => {
    const text = doubled(12, (i) => ["Concat", [`v${i}`, `v${i}`], [`v${i + 1}`], { axis: 1 }], [
      "Concat",
      ["x", "v12"],
      ["y"],
      { axis: 1 },
    ]);
    expect(importOnnx(onnxModel(text)).graph.outputs[0]?.value.type.shape).toEqual([1, 4 + 3 * 2 ** 12]);
  });
});

/** A Loop that runs without a limit, whose body adds no node that takes long. */
function endless(times: string, inner: readonly NodeText[] = []): FileText {
  const body = {
    inputs: { i: [], c: [], s: [2, 4] },
    inputTypes: { i: "int64", c: "bool" },
    outputs: ["c", "s2"],
    nodes: [["Identity", ["s"], ["s2"]], ...inner],
  } as const;
  return {
    inputs: { x: [2, 4] },
    outputs: ["y"],
    nodes: [["Loop", [times, "yes", "x"], ["y"], { body: { graph: body } }]],
    initializers: {
      yes: { dtype: "bool", shape: [], data: Uint8Array.of(1) },
      often: ints(1e9),
    },
  };
}

describe("loops", () => {
  it.each([
    ["without a limit", ""],
    ["of 10^9 times", "often"],
  ])("%s", (_, times) => {
    const { error, seconds } = refusal(onnxModel(endless(times)));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(seconds).toBeLessThan(10);
  });

  it("whose body has no node at all", () => {
    const text = endless("often");
    const [loop] = text.nodes;
    const body = { inputs: { i: [], c: [], s: [2, 4] }, outputs: ["c", "s"], nodes: [] };
    const nodes = loop === undefined ? [] : [[loop[0], loop[1], loop[2], { body: { graph: body } }] as const];
    const { error, seconds } = refusal(onnxModel({ ...text, nodes }));
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(seconds).toBeLessThan(10);
  });
});

describe("what grew with the square of a file", () => {
  it("outputs, names that occur again, and names that a subgraph takes from outside", () => {
    const many = 6000;
    const names = Array.from({ length: many }, (_, i) => `v${i}`);
    const text: FileText = {
      inputs: { x: ["N", 4] },
      outputs: names,
      nodes: names.map((name) => ["Relu", ["x"], [name]] as const),
    };
    const { seconds } = refusal(onnxModel(text));
    expect(seconds).toBeLessThan(20);
    const inner = { outputs: ["a"], nodes: [["Sum", names, ["a"]]] } as const;
    const branches: FileText = {
      ...text,
      outputs: ["y"],
      nodes: [...text.nodes, ["If", ["yes"], ["y"], { then_branch: { graph: inner }, else_branch: { graph: inner } }]],
      initializers: { yes: { dtype: "bool", shape: [], data: Uint8Array.of(1) } },
    };
    const all = refusal(onnxModel(branches));
    expect(all.seconds).toBeLessThan(20);
    expect(all.error === undefined || all.error instanceof UnsupportedError).toBe(true);
  });
});
