/** `subbyte import` and `subbyte inspect`, on small files. */

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { importOnnxFile } from "../../src/importer/node-files.ts";
import { capture } from "../support/machine/capture.ts";
import { floats, onnxModel, ramp } from "../support/onnx/model.ts";

let folder = "";
let model = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "subbyte-cli-import-"));
  model = join(folder, "model.onnx");
  const text = onnxModel({
    inputs: { x: ["N", 3, "h", 8] },
    outputs: ["y"],
    nodes: [
      ["Conv", ["x", "stem.weight"], ["h1"], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
      ["Dropout", ["h1"], ["h2"]],
      ["LRN", ["h2"], ["h3"], { size: 3 }],
      ["Conv", ["h3", "head.weight"], ["y"], { kernel_shape: [1, 1] }],
    ],
    initializers: { "stem.weight": ramp(4, 3, 3, 3), "head.weight": ramp(2, 4, 1, 1) },
  });
  writeFileSync(model, text);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const shape = ["--input-shape", "x=1x3x6x8"];

describe("import", () => {
  it("says what the file became, and writes it", async () => {
    const out = join(folder, "out.onnx");
    const { code, stdout, stderr } = await capture("import", model, ...shape, "--out", out);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.replaceAll(folder, "FOLDER")).toMatchInlineSnapshot(`
      "FOLDER/model.onnx: from test, opset 17
      input x: float32[batch,3,6,8]
      output y: float32[batch,2,6,8]
      batch: any size
      3 nodes, 2 parameter tensors, 8 trainable numbers
      integers: no, LRN (LRN_2): there is no integer form of LRN
                      It would stay in float. docs/integer.md lists what can be converted.
      note: Dropout is removed: training runs without it.
      not trained: 1 parameter tensors before LRN "LRN_2": LRN has no gradient, and a trained parameter lies before it
      written to FOLDER/out.onnx
      "
    `);
    expect(importOnnxFile(out).graph.nodes.map(({ op }) => op)).toEqual(["Conv", "LRN", "Conv"]);
  });

  it("leaves nothing half-written where the model cannot be written", async () => {
    const before = readdirSync(folder);
    const { code, stdout, stderr } = await capture("import", model, ...shape, "--out", folder);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("it is a folder, not a file (EISDIR); no partial file was left behind");
    expect(readdirSync(folder)).toEqual(before);
  });

  it("as JSON", async () => {
    const { stdout } = await capture("import", model, ...shape, "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      schemaVersion: 1,
      opset: 17,
      batch: "any",
      inputs: [{ name: "x", type: "float32[batch,3,6,8]" }],
      nodes: 3,
      trainable: 8,
    });
  });

  it("asks for a size that is open, and refuses a shape that is none", async () => {
    const open = await capture("import", model);
    expect(open.code).toBe(3);
    expect(open.stderr).toContain('dimension 2 ("h") is open');
    const wrong = await capture("import", model, "--input-shape", "x:1,3");
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("Write it as name=1x3x224x224.");
    expect((await capture("import", join(folder, "none.onnx"))).code).toBe(1);
  });
});

describe("inspect", () => {
  it("prints the layers and what they cost", async () => {
    const { code, stdout } = await capture("inspect", model, ...shape, "--weight-bits", "4", "--activation-bits", "8");
    expect(code).toBe(0);
    expect(stdout).toMatchInlineSnapshot(`
      "┌────────┬──────────┬─────────┬─────────┬─────────┬────────────┬────────┬────────────────┬──────┬─────────────┐
      │ layer  │ operator │ input   │ output  │ weight  │ parameters │ MACs   │ bit operations │ size │ quantizable │
      ├────────┼──────────┼─────────┼─────────┼─────────┼────────────┼────────┼────────────────┼──────┼─────────────┤
      │ Conv_0 │ Conv     │ 1x3x6x8 │ 1x4x6x8 │ 4x3x3x3 │        108 │ 5.18 k │ 166 k          │ 54 B │ yes         │
      │ Conv_3 │ Conv     │ 1x4x6x8 │ 1x2x6x8 │ 2x4x1x1 │          8 │ 384    │ 12.3 k         │ 4 B  │ yes         │
      └────────┴──────────┴─────────┴─────────┴─────────┴────────────┴────────┴────────────────┴──────┴─────────────┘
      model: 116 parameters, 8 of them trainable
      at 4 bits for weights and 8 for activations: 5.57 k MACs, 178 k bit operations, 58 B (float: 464 B)
      2 of 2 layers can be quantized
      integers: no, LRN (LRN_2): there is no integer form of LRN
                      It would stay in float. docs/integer.md lists what can be converted.
      operators: Conv 2, LRN 1
      no gradient: LRN (LRN_2): LRN has no gradient, and a trained parameter lies before it
                     Freeze the parameters before this node, or replace it by an operator that docs/OPS.md lists as trainable.
      not trained: 1 parameter tensors before LRN "LRN_2": LRN has no gradient, and a trained parameter lies before it
      "
    `);
  });

  it("knows the networks by name, as JSON", async () => {
    const { stdout } = await capture("inspect", "resnet8", "--sample-shape", "3x32x32", "--weight-bits", "2", "--json");
    const report: unknown = JSON.parse(stdout);
    expect(report).toMatchObject({ bits: { weightBits: 2, activationBits: 32 }, obstacles: [], held: {} });
  });

  it("says what is no trainable parameter, and where there is nothing to quantize", async () => {
    const file = join(folder, "normalization.onnx");
    const text = onnxModel({
      inputs: { x: ["N", 2, 3, 3] },
      outputs: ["y"],
      nodes: [["BatchNormalization", ["x", "scale", "bias", "mean", "variance"], ["y"]]],
      initializers: { scale: ramp(2), bias: ramp(2), mean: ramp(2), variance: floats([2], [1, 2]) },
    });
    writeFileSync(file, text);
    const { stdout } = await capture("inspect", file);
    expect(stdout).toMatch(/^model: 8 parameters, 4 of them trainable, 4 statistics of BatchNormalization\n/);
    expect(stdout).toContain("\nno layer can be quantized: none multiplies by weights\n");
  });

  it("refuses the shape of an image that is none", async () => {
    expect((await capture("inspect", "resnet8", "--sample-shape", "32")).code).toBe(2);
  });
});
