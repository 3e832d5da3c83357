/** A Loop that runs a known number of times is written out, with the weights of all times shared. */

import { describe, expect, it } from "vitest";
import { importOnnx } from "../../../src/importer/import.ts";
import { int64Tensor, makeTensor } from "../../../src/ir/tensor.ts";
import { distance, fileOutputs, outputsOf } from "../../support/onnx/imported.ts";
import { type FileText, floats, type GraphText, ints, onnxModel, ramp } from "../../support/onnx/model.ts";

const times = 5;
const inputs = { x: [2, times, 3] };
const inputTypes = { time: "int64", before: "bool" } as const;

/** One step of a recurrent cell over x of [times, batch, 3], with its weights as states that stay, as tf2onnx writes it. */
const cell: GraphText = {
  inputs: { time: [], before: [], h: [2, 4], u: [4, 8], v: [3, 8] },
  inputTypes,
  outputs: ["goes.on", "h.next", "u", "v", "h.collected"],
  nodes: [
    ["Split", ["bias"], ["bias.input", "bias.state"], { axis: 0 }],
    ["Squeeze", ["bias.input", "first"], ["input.bias"]],
    ["Squeeze", ["bias.state", "first"], ["state.bias"]],
    ["Gather", ["x.turned", "time"], ["now"]],
    ["MatMul", ["now", "v"], ["a"]],
    ["Add", ["a", "input.bias"], ["b"]],
    ["MatMul", ["h", "u"], ["c"]],
    ["Add", ["c", "state.bias"], ["d"]],
    ["Add", ["b", "d"], ["e"]],
    ["Split", ["e"], ["gate", "content"], { axis: 1 }],
    ["Sigmoid", ["gate"], ["s"]],
    ["Tanh", ["content"], ["t"]],
    ["Mul", ["s", "t"], ["h.collected"]],
    ["Identity", ["h.collected"], ["h.next"]],
    ["Add", ["time", "one"], ["time.next"]],
    ["Less", ["time.next", "last"], ["goes.on"]],
  ],
  initializers: { first: ints(0), one: int64Tensor([1], []) },
};

function recurrent(more: Partial<FileText> = {}, body: GraphText = cell): FileText {
  return {
    opset: 13,
    inputs,
    outputs: ["y"],
    nodes: [
      ["Transpose", ["x"], ["x.turned"], { perm: [1, 0, 2] }],
      [
        "Loop",
        ["most", "begins", "zero", "w.state", "w.input"],
        ["h", "u.last", "v.last", "all"],
        { body: { graph: body } },
      ],
      ["Transpose", ["all"], ["all.turned"], { perm: [1, 0, 2] }],
      ["Unsqueeze", ["h", "axis"], ["h.wide"]],
      ["Concat", ["all.turned", "h.wide"], ["y"], { axis: 1 }],
    ],
    initializers: {
      most: int64Tensor([times], []),
      begins: makeTensor("bool", [], Uint8Array.of(1)),
      last: int64Tensor([times], []),
      zero: floats([2, 4], new Float32Array(8)),
      "w.state": ramp(4, 8),
      "w.input": ramp(3, 8),
      bias: ramp(2, 8),
      axis: ints(1),
    },
    ...more,
  };
}

async function distanceOf(file: FileText): Promise<number> {
  const network = importOnnx(onnxModel(file), { keepBatch: true });
  return distance((await outputsOf(network)).y, (await fileOutputs(onnxModel(file), inputs)).y);
}

