/**
 * What exporters of today leave in a file, rebuilt from their documented habits: torch's dynamo exporter and tf2onnx.
 * Files that these programs wrote themselves are in docs/own-model.md (tf2onnx, Paddle2ONNX, torch's older exporter).
 */

import { describe, expect, it } from "vitest";
import { importOnnx } from "../../src/importer/import.ts";
import { makeTensor } from "../../src/ir/tensor.ts";
import { distance, fileOutputs, outputsOf } from "../support/onnx/imported.ts";
import { type FileText, floats, ints, onnxModel, ramp } from "../support/onnx/model.ts";

const ones = (count: number) => floats([count], new Float32Array(count).fill(1));
const whole = (value: number) => makeTensor("int64", [], BigInt64Array.of(BigInt(value)));

/** Weights by their names in the module, constants val_N, sizes s0, allowzero, axes as inputs, attention taken apart. */
const dynamo: FileText = {
  opset: 18,
  inputs: { x: ["s0", 3, 8, 8] },
  outputs: ["linear"],
  nodes: [
    [
      "Conv",
      ["x", "conv.weight", "conv.bias"],
      ["conv2d"],
      { auto_pad: "NOTSET", pads: [1, 1, 1, 1], strides: [2, 2] },
    ],
    [
      "BatchNormalization",
      ["conv2d", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"],
      ["norm"],
      { training_mode: 0, momentum: { float: 0.9 }, epsilon: { float: 1e-5 } },
    ],
    ["Relu", ["norm"], ["relu"]],
    ["Shape", ["relu"], ["sym_size_int"], { start: 0, end: 1 }],
    ["Constant", [], ["val_1"], { value: ints(8) }],
    ["Constant", [], ["val_2"], { value: ints(-1) }],
    ["Concat", ["sym_size_int", "val_1", "val_2"], ["val_3"], { axis: 0 }],
    ["Reshape", ["relu", "val_3"], ["view"], { allowzero: 1 }],
    ["Transpose", ["view"], ["tokens"], { perm: [0, 2, 1] }],
    ["LayerNormalization", ["tokens", "ln.weight", "ln.bias"], ["ln"], { axis: -1, epsilon: { float: 1e-5 } }],
    ["MatMul", ["ln", "q.weight"], ["q"]],
    ["MatMul", ["ln", "k.weight"], ["k"]],
    ["Transpose", ["k"], ["k_t"], { perm: [0, 2, 1] }],
    ["Constant", [], ["val_4"], { value: floats([], [8 ** -0.25]) }],
    ["Mul", ["q", "val_4"], ["q_scaled"]],
    ["Mul", ["k_t", "val_4"], ["k_scaled"]],
    ["MatMul", ["q_scaled", "k_scaled"], ["scores"]],
    ["Softmax", ["scores"], ["shares"], { axis: -1 }],
    ["MatMul", ["shares", "ln"], ["attention"]],
    ["Constant", [], ["val_5"], { value: ints(1) }],
    ["ReduceMean", ["attention", "val_5"], ["mean"], { keepdims: 0, noop_with_empty_axes: 0 }],
    ["Gemm", ["mean", "fc.weight", "fc.bias"], ["linear"], { transB: 1, alpha: { float: 1 }, beta: { float: 1 } }],
  ],
  initializers: {
    "conv.weight": ramp(8, 3, 3, 3),
    "conv.bias": ramp(8),
    "bn.weight": ones(8),
    "bn.bias": ramp(8),
    "bn.running_mean": ramp(8),
    "bn.running_var": ones(8),
    "ln.weight": ones(8),
    "ln.bias": ramp(8),
    "q.weight": ramp(8, 8),
    "k.weight": ramp(8, 8),
    "fc.weight": ramp(4, 8),
    "fc.bias": ramp(4),
  },
};

/** Channels last outside and first inside, padding of its own, names of scopes, a bias as an addition, sizes by the batch. */
const keras: FileText = {
  opset: 13,
  inputs: { input_1: ["unk__7", 8, 8, 3] },
  outputs: ["dense"],
  nodes: [
    ["Transpose", ["input_1"], ["nchw"], { perm: [0, 3, 1, 2] }],
    ["Pad", ["nchw", "pads"], ["padded"], { mode: "constant" }],
    ["Conv", ["padded", "model/conv/kernel:0"], ["conv"], { strides: [2, 2], kernel_shape: [3, 3], group: 1 }],
    ["Add", ["conv", "model/conv/bias:0"], ["biased"]],
    ["Clip", ["biased", "zero", "six"], ["relu6"]],
    ["Transpose", ["relu6"], ["nhwc"], { perm: [0, 2, 3, 1] }],
    ["ReduceMean", ["nhwc"], ["pooled"], { axes: [1, 2], keepdims: 0 }],
    ["Shape", ["pooled"], ["shape"]],
    ["Cast", ["shape"], ["shape32"], { to: 6 }],
    ["Slice", ["shape32", "start", "stop", "axis"], ["row"]],
    ["Squeeze", ["row", "axis"], ["batch"]],
    ["Unsqueeze", ["batch", "axis"], ["batch1"]],
    ["Concat", ["batch1", "units32"], ["target32"], { axis: 0 }],
    ["Cast", ["target32"], ["target"], { to: 7 }],
    ["Reshape", ["pooled", "target"], ["flat"]],
    ["MatMul", ["flat", "model/dense/kernel:0"], ["product"]],
    ["Add", ["product", "model/dense/bias:0"], ["dense"]],
  ],
  initializers: {
    pads: ints(0, 0, 0, 0, 0, 0, 1, 1),
    zero: floats([], [0]),
    six: floats([], [6]),
    start: ints(0),
    stop: ints(1),
    axis: ints(0),
    units32: makeTensor("int32", [1], Int32Array.of(6)),
    "model/conv/kernel:0": ramp(6, 3, 3, 3),
    "model/conv/bias:0": ramp(1, 6, 1, 1),
    "model/dense/kernel:0": ramp(6, 4),
    "model/dense/bias:0": ramp(4),
    unused: whole(1),
  },
};

const trained = (text: FileText) =>
  importOnnx(onnxModel(text))
    .parameters.filter(({ trainable }) => trainable)
    .map(({ name, role }) => `${name}: ${role}`);

/**
 * Dropout of channels and of branches, as the dynamo exporter takes it apart in training mode (torch 2.15), with the
 * share's type given by the random number as it is without the exporter's optimizer.
 */
const dropout = (change: { readonly compared?: readonly string[]; readonly divisor?: number } = {}): FileText => ({
  opset: 20,
  inputs: { x: ["s0", 3, 8, 8] },
  outputs: ["y"],
  nodes: [
    ["Conv", ["x", "conv.weight"], ["conv2d"]],
    ["Shape", ["conv2d"], ["size"], { start: 0, end: 1 }],
    ["Concat", ["size", "val_1"], ["val_2"], { axis: 0 }],
    ["Expand", ["val_3", "val_2"], ["empty"]],
    ["RandomUniformLike", ["empty"], ["rands"], { high: { float: 1 }, low: { float: 0 } }],
    ["CastLike", ["p", "rands"], ["p_cast"]],
    ["Less", change.compared ?? ["rands", "p_cast"], ["sampled"]],
    ["Cast", ["sampled"], ["bernoulli"], { to: 1 }],
    ["Div", ["bernoulli", "val_4"], ["div"]],
    ["Mul", ["conv2d", "div"], ["y"]],
  ],
  initializers: {
    "conv.weight": ramp(4, 3, 1, 1),
    val_1: ints(4, 1, 1),
    val_3: floats([], [0]),
    p: floats([], [0.8]),
    val_4: floats([], [change.divisor ?? 0.8]),
  },
});

describe("a decomposed dropout", () => {
  it("is left out, and said so", () => {
    const network = importOnnx(onnxModel(dropout()));
    expect(network.graph.nodes.map(({ op }) => op)).toEqual(["Conv"]);
    expect(network.imported.batch).toBe("any");
    expect(network.imported.notes).toContain("Dropout is removed: training runs without it.");
  });

  it.each([
    ["the random number is compared otherwise", { compared: ["p_cast", "rands"] }],
    ["what is kept is scaled otherwise", { divisor: 0.7 }],
  ])("is refused where %s", (_, change) => {
    expect(() => importOnnx(onnxModel(dropout(change)))).toThrow(/RandomUniformLike/);
  });
});

describe("a bias that torch's dynamo exporter made up", () => {
  it("of one number for all channels is no parameter", () => {
    const network = importOnnx(
      onnxModel({
        opset: 20,
        inputs: { x: ["s0", 3, 8, 8] },
        outputs: ["y"],
        nodes: [
          ["CastLike", ["zero", "x"], ["zero_cast"]],
          ["Shape", ["conv.weight"], ["channels"], { start: 0, end: 1 }],
          ["Expand", ["zero_cast", "channels"], ["bias"]],
          ["Conv", ["x", "conv.weight", "bias"], ["y"]],
        ],
        initializers: { "conv.weight": ramp(4, 3, 1, 1), zero: floats([], [0]) },
      }),
    );
    expect(network.parameters.map(({ name }) => name)).toEqual(["conv.weight"]);
  });
});

describe("a model as it is written by", () => {
  it.each([
    ["torch's dynamo exporter", dynamo, [3, 3, 8, 8]],
    ["tf2onnx", keras, [3, 8, 8, 3]],
  ] as const)(
    "%s holds for any batch, without its arithmetic of shapes, and computes the same",
    async (_, text, shape) => {
      const network = importOnnx(onnxModel(text));
      expect(network.imported.batch).toBe("any");
      expect(network.imported.held.size).toBe(0);
      const operators = new Set(network.graph.nodes.map(({ op }) => op));
      for (const left of ["Shape", "Gather", "Slice", "Squeeze", "Unsqueeze", "Cast", "Constant"]) {
        expect(operators).not.toContain(left);
      }
      const [input = ""] = Object.keys(text.inputs ?? {});
      const [output = ""] = text.outputs;
      const expected = await fileOutputs(onnxModel(text), { [input]: [...shape] });
      expect(distance((await outputsOf(network, 3))[output], expected[output])).toBeLessThan(1e-5);
    },
  );

  it("both has its weights trained under their own names, and no constant of the exporter", () => {
    expect(trained(dynamo)).toEqual([
      "conv.weight: weight",
      "conv.bias: bias",
      "bn.weight: normalization-scale",
      "bn.bias: normalization-bias",
      "ln.weight: normalization-scale",
      "ln.bias: normalization-bias",
      "q.weight: weight",
      "k.weight: weight",
      "fc.weight: weight",
      "fc.bias: bias",
    ]);
    expect(trained(keras).map((text) => text.replace(/: [a-z-]+$/, ""))).toEqual([
      "model/conv/kernel:0",
      "model/conv/bias:0",
      "model/dense/kernel:0",
      "model/dense/bias:0",
    ]);
  });
});
