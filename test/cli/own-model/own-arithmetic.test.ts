import { describe, expect, it } from "vitest";
import { importOnnx } from "../../../src/importer/import.ts";
import { notesOnOwnNormalization, notesOnSigmoid } from "../../../src/train/fit/own-arithmetic.ts";
import { floats, type NodeText, onnxModel, ramp } from "../../support/onnx/model.ts";

function network(before: readonly NodeText[], after: readonly NodeText[]) {
  return importOnnx(
    onnxModel({
      inputs: { x: ["N", 2, 3, 3] },
      outputs: ["y"],
      nodes: [...before, ["Conv", [before.length === 0 ? "x" : "n", "w"], [after.length === 0 ? "y" : "h"]], ...after],
      initializers: { w: ramp(4, 2, 3, 3), mean: floats([2, 1, 1], [1, 2]), one: floats([], [255]) },
    }),
  );
}

describe("a normalization in the file", () => {
  it.each(["Sub", "Div", "Mul", "Add"])("is noted where the samples enter by %s", (op) => {
    for (const constant of ["mean", "one"]) {
      expect(notesOnOwnNormalization(network([[op, ["x", constant], ["n"]]], []))).toEqual([
        expect.stringContaining(op),
      ]);
    }
  });

  it("is not found in what comes later, or in other operators", () => {
    expect(notesOnOwnNormalization(network([], [["Mul", ["h", "one"], ["y"]]]))).toEqual([]);
    expect(notesOnOwnNormalization(network([["Relu", ["x"], ["n"]]], []))).toEqual([]);
  });
});

describe("a last Sigmoid", () => {
  it("is noted, and no other operator", () => {
    expect(notesOnSigmoid(network([], [["Sigmoid", ["h"], ["y"]]]))).toHaveLength(1);
    expect(notesOnSigmoid(network([], [["Relu", ["h"], ["y"]]]))).toEqual([]);
    expect(notesOnSigmoid(network([], []))).toEqual([]);
  });
});
