/**
 * A model file that carries quantizers already: refused where a command would add its own, trained as it is in a float run, or
 * trained without them. What is reported as 4 levels has 4.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { withoutQuantizers } from "../../src/compile/passes/without-quantizers.ts";
import { isQuantized } from "../../src/compile/sites.ts";
import { ConfigError } from "../../src/errors.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { producers } from "../../src/ir/graph.ts";
import type { Network } from "../../src/ir/network.ts";
import { makeTensor, packBits, type Tensor } from "../../src/ir/tensor.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { isFakeQuantize } from "../../src/quantizers/fake-quantize.ts";
import { mixBits } from "../../src/study/mixed/mixed.ts";
import { resolveStudyConfig } from "../../src/study/plan/config.ts";
import { makePlan } from "../../src/study/plan/plan.ts";
import { loadRun } from "../../src/train/load-run.ts";
import { startRun } from "../../src/train/run.ts";
import { capture } from "../support/machine/capture.ts";
import { type FileText, floats, type NodeText, onnxModel } from "../support/onnx/model.ts";
import { seeded } from "../support/random.ts";
import { temporaryFolder, tinyConfig } from "../support/training/tiny-run.ts";

const random = seeded(4);
const normal = (shape: readonly number[], scale: number) =>
  floats(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => (random() * 2 - 1) * scale),
  );
const codes = (shape: readonly number[], most: number) =>
  Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.round((random() * 2 - 1) * most));

const shapes = { w1: [4, 1, 3, 3], w2: [4, 4, 3, 3], w3: [10, 4] } as const;
const layers: readonly NodeText[] = [
  ["Conv", ["x.in", "w1.in"], ["c1"], { kernel_shape: [3, 3], strides: [2, 2] }],
  ["Relu", ["c1"], ["r1"]],
  ["Conv", ["r1.in", "w2.in"], ["c2"], { kernel_shape: [3, 3], strides: [2, 2] }],
  ["Relu", ["c2"], ["r2"]],
  ["GlobalAveragePool", ["r2"], ["p"]],
  ["Flatten", ["p"], ["f"]],
  ["Gemm", ["f.in", "w3.in"], ["y"], { transB: 1 }],
];

type Form = (
  name: string,
  tensor: readonly number[] | undefined,
) => { nodes: NodeText[]; tensors: Record<string, Tensor> };

/** The file with each input and each weight of a layer behind what `form` makes of it. */
function file(form: Form): FileText {
  const weights = Object.entries(shapes).map(([name, shape]) => form(name, shape));
  const inputs = ["x", "r1", "f"].map((name) => form(name, undefined));
  const before = [...weights, ...inputs];
  const quantized = new Map(before.map((part) => [part.nodes.at(-1)?.[2][0] ?? "", part.nodes]));
  const nodes = layers.flatMap((layer) => [...layer[1].flatMap((name) => quantized.get(name) ?? []), layer]);
  const initializers = Object.assign({}, ...before.map(({ tensors }) => tensors));
  return { opset: 21, inputs: { x: ["N", 1, 28, 28] }, outputs: ["y"], nodes, initializers };
}

/** QuantizeLinear and DequantizeLinear, of 8 bits, in a domain. */
function qdq(domain: string): Form {
  return (name, shape) => {
    const tensors = { [`${name}.s`]: floats([], [0.02]), [`${name}.z`]: makeTensor("int8", [], Int8Array.of(0)) };
    const last: NodeText = ["DequantizeLinear", [`${name}.q`, `${name}.s`, `${name}.z`], [`${name}.in`], {}, domain];
    if (shape !== undefined) {
      const q = makeTensor("int8", shape, Int8Array.from(codes(shape, 60)));
      return { nodes: [last], tensors: { ...tensors, [`${name}.q`]: q } };
    }
    return {
      nodes: [["QuantizeLinear", [name, `${name}.s`, `${name}.z`], [`${name}.q`], {}, domain], last],
      tensors,
    };
  };
}

/** Weights of 4 bits, activations in float. */
const fourBitWeights: Form = (name, shape) => {
  if (shape === undefined) return { nodes: [["Identity", [name], [`${name}.in`]]], tensors: {} };
  const q = makeTensor("int4", shape, packBits(codes(shape, 7), "int4"));
  const tensors = { [`${name}.q`]: q, [`${name}.s`]: floats([], [0.1]) };
  return { nodes: [["DequantizeLinear", [`${name}.q`, `${name}.s`], [`${name}.in`]]], tensors };
};

const qonnx: Form = (name, shape) => {
  const attributes = { signed: 1, narrow: 0, rounding_mode: "ROUND" };
  const domain = "qonnx.custom_op.general";
  const parts = [`${name}.s`, `${name}.z`, `${name}.bits`];
  return {
    nodes: [["Quant", [name, ...parts], [`${name}.in`], attributes, domain]],
    tensors: {
      [`${name}.s`]: floats([], [0.05]),
      [`${name}.z`]: floats([], [0]),
      [`${name}.bits`]: floats([], [4]),
      ...(shape === undefined ? {} : { [name]: normal(shape, 0.4) }),
    },
  };
};

