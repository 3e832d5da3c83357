/**
 * A module that is called twice has one set of parameters. Exporters store equal tensors once, so layers with the same default
 * tensor are told apart from calls of one module by the tensors that were trained.
 */
import { describe, expect, it } from "vitest";
import { addForward, trainingMode } from "../../src/compile/build/forward.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { newBuilder } from "../../src/compile/registry.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { toNumbers } from "../../src/ir/tensor.ts";
import { genericTarget } from "../../src/ops/targets.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { emit } from "../../src/runtime/job.ts";
import { runFloats, sample } from "../support/onnx/imported.ts";
import { type FileText, floats, type NodeText, onnxModel, ramp } from "../support/onnx/model.ts";

const ones = floats([2], [1, 1]);
const zeros = floats([2], [0, 0]);
const trained = floats([2], [0.5, -0.25]);
const stated = { scale: ones, offset: zeros, mean: trained, variance: floats([2], [1, 2]) };

type Initializers = NonNullable<FileText["initializers"]>;

/** Two nodes of an operator, one after the other. */
function twice(op: string, first: readonly string[], second: readonly string[], initializers: Initializers): FileText {
  const nodes: NodeText[] = [
    [op, ["x", ...first], ["h"]],
    ["Tanh", ["h"], ["t"]],
    [op, ["t", ...second], ["y"]],
  ];
  return { inputs: { x: ["N", 2, 4] }, outputs: ["y"], nodes, initializers };
}

const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

const norm = ["scale", "offset", "mean", "variance"];
const cases: readonly (readonly [string, FileText, number])[] = [
  ["a convolution", twice("Conv", ["w", "b"], ["w", "b"], { w: ramp(2, 2, 1), b: zeros }), 2],
  [
    "convolutions with one zero bias",
    twice("Conv", ["w", "b"], ["v", "b"], { w: ramp(2, 2, 1), v: ramp(2, 2, 1), b: zeros }),
    4,
  ],
  [
    "convolutions with one weight",
    twice("Conv", ["w", "a"], ["w", "b"], { w: ramp(2, 2, 1), a: zeros, b: trained }),
    3,
  ],
  ["a normalization that was trained", twice("BatchNormalization", norm, norm, stated), 4],
  [
    "normalizations of one default",
    twice("BatchNormalization", norm, norm, { ...stated, mean: zeros, variance: ones }),
    8,
  ],
  ["an instance normalization", twice("InstanceNormalization", ["w", "b"], ["w", "b"], { w: trained, b: zeros }), 2],
];

describe("two nodes", () => {
  it.each(cases)("that are %s", (_, text, count) => {
    expect(importOnnx(onnxModel(text)).parameters).toHaveLength(count);
  });

  it("move the running statistics of one BatchNormalization one after the other, as torch does", async () => {
    const network = importOnnx(onnxModel(twice("BatchNormalization", norm, norm, stated)), { batch: 3 });
    const builder = newBuilder("step");
    const inputs = new Map(network.graph.inputs.map(({ name, type }) => [name, builder.input(name, type)]));
    const { updates } = addForward(builder, network, inputs, trainingMode);
    const mean = updates.get("mean");
    if (mean === undefined) throw new Error("the mean is not moved");
    builder.output("moved", mean);
    const x = sample([3, 2, 4]);
    const parameters = Object.fromEntries(network.parameters.map(({ name, value }) => [name, value]));
    const { moved } = await runFloats(emit(builder.finish(), genericTarget), { x, ...parameters });
    const channel = toNumbers(x).filter((_, i) => Math.floor(i / 4) % 2 === 0);
    const deviation = Math.sqrt(average(channel.map((value) => (value - average(channel)) ** 2)) + 1e-5);
    const second = channel.map((value) => Math.tanh((value - average(channel)) / deviation));
    expect(moved?.[0]).toBeCloseTo(0.9 * (0.9 * 0.5 + 0.1 * average(channel)) + 0.1 * average(second), 5);
  });
});

