/** `convert` of a model's file: its weights rounded in groups, and refused where it was asked for something else. */

import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { importOnnxFile } from "../../../src/importer/node-files.ts";
import { capture } from "../../support/machine/capture.ts";
import { type FileText, onnxModel } from "../../support/onnx/model.ts";
import { randomTensor, seeded } from "../../support/random.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "subbyte-rounded-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const text: FileText = {
  inputs: { x: ["N", 4] },
  inputType: "int64",
  outputs: ["y"],
  nodes: [
    ["Gather", ["table", "x"], ["e"], { axis: 0 }],
    ["MatMul", ["e", "a"], ["h"]],
    ["Relu", ["h"], ["r"]],
    ["MatMul", ["r", "b"], ["m"]],
    ["MatMul", ["m", "c"], ["y"]],
  ],
  initializers: {
    table: randomTensor(seeded(1), [50, 64]),
    a: randomTensor(seeded(2), [64, 96]),
    b: randomTensor(seeded(3), [96, 20]),
    c: randomTensor(seeded(4), [20, 50]),
  },
};

it("writes the weights in the operators that ONNX Runtime has for them", async () => {
  const file = join(folder, "lm.onnx");
  await writeFile(file, onnxModel(text));
  const flags = ["--format", "weights", "--weight-bits", "4", "--group-size", "64", "--out", folder];
  const { code, stdout, stderr } = await capture("convert", file, ...flags);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("3 weights are rounded to 4 bits in groups of 64, without training");
  expect(stdout).toContain("1 of them have smaller groups");
  expect(stdout).toContain("1 stay in float, no group divides their inputs: c");
  const written = join(folder, "lm.weights.onnx");
  const ops = importOnnxFile(written).graph.nodes.map(({ op }) => op);
  expect(ops).toEqual(["GatherBlockQuantized", "MatMulNBits", "Relu", "MatMulNBits", "MatMul"]);
  expect((await stat(written)).size).toBeLessThan((await stat(file)).size / 2.5);
});

it.each([
  [["--format", "int"], "only its weights can be rounded"],
  [["--format", "weights"], "rounded to 2, 4, 8 bits"],
  [["--format", "weights", "--weight-bits", "3"], "rounded to 2, 4, 8 bits"],
  [["--format", "weights", "--weight-bits", "4", "--group-size", "20"], "20 is no group"],
])("refuses %j, and writes nothing", async (flags, message) => {
  const file = join(folder, "lm.onnx");
  await writeFile(file, onnxModel(text));
  const { code, stderr } = await capture("convert", file, ...flags, "--out", join(folder, "out"));
  expect(code).toBe(2);
  expect(stderr).toContain(message);
  await expect(stat(join(folder, "out"))).rejects.toThrow();
});