const forms: Readonly<Record<string, Form>> = {
  "QuantizeLinear and DequantizeLinear": qdq(""),
  "those of ONNX Runtime's domain": qdq("com.microsoft"),
  "4-bit weights": fourBitWeights,
  "Quant of QONNX": qonnx,
};

const levelsOfWeights: Readonly<Record<string, number>> = {
  "QuantizeLinear and DequantizeLinear": 256,
  "those of ONNX Runtime's domain": 256,
  "4-bit weights": 16,
  "Quant of QONNX": 16,
};

async function modelFile(form: string): Promise<string> {
  const path = join(await temporaryFolder(), "quantized.onnx");
  await writeFile(path, onnxModel(file(forms[form] ?? expect.fail())));
  return path;
}

const twoBits = { preset: "lsq", weightBits: 2, activationBits: 2 };
const short = { epochs: 1, batchSize: 32 };
const already = expect.objectContaining({
  message: expect.stringMatching(/has quantizers already: 3 of weights/),
  remedy: expect.stringContaining("--strip-quantizers"),
  exitCode: 2,
});

/** Quantizers on the way from each weight to the layer that multiplies with it. */
function quantizersOfWeights({ graph }: Network): number[] {
  const madeBy = producers(graph);
  return graph.nodes
    .filter(({ op }) => op === "Conv" || op === "Gemm")
    .map(({ inputs: [, weight] }) => {
      let count = 0;
      for (
        let node = weight && madeBy.get(weight);
        node !== undefined;
        node = node.inputs[0] && madeBy.get(node.inputs[0])
      ) {
        if (isFakeQuantize(node)) count++;
      }
      return count;
    });
}

describe.each(Object.keys(forms))("a file with %s", (form) => {
  it("is refused where a run, a study or explain would quantize it again, before anything is written", async () => {
    const path = await modelFile(form);
    const parent = join(await temporaryFolder(), "runs");
    const config = tinyConfig({ model: { file: path }, train: short, quantization: twoBits });
    await expect(startRun({ config, parent })).rejects.toThrow(already);
    const study = { model: { file: path }, recipes: ["lsq"], weightBits: [2], activationBits: [2], float: null };
    const resolved = resolveStudyConfig({ name: "study.yaml", text: JSON.stringify(study) });
    await expect(makePlan(resolved)).rejects.toThrow(already);
    expect(() =>
      quantize(importOnnx(onnxModel(file(forms[form] ?? expect.fail()))), presetNamed("lsq", twoBits)),
    ).toThrow(ConfigError);
    const { code, stderr } = await capture("explain", "lsq", path);
    expect(code).toBe(2);
    expect(stderr).toContain("has quantizers already: 3 of weights");
  });

  it("keeps its quantizers in a float run, which says so, and cannot be mixed", async () => {
    const path = await modelFile(form);
    const notes: string[] = [];
    const run = { config: tinyConfig({ model: { file: path }, train: short }), parent: await temporaryFolder() };
    const { summary, paths } = await startRun(run, { onStart: (start) => notes.push(...start.notes) });
    expect(notes.join()).toMatch(/quantizers of the file stay in the network: 3 of weights/);
    expect(summary.quantization).toMatch(/^of the file: 3 of weights/);
    expect(summary.levels.weights).toBe(levelsOfWeights[form]);
    const loaded = await loadRun(paths.folder);
    expect(isQuantized(loaded.network)).toBe(true);
    const { code, stderr } = await capture("convert", paths.folder);
    if (code !== 0) expect(stderr).not.toMatch(/defect|no quantizer site/);
    await expect(mixBits(loaded, { budget: { weightBits: 2, activationBits: 2 }, samples: 8 })).rejects.toThrow(
      already,
    );
  });

  it("trains without them where they are removed, with one quantizer for each weight", async () => {
    const path = await modelFile(form);
    const notes: string[] = [];
    const model = { file: path, stripQuantizers: true };
    const config = tinyConfig({ model, train: short, quantization: twoBits });
    const run = { config, parent: await temporaryFolder() };
    const { summary, paths } = await startRun(run, { onStart: (start) => notes.push(...start.notes) });
    expect(notes.join()).toContain("the quantizers of the file were removed");
    expect(summary.levels).toEqual({ weights: 4, activations: 4 });
    expect(quantizersOfWeights((await loadRun(paths.folder)).network)).toEqual([1, 1, 1]);
  });

  it("gives its weights to the float network", () => {
    const network = importOnnx(onnxModel(file(forms[form] ?? expect.fail())));
    const float = withoutQuantizers(network);
    expect(isQuantized(float)).toBe(false);
    expect(float.graph.nodes.some(isFakeQuantize)).toBe(false);
    const kept = network.parameters.filter(({ role }) => role !== "quantizer");
    expect(float.parameters).toEqual(kept);
    expect(float.graph.inputs.map(({ name }) => name)).toEqual(["x", ...kept.map(({ name }) => name)]);
  });
});

it("a network by name has no quantizers to remove", () => {
  expect(() => tinyConfig({ model: { name: "lenet", stripQuantizers: true } })).toThrow(/stripQuantizers/);
});
