/** Networks from files: operators of today, any batch size, parameters with their roles. */

import { describe, expect, it } from "vitest";
import { UnsupportedError } from "../../src/errors.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { makeTensor, toNumbers } from "../../src/ir/tensor.ts";
import { distance, fileOutputs, outputsOf, sample } from "../support/onnx/imported.ts";
import { type FileText, floats, ints, onnxModel, ramp } from "../support/onnx/model.ts";

const flattenByShape: FileText = {
  inputs: { x: ["N", 3, 4] },
  outputs: ["y"],
  nodes: [
    ["Shape", ["x"], ["shape"]],
    ["Gather", ["shape", "zero"], ["n"], { axis: 0 }],
    ["Unsqueeze", ["n", "axes"], ["n1"]],
    ["Concat", ["n1", "rest"], ["target"], { axis: 0 }],
    ["Reshape", ["x", "target"], ["flat"]],
    ["Gemm", ["flat", "fc.weight", "fc.bias"], ["y"], { transB: 1 }],
  ],
  initializers: {
    zero: makeTensor("int64", [], BigInt64Array.of(0n)),
    axes: ints(0),
    rest: ints(-1),
    "fc.weight": ramp(5, 12),
    "fc.bias": ramp(5),
  },
};

describe("an input", () => {
  // As tf2onnx leaves the constants of a Normalization behind, which it has computed into others.
  const behind = { ...flattenByShape, inputs: { k: [1, 1, 3], ...flattenByShape.inputs, m: [] } };

  it("that nothing reads is dropped, and the batch is found without it", async () => {
    const network = importOnnx(onnxModel(behind));
    expect(network.imported.batch).toBe("any");
    expect(network.imported.notes).toEqual(['The inputs "k", "m" are dropped: nothing reads them.']);
    const expected = await fileOutputs(onnxModel(flattenByShape), { x: [4, 3, 4] });
    expect(distance((await outputsOf(network, 4)).y, expected.y)).toBeLessThan(1e-5);
  });

  it("that only a branch reads stays", () => {
    const branch = (name: string) => ({ graph: { outputs: ["out"], nodes: [["Identity", [name], ["out"]] as const] } });
    const network = importOnnx(
      onnxModel({
        inputs: { x: ["N", 2], k: ["N", 2], l: ["N", 2], m: ["N", 2] },
        outputs: ["y", "l"],
        nodes: [
          ["If", ["yes"], ["chosen"], { then_branch: branch("k"), else_branch: branch("x") }],
          ["Relu", ["chosen"], ["y"]],
        ],
        initializers: { yes: makeTensor("bool", [], Uint8Array.of(1)) },
      }),
    );
    expect(network.graph.inputs.map(({ name }) => name)).toEqual(["x", "k", "l"]);
    expect(network.imported.notes).toEqual(['The input "m" is dropped: nothing reads it.']);
  });
});

describe("a shape that is computed", () => {
  it("leaves a network for any batch", async () => {
    const network = importOnnx(onnxModel(flattenByShape));
    expect(network.imported.batch).toBe("any");
    expect(network.graph.nodes.map(({ op }) => op)).toEqual(["Reshape", "Gemm"]);
    expect(network.parameters.map(({ name, role, trainable }) => [name, role, trainable])).toEqual([
      ["fc.weight", "weight", true],
      ["fc.bias", "bias", true],
    ]);
    const expected = await fileOutputs(onnxModel(flattenByShape), { x: [4, 3, 4] });
    expect(distance((await outputsOf(network, 4)).y, expected.y)).toBeLessThan(1e-5);
  });

  it("of a file for one batch size as well", async () => {
    const fixed = onnxModel({
      ...flattenByShape,
      inputs: { x: [1, 3, 4] },
      nodes: [["Reshape", ["x", "to"], ["flat"]], ...flattenByShape.nodes.slice(-1)],
      initializers: { ...flattenByShape.initializers, to: ints(1, 12) },
    });
    expect(importOnnx(fixed).imported.batch).toBe("any");
    const network = importOnnx(fixed, { keepBatch: true });
    expect(network.imported.batch).toBe(1);
    await expect(outputsOf(importOnnx(fixed), 3)).resolves.toBeDefined();
  });

  it("that names the batch elsewhere keeps it, and says so", () => {
    const network = importOnnx(
      onnxModel({
        inputs: { x: [2, 6] },
        outputs: ["y"],
        nodes: [["Reshape", ["x", "to"], ["y"]]],
        initializers: { to: ints(3, 4) },
      }),
    );
    expect(network.imported.batch).toBe(2);
    expect(network.imported.notes.join()).toMatch(/only batches of 2/);
  });
});

