/** Models that compute with the size of their batch: they give the engine's numbers for every batch, or say that they do not. */

import { describe, expect, it } from "vitest";
import { bindBatch } from "../../src/compile/passes/bind-batch.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { convert } from "../../src/convert/convert.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { makeTensor } from "../../src/ir/tensor.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { distance, fileOutputs, outputsOf } from "../support/onnx/imported.ts";
import { type FileText, floats, ints, type NodeText, onnxModel, ramp } from "../support/onnx/model.ts";

const index = (value: number) => makeTensor("int64", [], BigInt64Array.of(BigInt(value)));

/** x·W, and the batch as the number b. */
function file(nodes: readonly NodeText[], batch: number | string = "N"): FileText {
  return {
    inputs: { x: [batch, 6] },
    outputs: ["y"],
    nodes: [["MatMul", ["x", "w"], ["m"]], ["Shape", ["x"], ["s"]], ["Gather", ["s", "zero"], ["b"]], ...nodes],
    initializers: {
      w: ramp(6, 4),
      zero: index(0),
      one: index(1),
      two: index(2),
      four: index(4),
      f2: floats([], [2]),
      axis0: ints(0),
      axis1: ints(1),
      open: ints(-1),
      fours: ints(4),
    },
  };
}

const asFloat: NodeText = ["Cast", ["b"], ["bf"], { to: 1 }];
const computations: readonly (readonly [string, readonly NodeText[]])[] = [
  ["a mean over the batch", [asFloat, ["Div", ["m", "bf"], ["y"]]]],
  ["the root of the batch", [asFloat, ["Sqrt", ["bf"], ["q"]], ["Mul", ["m", "q"], ["y"]]]],
  [
    "a choice by Where",
    [
      ["Greater", ["b", "two"], ["c"]],
      ["Mul", ["m", "f2"], ["m2"]],
      ["Where", ["c", "m", "m2"], ["y"]],
    ],
  ],
  [
    "whether it is odd",
    [
      ["Mod", ["b", "two"], ["o"]],
      ["Cast", ["o"], ["of"], { to: 1 }],
      ["Add", ["m", "of"], ["y"]],
    ],
  ],
  [
    "a limit of the batch",
    [
      ["Min", ["b", "four"], ["mb"]],
      ["Cast", ["mb"], ["mf"], { to: 1 }],
      ["Mul", ["m", "mf"], ["y"]],
    ],
  ],
  [
    "the number of elements",
    [
      ["Size", ["x"], ["n"]],
      ["Cast", ["n"], ["nf"], { to: 1 }],
      ["ReduceSum", ["m"], ["sum"], { keepdims: 0 }],
      ["Div", ["sum", "nf"], ["mean"]],
      ["Add", ["m", "mean"], ["y"]],
    ],
  ],
  [
    "the last sample",
    [
      ["Sub", ["b", "one"], ["last"]],
      ["Gather", ["m", "last"], ["g"]],
      ["Add", ["m", "g"], ["y"]],
    ],
  ],
  [
    "positions of samples",
    [
      ["Range", ["zero", "b", "one"], ["places"]],
      ["Cast", ["places"], ["pf"], { to: 1 }],
      ["Unsqueeze", ["pf", "axis1"], ["column"]],
      ["Add", ["m", "column"], ["y"]],
    ],
  ],
  [
    "samples picked by their positions",
    [
      ["Range", ["zero", "b", "one"], ["places"]],
      ["Gather", ["m", "places"], ["y"]],
    ],
  ],
  [
    "all samples but the last",
    [
      ["Sub", ["b", "one"], ["last"]],
      ["Unsqueeze", ["last", "axis0"], ["to"]],
      ["Slice", ["m", "axis0", "to", "axis0"], ["front"]],
      ["ReduceSum", ["front", "axis0"], ["sum"]],
      ["Add", ["m", "sum"], ["y"]],
    ],
  ],
  [
    "a shape with the batch twice",
    [
      ["Unsqueeze", ["b", "axis0"], ["b1"]],
      ["Concat", ["b1", "axis1", "open"], ["apart"], { axis: 0 }],
      ["Concat", ["b1", "b1", "fours"], ["square"], { axis: 0 }],
      ["Reshape", ["m", "apart"], ["rows"]],
      ["Expand", ["rows", "square"], ["all"]],
      ["ReduceSum", ["all", "axis1"], ["y"], { keepdims: 0 }],
    ],
  ],
];

