/** Recurrent layers of files: written out over time with shared names and weights, or left with the reason. */

import { describe, expect, it } from "vitest";
import { exportOnnx } from "../../../src/importer/export.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import { int64Tensor, makeTensor } from "../../../src/ir/tensor.ts";
import { distance, fileOutputs, outputsOf } from "../../support/onnx/imported.ts";
import {
  type FileText,
  floats,
  ints,
  type ModelAttribute,
  type NodeText,
  onnxModel,
  ramp,
} from "../../support/onnx/model.ts";

const turn: NodeText = ["Transpose", ["x"], ["t"], { perm: [1, 0, 2] }];
const weights = { w: ramp(1, 8, 4), r: ramp(1, 8, 2), b: ramp(1, 16) };

/** A network [N, 5, 4] → [N, …] whose nodes read t, the data with time in front. */
function model(nodes: readonly NodeText[], initializers: FileText["initializers"] = {}): Uint8Array {
  return onnxModel({
    inputs: { x: ["N", 5, 4] },
    outputs: ["y"],
    nodes: [turn, ...nodes],
    initializers: { ...weights, ...initializers },
  });
}

const lstm = (attributes: Readonly<Record<string, ModelAttribute>> = {}, inputs = ["t", "w", "r"]): NodeText => [
  "LSTM",
  inputs,
  ["s", "h"],
  { hidden_size: 2, ...attributes },
];
const lastState: NodeText = ["Squeeze", ["h", "first"], ["y"]];
const first = { first: ints(0) };

it("nodes of one purpose share a name, a layer and the weights at all steps", () => {
  const { graph, parameters } = importOnnx(model([lstm({}, ["t", "w", "r", "b"]), lastState], first));
  const products = graph.nodes.filter(({ op }) => op === "Gemm");
  expect(products.map(({ origin }) => origin.step)).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4]);
  expect(new Set(products.map(({ name }) => name))).toEqual(new Set(["LSTM_1/input", "LSTM_1/recurrent"]));
  expect(new Set(products.map(({ origin }) => origin.layer)).size).toBe(1);
  expect(parameters.map(({ name, value }) => [name, ...value.shape])).toEqual([
    ["LSTM_1.input.weight", 8, 4],
    ["LSTM_1.input.bias", 8],
    ["LSTM_1.recurrent.weight", 8, 2],
  ]);
});

/** Ways to read a sequence or a state, all of which end with the batch in front. */
const readings: readonly (readonly [string, readonly NodeText[], FileText["initializers"]])[] = [
  ["last state squeezed", [lstm(), lastState], first],
  ["last state by index", [lstm(), ["Gather", ["h", "index"], ["y"], { axis: 0 }]], { index: ints0(-1) }],
  [
    "last output of a sequence with the batch in front, as torch writes it",
    [
      lstm(),
      ["Transpose", ["s"], ["a"], { perm: [0, 2, 1, 3] }],
      ["Reshape", ["a", "flat"], ["f"]],
      ["Transpose", ["f"], ["q"], { perm: [1, 0, 2] }],
      ["Gather", ["q", "last"], ["y"], { axis: 1 }],
    ],
    { flat: ints(0, 0, -1), last: ints0(-1) },
  ],
  [
    "last output of a sequence with time in front",
    [lstm(), ["Squeeze", ["s", "one"], ["q"]], ["Gather", ["q", "last"], ["y"], { axis: 0 }]],
    { one: ints(1), last: ints0(-1) },
  ],
  [
    "two layers, the sequence between them",
    [
      lstm(),
      ["Squeeze", ["s", "one"], ["q"]],
      ["GRU", ["q", "w2", "r2"], ["", "h2"], { hidden_size: 3, linear_before_reset: 1 }],
      ["Squeeze", ["h2", "zero"], ["y"]],
    ],
    { one: ints(1), zero: ints(0), w2: ramp(1, 9, 2), r2: ramp(1, 9, 3) },
  ],
];

it("the last output in two directions is one state of each", () => {
  const bytes = onnxModel({
    inputs: { x: ["N", 5, 4] },
    outputs: ["y"],
    nodes: [
      turn,
      ["LSTM", ["t", "w", "r"], ["s"], { hidden_size: 2, direction: "bidirectional" }],
      ["Transpose", ["s"], ["a"], { perm: [0, 2, 1, 3] }],
      ["Reshape", ["a", "flat"], ["f"]],
      ["Transpose", ["f"], ["q"], { perm: [1, 0, 2] }],
      ["Gather", ["q", "last"], ["y"], { axis: 1 }],
    ],
    initializers: { w: ramp(2, 8, 4), r: ramp(2, 8, 2), flat: ints(0, 0, -1), last: ints0(-1) },
  });
  const { graph } = importOnnx(bytes);
  expect(graph.nodes.filter(({ op }) => op === "Concat").map(({ inputs }) => inputs.length)).toEqual([2]);
  // Of the reverse direction the last output is that of its first step.
  expect(graph.nodes.filter(({ op }) => op === "Gemm")).toHaveLength(9 + 1);
});

function ints0(value: number) {
  return int64Tensor([value], []);
}

function int32(values: readonly number[]) {
  return makeTensor("int32", [values.length], Int32Array.from(values));
}