describe("a token that is put before every sample", () => {
  it("is a parameter that is expanded to the batch", async () => {
    const text: FileText = {
      inputs: { x: ["N", 2, 3] },
      outputs: ["y"],
      nodes: [
        ["Shape", ["x"], ["shape"]],
        ["Slice", ["shape", "zero", "one"], ["n"]],
        ["Concat", ["n", "ends"], ["target"], { axis: 0 }],
        ["Expand", ["token", "target"], ["tokens"]],
        ["Concat", ["tokens", "x"], ["y"], { axis: 1 }],
      ],
      initializers: { zero: ints(0), one: ints(1), ends: ints(1, 3), token: ramp(1, 1, 3) },
    };
    const network = importOnnx(onnxModel(text));
    expect(network.graph.nodes.map(({ op }) => op)).toEqual(["ExpandBatch", "Concat"]);
    expect(network.parameters.map(({ name, role }) => [name, role])).toEqual([["token", "other"]]);
    const expected = await fileOutputs(onnxModel(text), { x: [3, 2, 3] });
    expect(distance((await outputsOf(network, 3)).y, expected.y)).toBe(0);
  });
});

/** Old forms, each as one node behind an input of [2, 3, 4]. */
const old: readonly (readonly [string, FileText])[] = [
  ["Clip 6", one(6, ["Clip", ["x"], ["y"], { min: { float: -0.5 }, max: { float: 0.5 } }])],
  ["Slice 1", one(9, ["Slice", ["x"], ["y"], { axes: [2], starts: [1], ends: [3] }])],
  ["Pad 2", one(10, ["Pad", ["x"], ["y"], { pads: [0, 1, 0, 0, 0, 2], value: { float: 1.5 } }])],
  ["Squeeze 11", one(11, ["Unsqueeze", ["x"], ["z"], { axes: [1] }], ["Squeeze", ["z"], ["y"], { axes: [1] }])],
  ["Split 11", one(11, ["Split", ["x"], ["y", "z"], { axis: 2, split: [1, 3] }])],
  ["Split 18", one(18, ["Split", ["x"], ["y", "z"], { axis: 2, num_outputs: 2 }])],
  ["ReduceMean 13", one(13, ["ReduceMean", ["x"], ["y"], { axes: [2], keepdims: 0 }])],
  ["ReduceSum 11", one(11, ["ReduceSum", ["x"], ["y"], { axes: [1, 2] }])],
  ["Softmax 11", one(11, ["Softmax", ["x"], ["y"], { axis: 1 }])],
  ["LogSoftmax 11, default axis", one(11, ["LogSoftmax", ["x"], ["y"]])],
  ["TopK 1", one(9, ["TopK", ["x"], ["y", "places"], { k: 2, axis: 2 }])],
  ["Dropout 10", one(10, ["Dropout", ["x"], ["y"], { ratio: { float: 0.5 } }])],
  ["Gelu 20", one(20, ["Gelu", ["x"], ["y"], { approximate: "tanh" }])],
  ["Swish 24", one(24, ["Swish", ["x"], ["y"], { alpha: { float: 1.5 } }])],
  ["RMSNormalization 23", { ...one(23, ["RMSNormalization", ["x", "s"], ["y"]]), initializers: { s: ramp(4) } }],
  ["GroupNormalization 21", groups(21, 6)],
  ["Resize 18, as large as fits", resized("not_larger")],
  ["Resize 18, as small as covers", resized("not_smaller")],
  ["LSTM, last state alone", recurrent()],
];

