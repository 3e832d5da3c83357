/** A mean over the spatial axes is read as an average pool, and only that mean. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { convert } from "../../../src/convert/convert.ts";
import { type DatasetSplits, inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { calibrate } from "../../../src/train/loop/calibrate.ts";
import { train } from "../../../src/train/loop/trainer.ts";
import { baseRecipe } from "../../diagnose/small-networks.ts";
import { provenOn } from "../../support/convert/agreement.ts";
import { distance, fileOutputs, outputsOf, sample } from "../../support/onnx/imported.ts";
import { type FileText, ints, onnxModel, ramp } from "../../support/onnx/model.ts";

interface Mean {
  readonly opset: number;
  readonly axes: readonly number[];
  readonly keepdims: number;
}

function meanFile(shape: readonly number[], { opset, axes, keepdims }: Mean): FileText {
  const own = opset < 18 ? { axes } : {};
  return {
    opset,
    inputs: { x: ["N", ...shape] },
    outputs: ["y"],
    nodes: [["ReduceMean", opset < 18 ? ["x"] : ["x", "axes"], ["y"], { keepdims, ...own }]],
    initializers: opset < 18 ? {} : { axes: ints(...axes) },
  };
}

const operatorsOf = (text: FileText) => importOnnx(onnxModel(text)).graph.nodes.map(({ op }) => op);

describe("a mean over height and width", () => {
  it("is an average pool with the numbers of the file", async () => {
    const sizes = fc.tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 7 }),
    );
    const means = fc.record({
      opset: fc.constantFrom(11, 13, 17, 18, 20),
      axes: fc.constantFrom([2, 3], [3, 2], [-1, -2], [-2, -1], [2, -1]),
      keepdims: fc.constantFrom(0, 1),
    });
    await fc.assert(
      fc.asyncProperty(sizes, means, async (shape, mean) => {
        const text = meanFile(shape, mean);
        const network = importOnnx(onnxModel(text));
        expect(network.imported.batch).toBe("any");
        expect(operatorsOf(text)).toEqual(
          mean.keepdims === 1 ? ["GlobalAveragePool"] : ["GlobalAveragePool", "Flatten"],
        );
        const expected = await fileOutputs(onnxModel(text), { x: [3, ...shape] });
        expect(distance((await outputsOf(network, 3)).y, expected.y)).toBeLessThan(1e-5);
      }),
      { numRuns: 30 },
    );
  });
});

describe("another mean stays one", () => {
  it.each([
    ["over channels", [4, 5, 6], [1]],
    ["over one spatial axis", [4, 5, 6], [2]],
    ["over channels and space", [4, 5, 6], [1, 2, 3]],
    ["over channels last", [5, 6, 4], [1, 2]],
    ["over tokens", [5, 6], [1]],
    ["over features of tokens", [5, 6], [-1]],
  ])("%s", (_, shape, axes) => {
    for (const opset of [17, 18]) {
      expect(operatorsOf(meanFile(shape, { opset, axes, keepdims: 1 }))).toEqual(["ReduceMean"]);
    }
  });

  it.each([0, 1])("over axes that are left empty, noop_with_empty_axes %i", (noop) => {
    const text = meanFile([4, 5, 6], { opset: 18, axes: [], keepdims: 1 });
    const [[op, inputs, outputs] = ["", [], []] as const] = text.nodes;
    const nodes = [[op, inputs, outputs, { keepdims: 1, noop_with_empty_axes: noop }] as const];
    expect(operatorsOf({ ...text, nodes })).not.toContain("GlobalAveragePool");
  });
});

describe("a network with such a head", () => {
  const engine = nodeEngine({ threads: 1 });
  const samples = inMemoryDataset({
    name: "waves",
    samples: Float32Array.from({ length: 32 * 108 }, (_, i) => Math.sin(i * 12.9898)),
    sampleShape: [3, 6, 6],
    targets: Int32Array.from({ length: 32 }, (_, i) => i % 3),
    target: { kind: "classes", classes: ["a", "b", "c"] },
  });
  const data: DatasetSplits = { train: samples, test: samples };

  it.each([0, 1])("is trained and converted without a code that differs, keepdims %i", async (keepdims) => {
    const float = importOnnx(
      onnxModel({
        opset: 18,
        inputs: { x: ["N", 3, 6, 6] },
        outputs: ["y"],
        nodes: [
          ["Conv", ["x", "c1.weight"], ["c1"], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
          ["Relu", ["c1"], ["r1"]],
          ["Conv", ["r1", "c2.weight"], ["c2"], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
          ["Relu", ["c2"], ["r2"]],
          ["ReduceMean", ["r2", "axes"], ["mean"], { keepdims }],
          ["Reshape", ["mean", "to"], ["flat"]],
          ["Gemm", ["flat", "fc.weight", "fc.bias"], ["y"], { transB: 1 }],
        ],
        initializers: {
          "c1.weight": ramp(4, 3, 3, 3),
          "c2.weight": ramp(4, 4, 3, 3),
          "fc.weight": ramp(3, 4),
          "fc.bias": ramp(3),
          axes: ints(-1, -2),
          to: ints(-1, 4),
        },
      }),
    );
    const config = { ...presetNamed("lsq", { weightBits: 4, activationBits: 4 }), residualBits: 8 };
    const indices = Int32Array.from({ length: 16 }, (_, i) => i);
    const quantized = await calibrate(quantize(float, config), data.train, indices, engine);
    const recipe = { ...baseRecipe, epochs: 1, batchSize: 8 };
    const { network } = await train({ network: quantized, data, engine, recipe });
    const trained = { ...network, sites: quantized.sites };
    const converted = convert(trained, { input: { dtype: "float32" } });
    const { programs } = await provenOn(converted, sample([4, 3, 6, 6]), engine, 1);
    expect(programs.map(({ mismatches }) => mismatches)).toEqual(programs.map(() => 0));
    expect(programs.length).toBeGreaterThan(0);
  });
});