describe("the batch stays in front", () => {
  it.each(readings)("%s", async (name, nodes, initializers) => {
    const bytes = model(nodes, initializers);
    const network = importOnnx(bytes);
    expect(network.imported.batch).toBe("any");
    // One state of a sequence needs none of the others.
    const superfluous = ["Transpose", "LSTM", "GRU", "Gather", "Squeeze"];
    expect(network.graph.nodes.filter(({ op }) => superfluous.includes(op))).toEqual([]);
    const joins = network.graph.nodes.filter(({ op }) => op === "Concat");
    expect(joins).toHaveLength(name.startsWith("two layers") ? 1 : 0);
    const { y } = await fileOutputs(bytes, { x: [3, 5, 4] });
    expect(distance((await outputsOf(network, 3)).y, y)).toBeLessThan(1e-6);
    const written = await fileOutputs(exportOnnx(network), { x: [1, 5, 4] });
    expect(distance((await outputsOf(network, 1)).y, written.y)).toBeLessThan(1e-6);
  });
});

describe("initial states of zeros", () => {
  it("as exporters write them cost nothing", async () => {
    const nodes: NodeText[] = [
      ["Shape", ["x"], ["n"], { end: 1 }],
      ["Concat", ["one", "n", "two"], ["sizes"], { axis: 0 }],
      ["Expand", ["nothing", "sizes"], ["zeros"]],
      ["Slice", ["zeros", "zero", "one", "zero"], ["state"]],
      lstm({}, ["t", "w", "r", "b", "", "state", "state"]),
      lastState,
    ];
    const bytes = model(nodes, { ...first, one: ints(1), two: ints(2), zero: ints(0), nothing: floats([], [0]) });
    const network = importOnnx(bytes);
    const plain = importOnnx(model([lstm({}, ["t", "w", "r", "b"]), lastState], first));
    expect(network.graph.nodes.map(({ op }) => op)).toEqual(plain.graph.nodes.map(({ op }) => op));
    const { y } = await fileOutputs(bytes, { x: [2, 5, 4] });
    expect(distance((await outputsOf(network, 2)).y, y)).toBeLessThan(1e-6);
  });
});

it("a module that is called twice has one set of weights", () => {
  const call = (state: string, i: number): NodeText => [
    "LSTM",
    [state, "w", "r", "b"],
    ["", `h${i}`],
    { hidden_size: 2 },
  ];
  const nodes: NodeText[] = [
    call("t", 0),
    ["Mul", ["t", "half"], ["u"]],
    call("u", 1),
    ["Add", ["h0", "h1"], ["h"]],
    lastState,
  ];
  const { parameters } = importOnnx(model(nodes, { ...first, half: floats([], [0.5]) }));
  expect(parameters.map(({ name }) => name)).toEqual([
    "LSTM_1.input.weight",
    "LSTM_1.input.bias",
    "LSTM_1.recurrent.weight",
  ]);
});

describe("what cannot be written out is evaluated and says why it does not train", () => {
  const text = (values: readonly string[]) => ({ strings: values });
  it.each([
    ["lengths", lstm({}, ["t", "w", "r", "b", "lengths"]), "its sequences have lengths of their own"],
    ["peepholes", lstm({}, ["t", "w", "r", "b", "", "", "", "p"]), "it has peepholes"],
    ["clipping", lstm({ clip: { float: 1 } }), "it clips what its functions read"],
    ["coupled gates", lstm({ input_forget: 1 }), "its input and forget gates are coupled"],
    [
      "other functions",
      lstm({ activations: text(["Softsign", "Tanh", "Tanh"]) }),
      "its function Softsign is not one of Sigmoid, Tanh, Relu",
    ],
  ] as const)("%s", (_, node, reason) => {
    const lengths = int32([5, 4]);
    const bytes = onnxModel({
      inputs: { x: [2, 5, 4] },
      outputs: ["y"],
      nodes: [turn, node, lastState],
      initializers: { ...weights, ...first, lengths, p: ramp(1, 6) },
    });
    const { graph, imported } = importOnnx(bytes);
    expect(graph.nodes.map(({ op }) => op)).toContain("LSTM");
    expect([...imported.held.values()]).toEqual(
      [...imported.held].map(() => `LSTM "LSTM_1": LSTM has no gradient here: ${reason}`),
    );
    expect(imported.held.size).toBeGreaterThanOrEqual(2);
  });

  it("sequences of very many steps", () => {
    const bytes = onnxModel({
      inputs: { x: ["N", 1001, 4] },
      outputs: ["y"],
      nodes: [turn, lstm(), lastState],
      initializers: { ...weights, ...first },
    });
    const { imported } = importOnnx(bytes);
    expect([...imported.held.values()][0]).toContain("its sequences have 1001 steps, over 1000");
  });

  it("lengths that are those of the whole sequence are none", () => {
    const lengths = int32([5, 5]);
    const bytes = onnxModel({
      inputs: { x: [2, 5, 4] },
      outputs: ["y"],
      nodes: [turn, lstm({}, ["t", "w", "r", "b", "lengths"]), lastState],
      initializers: { ...weights, ...first, lengths },
    });
    expect(importOnnx(bytes).imported.held.size).toBe(0);
  });
});