describe("a model with an open batch that computes with it", () => {
  it.each(computations)("gives the engine's numbers for every batch: %s", async (_, nodes) => {
    const bytes = onnxModel(file(nodes));
    const network = importOnnx(bytes);
    expect(network.imported).toMatchObject({ batch: "any", notes: [] });
    const written = exportOnnx(network);
    for (const batch of [1, 2, 3, 7, 64]) {
      const expected = await fileOutputs(bytes, { x: [batch, 6] });
      expect(distance((await outputsOf(network, batch)).y, expected.y)).toBeLessThan(1e-4);
      expect(distance((await fileOutputs(written, { x: [batch, 6] })).y, expected.y)).toBeLessThan(1e-4);
    }
  });

  const branch = (op: string): { graph: { outputs: string[]; nodes: NodeText[] } } => ({
    graph: { outputs: ["o"], nodes: [[op, ["m"], ["o"]]] },
  });
  const chooses = (limit: string): NodeText[] => [
    ["Greater", ["b", limit], ["c"]],
    ["If", ["c"], ["y"], { then_branch: branch("Relu"), else_branch: branch("Neg") }],
  ];

  it("holds for the stated batch only where a branch depends on it, and says so", async () => {
    const network = importOnnx(onnxModel(file(chooses("four"), 6)));
    expect(network.imported.batch).toBe(6);
    expect(network.imported.notes).toEqual([
      expect.stringMatching(
        /supports only batches of 6: .*If.*which branch of this If runs depends on the size of the/,
      ),
    ]);
    const expected = await fileOutputs(onnxModel(file(chooses("four"), 6)), { x: [6, 6] });
    expect(distance((await outputsOf(network)).y, expected.y)).toBeLessThan(1e-5);
    expect(() => bindBatch(network, 3)).toThrow("the network supports only batches of 6, not of 3");
  });

  it("holds for one batch only where a shape is no polynomial of it", async () => {
    const halves: NodeText[] = [
      ["Div", ["b", "two"], ["half"]],
      ["Unsqueeze", ["half", "axis0"], ["to"]],
      ["Slice", ["m", "axis0", "to", "axis0"], ["front"]],
      ["ReduceSum", ["front", "axis0"], ["sum"]],
      ["Add", ["m", "sum"], ["y"]],
    ];
    const network = importOnnx(onnxModel(file(halves)), { batch: 5 });
    expect(network.imported).toMatchObject({ batch: 5, notes: [expect.stringContaining('node Slice "Slice_5"')] });
    const expected = await fileOutputs(onnxModel(file(halves)), { x: [5, 6] });
    expect(distance((await outputsOf(network)).y, expected.y)).toBeLessThan(1e-5);
  });

  it("is quantized like any other, and refused by the integer formats", () => {
    const mean: NodeText[] = [asFloat, ["Div", ["m", "bf"], ["mean"]], ["MatMul", ["mean", "v"], ["y"]]];
    const text = file(mean);
    const network = importOnnx(onnxModel({ ...text, initializers: { ...text.initializers, v: ramp(4, 3) } }));
    const quantized = quantize(network, presetNamed("lsq", { weightBits: 4, activationBits: 4 }));
    expect(quantized.sites.map(({ kind }) => kind).toSorted()).toEqual([
      "activation",
      "activation",
      "weight",
      "weight",
    ]);
    expect(() => convert(quantized, { input: { dtype: "float32" } })).toThrow("computed from the size of the batch");
  });

  const flat: NodeText[] = [
    ["Reshape", ["m", "open"], ["flat"]],
    ["Range", ["zero", "b", "one"], ["places"]],
  ];

  it("reads a gather of all elements in their order as a reshape", async () => {
    // As torch writes as_strided: places of rows times the row's length, plus places within the row.
    const strided: NodeText[] = [
      ...flat,
      ["Mul", ["places", "four"], ["starts"]],
      ["Unsqueeze", ["starts", "axis1"], ["column"]],
      ["Add", ["column", "count4"], ["all"]],
      ["Gather", ["flat", "all"], ["rows"], { axis: 0 }],
      ["MatMul", ["rows", "v"], ["y"]],
    ];
    const text = file(strided);
    const bytes = onnxModel({
      ...text,
      initializers: { ...text.initializers, count4: ints(0, 1, 2, 3), v: ramp(4, 3) },
    });
    const network = importOnnx(bytes);
    expect(network.graph.nodes.map(({ op }) => op)).toEqual(["MatMul", "Reshape", "Reshape", "MatMul"]);
    for (const batch of [1, 3, 64]) {
      const expected = await fileOutputs(bytes, { x: [batch, 6] });
      expect(distance((await outputsOf(network, batch)).y, expected.y)).toBeLessThan(1e-4);
    }
  });

  it("keeps a gather whose places count for small batches only", async () => {
    const limited: NodeText[] = [
      ["Range", ["zero", "b", "one"], ["places"]],
      ["Min", ["places", "hundred"], ["few"]],
      ["Gather", ["m", "few"], ["y"]],
    ];
    const text = file(limited);
    const bytes = onnxModel({ ...text, initializers: { ...text.initializers, hundred: index(100) } });
    const network = importOnnx(bytes);
    for (const batch of [1, 64, 130]) {
      const expected = await fileOutputs(bytes, { x: [batch, 6] });
      expect(distance((await outputsOf(network, batch)).y, expected.y)).toBeLessThan(1e-4);
    }
  });

  it("takes a branch that is the same for every batch", async () => {
    const network = importOnnx(onnxModel(file(chooses("zero"))));
    expect(network.imported.batch).toBe("any");
    expect(network.graph.nodes.map(({ op }) => op)).toEqual(["MatMul", "Relu"]);
  });

  it("is the same network as one without the arithmetic where that changes nothing", () => {
    // As torch writes expand and view: -1 stands for the size of the input.
    const network = importOnnx(
      onnxModel(
        file([
          ["Unsqueeze", ["b", "axis0"], ["b1"]],
          ["Concat", ["b1", "open"], ["wanted"], { axis: 0 }],
          ["Equal", ["wanted", "open"], ["isOpen"]],
          ["Where", ["isOpen", "fours", "wanted"], ["shape"]],
          ["Reshape", ["m", "shape"], ["y"]],
        ]),
      ),
    );
    expect(network.graph.nodes.map(({ op }) => op)).toEqual(["MatMul"]);
  });
});