describe("a stored matrix", () => {
  const matrix = { w: ramp(3, 4) };
  const x = { x: ["N", 2, 4] };

  it("that two nodes transpose alike is one weight", () => {
    const nodes: NodeText[] = [
      ["Transpose", ["w"], ["a"], { perm: [1, 0] }],
      ["MatMul", ["x", "a"], ["h"]],
      ["Tanh", ["x"], ["u"]],
      ["Transpose", ["w"], ["b"], { perm: [1, 0] }],
      ["MatMul", ["u", "b"], ["v"]],
      ["Add", ["h", "v"], ["y"]],
    ];
    const network = importOnnx(onnxModel({ inputs: x, outputs: ["y"], nodes, initializers: matrix }));
    expect(network.parameters.map(({ name, trainable }) => [name, trainable])).toEqual([["w", true]]);
  });

  it("that is used as it is and transposed is one weight, quantized in both places", () => {
    const nodes: NodeText[] = [
      ["Transpose", ["w"], ["a"], { perm: [1, 0] }],
      ["MatMul", ["x", "a"], ["h"]],
      ["Tanh", ["h"], ["u"]],
      ["MatMul", ["u", "w"], ["y"]],
    ];
    const network = importOnnx(onnxModel({ inputs: x, outputs: ["y"], nodes, initializers: matrix }));
    expect(network.parameters.map(({ name, role, trainable }) => [name, role, trainable])).toEqual([
      ["w", "weight", true],
    ]);
    const { sites, graph } = quantize(network, presetNamed("lsq", { weightBits: 4, activationBits: 4 }));
    expect(sites.map(({ kind }) => kind).sort()).toEqual(["activation", "activation", "weight"]);
    const float = graph.nodes.filter(({ op, inputs }) => op === "MatMul" && inputs[1]?.name === "w");
    expect(float).toEqual([]);
  });

  it.each([
    ["transposed", (rows: number, columns: number, i: number) => (i % rows) * columns + Math.floor(i / rows), [4, 3]],
    ["as it is", (_: number, __: number, i: number) => i, [3, 4]],
  ] as const)("that is stored a second time, %s, is named once", (_, from, shape) => {
    const data = toNumbers(matrix.w);
    const copy = floats(
      shape,
      data.map((_, i) => data[from(3, 4, i)] ?? 0),
    );
    const nodes: NodeText[] = [
      ["MatMul", ["x", shape[0] === 4 ? "v" : "u"], ["h"]],
      ["Tanh", ["h"], ["t"]],
      ["MatMul", ["t", "w"], ["y"]],
    ];
    const u = ramp(4, 3);
    const text: FileText = {
      inputs: x,
      outputs: ["y", "z"],
      nodes: [...nodes, ["MatMul", ["t", "v2"], ["z"]]],
      initializers: { ...matrix, v: copy, u, v2: shape[0] === 4 ? ramp(3, 5) : copy },
    };
    const { notes } = importOnnx(onnxModel(text)).imported;
    expect(notes.filter((note) => note.includes("same numbers twice"))).toHaveLength(1);
    expect(notes.join()).toContain('"w"');
  });

  it("is not named where the numbers differ, or are all one default", () => {
    const nodes: NodeText[] = [
      ["MatMul", ["x", "v"], ["h"]],
      ["Tanh", ["h"], ["t"]],
      ["MatMul", ["t", "w"], ["y"]],
    ];
    const differ = { w: ramp(3, 4), v: floats([4, 3], toNumbers(ramp(4, 3)).toReversed()) };
    const default_ = {
      w: floats([3, 4], new Array<number>(12).fill(0.5)),
      v: floats([4, 3], new Array<number>(12).fill(0.5)),
    };
    for (const initializers of [differ, default_])
      expect(importOnnx(onnxModel({ inputs: x, outputs: ["y"], nodes, initializers })).imported.notes).toEqual([]);
  });
});
