/** Damaged models give an error of ours that says where, or a network that keeps every rule of a graph. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { inferTypes } from "../../src/compile/registry.ts";
import { SubbyteError } from "../../src/errors.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { recurrent, shapes } from "../fuzz/formats/models.ts";
import { verifyGraph } from "../support/graphs/verify.ts";
import { type FileText, floats, ints, onnxModel, ramp } from "../support/onnx/model.ts";

const { w: _constant, ...otherInitializers } = recurrent.initializers ?? {};

const texts: readonly FileText[] = [
  {
    opset: 11,
    inputs: { x: ["N", 3, 4, 4] },
    outputs: ["y"],
    nodes: [
      ["Conv", ["x", "w", "b"], ["c"], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2], group: 1 }],
      ["Clip", ["c"], ["r"]],
      ["MaxPool", ["r"], ["p"], { kernel_shape: [2, 2], strides: [1, 1] }],
      ["Shape", ["p"], ["s"]],
      ["Slice", ["s", "zero", "one"], ["n"]],
      ["Concat", ["n", "rest"], ["t"], { axis: 0 }],
      ["Reshape", ["p", "t"], ["f"]],
      ["Gemm", ["f", "v"], ["g"], { transB: 1, alpha: { float: 0.5 } }],
      ["Softmax", ["g"], ["y"], { axis: 1 }],
    ],
    initializers: { w: ramp(4, 3, 3, 3), b: ramp(4), v: ramp(2, 4), zero: ints(0), one: ints(1), rest: ints(-1) },
  },
  shapes,
  {
    inputs: { x: ["N", 6] },
    outputs: ["y"],
    nodes: [
      ["QuantizeLinear", ["x", "s"], ["q"]],
      ["DequantizeLinear", ["q", "s"], ["d"]],
      ["Range", ["a", "b", "c"], ["i"]],
      ["Gather", ["d", "i"], ["g"], { axis: 1 }],
      ["ConstantOfShape", ["shape"], ["ones"], { value: floats([1], [1]) }],
      ["Mul", ["g", "ones"], ["m"]],
      ["TopK", ["m", "k"], ["y", "places"], { axis: 1 }],
    ],
    initializers: {
      s: floats([], [0.1]),
      a: ints(0),
      b: ints(4),
      c: ints(2),
      shape: ints(1, 2),
      k: ints(1),
    },
  },
  {
    ...recurrent,
    nodes: [["Constant", [], ["w"], { value: ramp(1, 8, 4) }], ...recurrent.nodes],
    initializers: otherInitializers,
  },
];

const files = texts.map((text) => onnxModel(text));
const anyFile = fc.constantFrom(...files);

function survives(bytes: Uint8Array): "network" | "error" {
  try {
    const network = importOnnx(bytes);
    verifyGraph(network.graph, inferTypes);
    exportOnnx(network);
    return "network";
  } catch (error) {
    if (!(error instanceof SubbyteError)) throw error;
    expect(error.message).not.toBe("");
    return "error";
  }
}

test("the undamaged files are networks", () => {
  for (const file of files) expect(survives(file)).toBe("network");
});

test("600 files with wrong bytes", () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
  const seen = { network: 0, error: 0 };
  fc.assert(
    fc.property(anyFile, damage, (bytes, changes) => {
      const damaged = Uint8Array.from(bytes);
      for (const [position, byte] of changes) damaged[position % damaged.length] = byte;
      seen[survives(damaged)]++;
    }),
    { seed: 21, numRuns: 600 },
  );
  // Both ways out were taken, so the damage was neither too mild nor too coarse to test anything.
  expect(Math.min(seen.network, seen.error)).toBeGreaterThan(50);
});

test("300 files that are cut, or have a piece taken out or doubled", () => {
  fc.assert(
    fc.property(
      anyFile,
      fc.nat(),
      fc.nat(64),
      fc.constantFrom("cut", "out", "twice"),
      (bytes, position, length, how) => {
        const start = position % bytes.length;
        const end = Math.min(bytes.length, start + length);
        const head = bytes.subarray(0, how === "twice" ? end : start);
        const rest = how === "cut" ? [] : bytes.subarray(how === "twice" ? start : end);
        survives(Uint8Array.from([...head, ...rest]));
      },
    ),
    { seed: 22, numRuns: 300 },
  );
});

test("300 files with other numbers in their integer tensors", () => {
  const number = fc.constantFrom(0, 1, -1, 2, 7, 65_521, 1e9, -1e9, 2 ** 31, 2 ** 53, -(2 ** 63));
  fc.assert(
    fc.property(fc.nat(), fc.nat(), number, number, (which, place, first, second) => {
      const text = texts[which % texts.length];
      if (text === undefined) return;
      const entries = Object.entries(text.initializers ?? {});
      const lists = entries.filter(([, { dtype }]) => dtype === "int64");
      const [name, tensor] = lists[place % lists.length] ?? [];
      if (name === undefined || tensor === undefined) return;
      const values = Array.from({ length: tensor.data.length }, (_, i) => (i % 2 === 0 ? first : second));
      survives(onnxModel({ ...text, initializers: { ...text.initializers, [name]: ints(...values) } }));
    }),
    { seed: 23, numRuns: 300 },
  );
});