function one(opset: number, ...nodes: FileText["nodes"]): FileText {
  return { opset, inputs: { x: ["N", 3, 4] }, outputs: ["y"], nodes };
}

function resized(policy: string): FileText {
  const attributes = { axes: [1, 2], keep_aspect_ratio_policy: policy, mode: "linear" };
  return { ...one(18, ["Resize", ["x", "", "", "sizes"], ["y"], attributes]), initializers: { sizes: ints(7, 8) } };
}

function groups(opset: number, count: number): FileText {
  return {
    opset,
    inputs: { x: ["N", 6, 4] },
    outputs: ["y"],
    nodes: [["GroupNormalization", ["x", "s", "b"], ["y"], { num_groups: 3 }]],
    initializers: { s: ramp(count), b: ramp(count) },
  };
}

function recurrent(): FileText {
  return {
    inputs: { x: ["N", 3, 4] },
    outputs: ["y"],
    nodes: [
      ["Transpose", ["x"], ["t"], { perm: [1, 0, 2] }],
      ["LSTM", ["t", "w", "r"], ["", "y"], { hidden_size: 2 }],
    ],
    initializers: { w: ramp(1, 8, 4), r: ramp(1, 8, 2) },
  };
}

describe("operators of older and newer versions", () => {
  it.each(old)("%s computes what it did", async (_, text) => {
    const bytes = onnxModel(text);
    const network = importOnnx(bytes);
    expect(network.imported.batch).toBe("any");
    const shape = text.inputs?.x?.map((size) => (size === "N" ? 2 : Number(size))) ?? [];
    const expected = await fileOutputs(bytes, { x: shape });
    expect(distance((await outputsOf(network, 2)).y, expected.y)).toBeLessThan(1e-5);
  });

  it.each([
    ["DCR", [0, 2, 4, 6, 1, 3, 5, 7]],
    ["CRD", [0, 1, 2, 3, 4, 5, 6, 7]],
  ] as const)("SpaceToDepth 28 in the order %s undoes DepthToSpace", async (mode, order) => {
    const bytes = onnxModel({
      opset: 28,
      inputs: { x: ["N", 8, 1, 2] },
      outputs: ["y", "z"],
      nodes: [
        ["DepthToSpace", ["x"], ["wide"], { blocksize: 2, mode }],
        ["SpaceToDepth", ["wide"], ["y"], { blocksize: 2, mode }],
        ["SpaceToDepth", ["wide"], ["z"], { blocksize: 2, mode: "CRD" }],
      ],
    });
    const { y, z } = await outputsOf(importOnnx(bytes), 2);
    const x = toNumbers(sample([2, 8, 1, 2]));
    expect(distance(y, x)).toBe(0);
    const channel = (sample: number, c: number) => x.slice((sample * 8 + c) * 2, (sample * 8 + c) * 2 + 2);
    expect(
      distance(
        z,
        [0, 1].flatMap((n) => order.flatMap((c) => channel(n, c))),
      ),
    ).toBe(0);
  });

  it("Mod 28 of floats has the sign of the divisor, as in Python", async () => {
    const divisor = [0.5, -0.5, 0.7, -0.7];
    const text = { ...one(28, ["Mod", ["x", "d"], ["y"]]), initializers: { d: floats([4], divisor) } };
    const expected = toNumbers(sample([1, 3, 4])).map((value, i) => {
      const by = Math.fround(divisor[i % 4] ?? 1);
      return value - by * Math.floor(value / by);
    });
    expect(distance((await outputsOf(importOnnx(onnxModel(text)), 1)).y, expected)).toBeLessThan(1e-6);
  });

  it("expand the scales of groups, as opset 18 had them", () => {
    const network = importOnnx(onnxModel(groups(18, 3)));
    expect(network.graph.nodes.at(-1)?.op).toBe("GroupNormalization");
  });
});