describe("a Loop", () => {
  it("computes what the file computes", async () => {
    expect(await distanceOf(recurrent())).toBeLessThan(1e-6);
  });

  it("has one parameter for each weight, however often it runs", () => {
    const { parameters } = importOnnx(onnxModel(recurrent()), { keepBatch: true });
    expect(parameters.map(({ name, role }) => [name, role])).toEqual([
      ["w.input", "weight"],
      ["bias", "bias"],
      ["w.state", "weight"],
      ["bias_1", "bias"],
    ]);
  });

  it("stops where its body says so", async () => {
    const file = recurrent();
    const initializers = { ...file.initializers, last: int64Tensor([3], []) };
    expect(await distanceOf({ ...file, initializers })).toBeLessThan(1e-6);
  });

  it("runs without a limit until its body says so", async () => {
    const file = recurrent();
    const nodes = file.nodes.map((node): typeof node =>
      node[0] === "Loop" ? ["Loop", ["", ...node[1].slice(1)], node[2], { body: { graph: cell } }] : node,
    );
    expect(await distanceOf({ ...file, nodes })).toBeLessThan(1e-6);
  });

  it("that ends where the data say so is refused", () => {
    const body: GraphText = {
      ...cell,
      nodes: [
        ...cell.nodes.slice(0, -1),
        ["ReduceMax", ["h.collected"], ["most.now"], { keepdims: 0 }],
        ["Less", ["most.now", "half"], ["goes.on"]],
      ],
      initializers: { ...cell.initializers, half: floats([], [0.5]) },
    };
    expect(() => importOnnx(onnxModel(recurrent({}, body)), { keepBatch: true })).toThrow(
      /the number of iterations of this Loop depends on the data/,
    );
  });

  it.each(["goes.on", "before"])("that would be written out without end is refused (%s)", (condition) => {
    expect(() => importOnnx(counting(2 ** 40, counter(condition)))).toThrow(/runs up to 1099511627776 times/);
  });

  it("in a Loop is counted with the outer one", () => {
    const inner: FileText["nodes"][number] = [
      "Loop",
      ["most", "before", "sum"],
      ["sum.next"],
      { body: { graph: adder } },
    ];
    const { nodes, ...outer } = counter("before");
    const deep = (times: number) => counting(times, { ...outer, nodes: [...nodes.slice(1), inner] });
    expect(importOnnx(deep(20)).graph.nodes.map(({ op }) => op)).toEqual(["Conv", "Mul"]);
    expect(() => importOnnx(deep(200))).toThrow(/this Loop runs up to 200 times, which is over 20000 nodes/);
  });

  it("that never runs keeps its states", async () => {
    const file = recurrent({ outputs: ["y"] });
    const nodes: FileText["nodes"] = [
      ...file.nodes.slice(0, 1),
      [
        "Loop",
        ["none", "begins", "h.first", "w.state", "w.input"],
        ["h", "u.last", "v.last"],
        { body: { graph: withoutCollecting } },
      ],
      ["Conv", ["x", "kernel"], ["conv"]],
      ["ReduceMean", ["conv"], ["m"], { axes: [1, 2], keepdims: 0 }],
      ["Unsqueeze", ["m", "axis"], ["m.wide"]],
      ["Add", ["m.wide", "h"], ["y"]],
    ];
    const initializers = {
      ...file.initializers,
      none: int64Tensor([0], []),
      "h.first": ramp(2, 4),
      kernel: ramp(2, times, 1),
    };
    expect(await distanceOf({ ...file, nodes, initializers })).toBeLessThan(1e-6);
  });

  it("with a body that does not fit its states is refused", () => {
    const body = { ...cell, outputs: ["goes.on", "h.next"] };
    expect(() => importOnnx(onnxModel(recurrent({}, body)), { keepBatch: true })).toThrow(
      /the body of this Loop takes 5 values and gives 2/,
    );
  });
});

const withoutCollecting: GraphText = { ...cell, outputs: cell.outputs.slice(0, 4) };
const unit = { one: int64Tensor([1], []) };

/** Adds one to a number. */
const adder: GraphText = {
  inputs: { "inner.time": [], "inner.before": [], count: [] },
  inputTypes: { "inner.time": "int64", "inner.before": "bool", count: "int64" },
  outputs: ["inner.before", "count.next"],
  nodes: [["Add", ["count", "one"], ["count.next"]]],
  initializers: unit,
};

function counter(condition: string): GraphText {
  return {
    inputs: { time: [], before: [], sum: [] },
    inputTypes: { ...inputTypes, sum: "int64" },
    outputs: [condition, "sum.next"],
    nodes: [
      ["Add", ["sum", "one"], ["sum.next"]],
      ["Less", ["time", "most"], ["goes.on"]],
    ],
    initializers: unit,
  };
}

/** A convolution times what a loop counted. */
function counting(most: number, body: GraphText): Uint8Array {
  return onnxModel({
    opset: 13,
    inputs: { x: ["N", 1, 3] },
    outputs: ["y"],
    nodes: [
      ["Conv", ["x", "kernel"], ["c"]],
      ["Loop", ["most", "", "zero"], ["total"], { body: { graph: body } }],
      ["Cast", ["total"], ["factor"], { to: 1 }],
      ["Mul", ["c", "factor"], ["y"]],
    ],
    initializers: { kernel: ramp(2, 1, 1), most: int64Tensor([most], []), zero: int64Tensor([0], []) },
  });
}
