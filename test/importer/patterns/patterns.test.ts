/** Arithmetic that exporters wrote for an operator is that operator again, and computes the same. */

import { describe, expect, it } from "vitest";
import { importOnnx } from "../../../src/importer/import.ts";
import { distance, fileOutputs, outputsOf } from "../../support/onnx/imported.ts";
import { type FileText, floats, ints, onnxModel, ramp } from "../../support/onnx/model.ts";

const numbers = {
  half: floats([], [0.5]),
  one: floats([], [1]),
  two: floats([], [2]),
  three: floats([], [3]),
  six: floats([], [6]),
  zero: floats([], [0]),
  sixth: floats([], [1 / 6]),
  root: floats([], [Math.SQRT2]),
  cubic: floats([], [0.044715]),
  scale: floats([], [Math.sqrt(2 / Math.PI)]),
  epsilon: floats([], [1e-5]),
  last: ints(-1),
};

function text(nodes: FileText["nodes"], initializers: FileText["initializers"] = {}): FileText {
  return {
    opset: 18,
    inputs: { x: ["N", 6, 4] },
    outputs: ["y"],
    nodes: [["Conv", ["x", "w"], ["h"], { kernel_shape: [1] }], ...nodes],
    initializers: { w: ramp(6, 6, 1), ...numbers, ...initializers },
  };
}

const layerNorm: FileText["nodes"] = [
  ["ReduceMean", ["h", "last"], ["mean"]],
  ["Sub", ["h", "mean"], ["centred"]],
  ["Pow", ["centred", "two"], ["square"]],
  ["ReduceMean", ["square", "last"], ["variance"]],
  ["Add", ["variance", "epsilon"], ["moved"]],
  ["Sqrt", ["moved"], ["deviation"]],
  ["Div", ["centred", "deviation"], ["normal"]],
  ["Mul", ["normal", "ln.weight"], ["scaled"]],
  ["Add", ["scaled", "ln.bias"], ["y"]],
];

const cases: readonly (readonly [string, string, FileText])[] = [
  [
    "Gelu with erf",
    "Gelu",
    text([
      ["Div", ["h", "root"], ["a"]],
      ["Erf", ["a"], ["b"]],
      ["Add", ["b", "one"], ["c"]],
      ["Mul", ["h", "c"], ["d"]],
      ["Mul", ["d", "half"], ["y"]],
    ]),
  ],
  [
    "Gelu with what is left of erf",
    "Gelu",
    text([
      ["Neg", ["h"], ["a"]],
      ["Div", ["a", "root"], ["b"]],
      ["Erf", ["b"], ["c"]],
      ["Sub", ["one", "c"], ["d"]],
      ["Mul", ["h", "half"], ["e"]],
      ["Mul", ["e", "d"], ["y"]],
    ]),
  ],
  [
    "Gelu with tanh",
    "Gelu",
    text([
      ["Pow", ["h", "three"], ["a"]],
      ["Mul", ["a", "cubic"], ["b"]],
      ["Add", ["h", "b"], ["c"]],
      ["Mul", ["c", "scale"], ["d"]],
      ["Tanh", ["d"], ["e"]],
      ["Add", ["e", "one"], ["f"]],
      ["Mul", ["h", "half"], ["g"]],
      ["Mul", ["g", "f"], ["y"]],
    ]),
  ],
  [
    "HardSwish by division",
    "HardSwish",
    text([
      ["Add", ["h", "three"], ["a"]],
      ["Clip", ["a", "zero", "six"], ["b"]],
      ["Mul", ["h", "b"], ["c"]],
      ["Div", ["c", "six"], ["y"]],
    ]),
  ],
  [
    "HardSwish with HardSigmoid",
    "HardSwish",
    text([
      ["HardSigmoid", ["h"], ["a"], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }],
      ["Mul", ["a", "h"], ["y"]],
    ]),
  ],
  [
    "HardSigmoid",
    "HardSigmoid",
    text([
      ["Add", ["h", "three"], ["a"]],
      ["Clip", ["a", "zero", "six"], ["b"]],
      ["Mul", ["b", "sixth"], ["y"]],
    ]),
  ],
  ["LayerNormalization", "LayerNormalization", text(layerNorm, { "ln.weight": ramp(4), "ln.bias": ramp(4) })],
  [
    "GroupNormalization",
    "GroupNormalization",
    text(
      [
        ["Reshape", ["h", "grouped"], ["a"]],
        ["InstanceNormalization", ["a", "ones", "zeros"], ["b"], { epsilon: { float: 1e-5 } }],
        ["Shape", ["h"], ["shape"]],
        ["Reshape", ["b", "shape"], ["c"]],
        ["Mul", ["c", "gn.weight"], ["d"]],
        ["Add", ["d", "gn.bias"], ["y"]],
      ],
      {
        grouped: ints(0, 3, -1),
        ones: floats([3], [1, 1, 1]),
        zeros: floats([3], [0, 0, 0]),
        "gn.weight": ramp(6, 1),
        "gn.bias": ramp(6, 1),
      },
    ),
  ],
];

describe("recognises", () => {
  it.each(cases)("%s", async (_, op, file) => {
    const network = importOnnx(onnxModel(file));
    const last = network.graph.outputs[0]?.value;
    const producer = network.graph.nodes.find((node) => last !== undefined && node.outputs.includes(last));
    expect(producer?.op).toBe(op);
    const expected = await fileOutputs(onnxModel(file), { x: [2, 6, 4] });
    expect(distance((await outputsOf(network, 2)).y, expected.y)).toBeLessThan(1e-5);
  });

  it("Gelu with the Erfc of TensorFlow, which is no operator of ONNX", () => {
    const erfc: FileText["nodes"] = [
      ["Neg", ["h"], ["a"]],
      ["Mul", ["a", "inverse"], ["b"]],
      ["Erfc", ["b"], ["c"]],
      ["Mul", ["h", "half"], ["d"]],
      ["Mul", ["d", "c"], ["y"]],
    ];
    const network = importOnnx(onnxModel(text(erfc, { inverse: floats([], [Math.SQRT1_2]) })));
    expect(network.graph.nodes.map(({ op }) => op)).toEqual(["Conv", "Gelu"]);
  });

  it("the scale and the offset of a normalization as its parameters, and drops what is not read any more", () => {
    const roles = (file: FileText) => importOnnx(onnxModel(file)).parameters.map(({ name, role }) => [name, role]);
    expect(roles(text(layerNorm, { "ln.weight": ramp(4), "ln.bias": ramp(4) }))).toEqual([
      ["w", "weight"],
      ["ln.weight", "normalization-scale"],
      ["ln.bias", "normalization-bias"],
    ]);
    expect(roles(cases[7]?.[2] ?? text([])).map(([name]) => name)).toEqual(["w", "gn.weight", "gn.bias"]);
  });

  it("nothing where a constant is another one", () => {
    const network = importOnnx(
      onnxModel(
        text(
          [
            ["Add", ["h", "three"], ["a"]],
            ["Clip", ["a", "zero", "five"], ["b"]],
            ["Mul", ["h", "b"], ["c"]],
            ["Div", ["c", "six"], ["y"]],
          ],
          { five: floats([], [5]) },
        ),
      ),
    );
    expect(network.graph.nodes.map(({ op }) => op)).not.toContain("HardSwish");
  });
});
