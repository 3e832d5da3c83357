/** Models that ONNX files are fuzzed from: shape arithmetic, control flow, recurrence, quantizers of three styles, external data. */

import { makeTensor, type Tensor } from "../../../src/ir/tensor.ts";
import { type FileText, floats, ints, onnxModel, ramp } from "../../support/onnx/model.ts";

const yes: Tensor = { dtype: "bool", shape: [], data: Uint8Array.of(1) };
const zeroPoint = makeTensor("uint8", [], Uint8Array.of(3));
const weightCodes = makeTensor("int8", [3, 4], Int8Array.of(1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12));

const convolutional: FileText = {
  opset: 11,
  inputs: { x: ["N", 3, 4, 4] },
  outputs: ["y"],
  nodes: [
    ["Conv", ["x", "w", "b"], ["c"], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2], group: 1 }],
    ["BatchNormalization", ["c", "b", "b", "b", "variance"], ["n"], { epsilon: { float: 1e-5 } }],
    ["Clip", ["n"], ["r"]],
    ["MaxPool", ["r"], ["p"], { kernel_shape: [2, 2], strides: [1, 1] }],
    ["Shape", ["p"], ["s"]],
    ["Slice", ["s", "zero", "one"], ["rows"]],
    ["Concat", ["rows", "rest"], ["t"], { axis: 0 }],
    ["Reshape", ["p", "t"], ["f"]],
    ["Gemm", ["f", "v"], ["g"], { transB: 1, alpha: { float: 0.5 } }],
    ["Softmax", ["g"], ["y"], { axis: 1 }],
  ],
  initializers: {
    w: ramp(4, 3, 3, 3),
    b: ramp(4),
    variance: floats([4], [1, 1, 2, 1]),
    v: ramp(2, 4),
    zero: ints(0),
    one: ints(1),
    rest: ints(-1),
  },
};

/** Shape arithmetic, splitting, resizing and padding. */
export const shapes: FileText = {
  opset: 18,
  inputs: { x: ["N", 3, 4] },
  outputs: ["y", "z"],
  nodes: [
    ["Split", ["x"], ["a", "b"], { axis: 2, num_outputs: 2 }],
    ["MatMul", ["a", "w"], ["m"]],
    ["LayerNormalization", ["m", "scale", "scale"], ["n"], { axis: -1 }],
    ["Expand", ["scale", "to"], ["e"]],
    ["Tile", ["e", "times"], ["o"]],
    ["Add", ["n", "o"], ["y"]],
    ["Resize", ["b", "", "scales"], ["r"], { mode: "linear" }],
    ["Pad", ["r", "pads"], ["z"]],
  ],
  initializers: {
    w: ramp(2, 5),
    scale: ramp(5),
    to: ints(1, 1, 5),
    times: ints(1, 3, 1),
    scales: floats([3], [1, 1, 2.5]),
    pads: ints(0, 0, 1, 0, 0, 1),
  },
};

/** A recurrence, and a branch whose condition is known from the shapes. */
export const recurrent: FileText = {
  inputs: { x: ["N", 3, 4] },
  outputs: ["y"],
  nodes: [
    ["Transpose", ["x"], ["t"], { perm: [1, 0, 2] }],
    ["LSTM", ["t", "w", "r"], ["", "h"], { hidden_size: 2 }],
    ["Squeeze", ["h", "zero"], ["s"]],
    ["Shape", ["x"], ["shape"]],
    ["Size", ["shape"], ["rank"]],
    ["Equal", ["rank", "three"], ["known"]],
    [
      "If",
      ["known"],
      ["y"],
      {
        then_branch: { graph: { outputs: ["a"], nodes: [["MatMul", ["s", "v"], ["a"]]] } },
        else_branch: { graph: { outputs: ["b"], nodes: [["Relu", ["s"], ["b"]]] } },
      },
    ],
  ],
  initializers: { w: ramp(1, 8, 4), r: ramp(1, 8, 2), v: ramp(2, 3), zero: ints(0), three: ints(3) },
};

const loop: FileText = {
  inputs: { x: [2, 4] },
  outputs: ["y", "all"],
  nodes: [
    [
      "Loop",
      ["times", "yes", "x"],
      ["y", "all"],
      {
        body: {
          graph: {
            inputs: { i: [], c: [], s: [2, 4] },
            inputTypes: { i: "int64", c: "bool" },
            outputs: ["c2", "s2", "out"],
            nodes: [
              ["Identity", ["c"], ["c2"]],
              ["MatMul", ["s", "w"], ["m"]],
              ["Relu", ["m"], ["s2"]],
              ["Identity", ["s2"], ["out"]],
            ],
          },
        },
      },
    ],
  ],
  initializers: { times: ints(3), yes, w: ramp(4, 4) },
};

const quantizedAndDequantized: FileText = {
  opset: 13,
  inputs: { x: ["N", 4] },
  outputs: ["y"],
  nodes: [
    ["QuantizeLinear", ["x", "s", "zx"], ["q"]],
    ["DequantizeLinear", ["q", "s", "zx"], ["d"]],
    ["DequantizeLinear", ["codes", "sw", "zw"], ["w"], { axis: 0 }],
    ["Gemm", ["d", "w", "b"], ["g"], { transB: 1 }],
    ["Relu", ["g"], ["r"]],
    ["QuantizeLinear", ["r", "s", "zx"], ["q2"]],
    ["DequantizeLinear", ["q2", "s", "zx"], ["y"]],
  ],
  initializers: {
    s: floats([], [0.1]),
    zx: zeroPoint,
    codes: weightCodes,
    sw: floats([3], [0.1, 0.2, 0.3]),
    zw: makeTensor("int8", [3], new Int8Array(3)),
    b: ramp(3),
  },
};

const qonnx = "qonnx.custom_op.general";

const quantOperators: FileText = {
  inputs: { x: ["N", 4] },
  outputs: ["y"],
  nodes: [
    ["Quant", ["x", "s", "z", "bits"], ["q"], { signed: 1, narrow: 0, rounding_mode: "ROUND" }, qonnx],
    ["Quant", ["w", "sw", "z", "four"], ["v"], { signed: 1, narrow: 1, rounding_mode: "ROUND" }, qonnx],
    ["MatMul", ["q", "v"], ["m"]],
    ["BipolarQuant", ["u", "s"], ["p"], {}, qonnx],
    ["MatMul", ["m", "p"], ["y"]],
  ],
  initializers: {
    s: floats([], [0.25]),
    z: floats([], [0]),
    bits: floats([], [8]),
    four: floats([], [4]),
    w: ramp(4, 3),
    sw: floats([1, 3], [0.1, 0.2, 0.3]),
    u: ramp(3, 2),
  },
};

const external: FileText = {
  inputs: { x: ["N", 4] },
  outputs: ["y"],
  nodes: [["Gemm", ["x", "w", "b"], ["y"]]],
  initializers: { w: ramp(4, 3), b: ramp(3) },
  external: { w: "weights.bin" },
};

const texts = {
  ONNX: [convolutional, shapes, recurrent, loop],
  QDQ: [quantizedAndDequantized],
  QONNX: [quantOperators],
  "external data": [external],
} as const satisfies Readonly<Record<string, readonly FileText[]>>;

/** The undamaged files of a kind. */
export function seedModels(kind: keyof typeof texts): readonly Uint8Array[] {
  return texts[kind].map((text) => onnxModel(text));
}

/** The kinds of models. */
export const modelKinds = ["ONNX", "QDQ", "QONNX", "external data"] as const satisfies readonly (keyof typeof texts)[];