describe("parameters", () => {
  it("that an exporter stored once belong to one layer each", () => {
    const same = floats([2], [0, 0]);
    const network = importOnnx(
      onnxModel({
        inputs: { x: ["N", 2, 4] },
        outputs: ["y"],
        nodes: [
          ["Conv", ["x", "a", "onnx::Conv_7"], ["h"], { kernel_shape: [1] }],
          ["Conv", ["h", "b", "onnx::Conv_7"], ["y"], { kernel_shape: [1] }],
        ],
        initializers: { a: ramp(2, 2, 1), b: ramp(2, 2, 1), "onnx::Conv_7": same },
      }),
    );
    expect(network.parameters.map(({ name }) => name)).toEqual(["a", "Conv_0.bias", "b", "Conv_1.bias"]);
  });

  it("of half precision are read as float32, and constants before the first layer are not trained", () => {
    const half = makeTensor("float16", [2, 2, 1], Uint16Array.of(0x3c00, 0xbc00, 0x3800, 0x0001));
    const network = importOnnx(
      onnxModel({
        inputs: { x: ["N", 2, 4] },
        inputType: "float16",
        outputs: ["y"],
        nodes: [
          ["Mul", ["x", "deviation"], ["n"]],
          ["Conv", ["n", "w"], ["y"]],
        ],
        initializers: { w: half, deviation: floats([2, 1], [2, 3]) },
      }),
    );
    expect(network.parameters.map(({ name, value }) => [name, ...value.data])).toEqual([["w", 1, -1, 0.5, 2 ** -24]]);
  });

  it("before an operator without a gradient are held, with the reason", () => {
    const network = importOnnx(
      onnxModel({
        inputs: { x: ["N", 2, 4] },
        outputs: ["y"],
        nodes: [
          ["Conv", ["x", "a"], ["h"], { kernel_shape: [1] }],
          ["LRN", ["h"], ["n"], { size: 3 }],
          ["Conv", ["n", "b"], ["y"], { kernel_shape: [1] }],
        ],
        initializers: { a: ramp(2, 2, 1), b: ramp(2, 2, 1) },
      }),
    );
    expect(network.parameters.map(({ name, trainable }) => [name, trainable])).toEqual([
      ["a", false],
      ["b", true],
    ]);
    expect(network.imported.held.get("a")).toMatch(/^LRN "LRN_1": LRN has no gradient/);
  });
});

it("an operator that a converter left, with bytes where texts should be, is refused by its name", () => {
  const bytes = onnxModel(one(17, ["StatefulPartitionedCall", ["x"], ["y"], { config_proto: "@@@@" }]));
  const damaged = bytes.map((byte) => (byte === 0x40 ? 0xff : byte));
  expect(() => importOnnx(damaged)).toThrow(/does not know the operator StatefulPartitionedCall/);
});

describe("a branch", () => {
  const branch = (weight: string) => ({
    graph: { outputs: [`${weight}y`], nodes: [["MatMul", ["x", weight], [`${weight}y`]]] as FileText["nodes"] },
  });
  const text = (condition: string): FileText => ({
    inputs: { x: ["N", 2] },
    outputs: ["y"],
    nodes: [
      ["Shape", ["x"], ["shape"]],
      ["Size", ["shape"], ["rank"]],
      ["ReduceMax", ["x"], ["largest"], { keepdims: 0 }],
      ["Equal", ["rank", "two"], ["known"]],
      ["Greater", ["largest", "zero"], ["computed"]],
      ["If", [condition], ["y"], { then_branch: branch("a"), else_branch: branch("b") }],
    ],
    initializers: {
      two: makeTensor("int64", [], BigInt64Array.of(2n)),
      zero: floats([], [0]),
      a: ramp(2, 2),
      b: ramp(2, 2),
    },
  });

  it("that is known is taken", () => {
    expect(importOnnx(onnxModel(text("known"))).parameters.map(({ name }) => name)).toEqual(["a"]);
  });

  it("that depends on the data is refused by name", () => {
    const read = () => importOnnx(onnxModel(text("computed")));
    expect(read).toThrow(UnsupportedError);
    expect(read).toThrow(
      'which branch of this If runs depends on the values of the input "x"; its branches hold MatMul',
    );
  });
});
