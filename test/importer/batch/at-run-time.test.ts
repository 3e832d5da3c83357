/** The export for any batch: what is repeated for every sample is repeated for as many as a session is given. */

import { describe, expect, it } from "vitest";
import { exportOnnx } from "../../../src/importer/export.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import { distance, fileOutputs, outputsOf } from "../../support/onnx/imported.ts";
import { ints, type NodeText, onnxModel, ramp } from "../../support/onnx/model.ts";

/** A learned token of a shape, expanded to a shape of which the parts b (the batch) and numbers are given, times the mean of x. */
function file(token: readonly number[], target: readonly (number | "b" | "2b")[]) {
  const nodes: NodeText[] = [
    ["MatMul", ["x", "w"], ["m"]],
    ["Shape", ["x"], ["s"]],
    ["Slice", ["s", "i0", "i1", "i0"], ["b"]],
    ["Mul", ["b", "i2"], ["2b"]],
    ["Concat", target.map((size) => (typeof size === "number" ? `i${size}` : size)), ["to"], { axis: 0 }],
    ["Expand", ["token", "to"], ["tokens"]],
    ["ReduceMean", ["m"], ["mean"], { keepdims: 0 }],
    ["Mul", ["tokens", "mean"], ["y"]],
  ];
  const numbers = [0, 1, 2, 3, 4].map((number) => [`i${number}`, ints(number)]);
  return onnxModel({
    inputs: { x: ["N", 6] },
    outputs: ["y"],
    nodes,
    initializers: { w: ramp(6, 4), token: ramp(...token), ...Object.fromEntries(numbers) },
  });
}

describe("an exported network that repeats a value for every sample", () => {
  it.each([
    { token: [1, 4], target: ["b", 4] },
    { token: [1, 3, 4], target: ["b", 3, 4] },
    { token: [3, 1, 4], target: [3, "b", 4] },
    { token: [3, 4, 1], target: [3, 4, "b"] },
    { token: [1, 4], target: ["2b", 4] },
    { token: [3, 1, 4], target: [3, "2b", 4] },
    { token: [1, 1, 4], target: ["b", "2b", 4] },
  ] as const)("gives the file's numbers for every batch: $token to $target", async ({ token, target }) => {
    const bytes = file(token, target);
    const network = importOnnx(bytes);
    expect(network.imported.batch).toBe("any");
    expect(network.graph.nodes.map(({ op }) => op)).toContain("ExpandBatch");
    const written = exportOnnx(network);
    for (const batch of [1, 2, 3, 7]) {
      const expected = (await fileOutputs(bytes, { x: [batch, 6] })).y;
      expect(distance((await outputsOf(network, batch)).y, expected)).toBeLessThan(1e-5);
      expect(distance((await fileOutputs(written, { x: [batch, 6] })).y, expected)).toBeLessThan(1e-5);
    }
  });
});
