import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { lowerGraph } from "../../src/compile/passes/lower.ts";
import { orderUpdates } from "../../src/compile/passes/order-updates.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { recomputeCheap } from "../../src/compile/passes/recompute.ts";
import { newBuilder, operators } from "../../src/compile/registry.ts";
import { workOf } from "../../src/compile/work.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { importOnnx } from "../../src/importer/import.ts";
import type { Graph, Node } from "../../src/ir/graph.ts";
import type { Network } from "../../src/ir/network.ts";
import { makeTensor } from "../../src/ir/tensor.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import type { Target } from "../../src/ops/definition.ts";
import { globalAveragePool } from "../../src/ops/families/pool.ts";
import { reshape } from "../../src/ops/families/shape/shape-ops.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { floats, type NodeText, onnxModel, ramp } from "../support/onnx/model.ts";
import { plainStep } from "../support/training/plain-step.ts";

const batchSize = 4;
const generic: Target = { name: "generic", blockSize: 1 };
const cpu: Target = { name: "cpu", blockSize: 16 };
const targets = [generic, cpu];

const parts = ["first", "norm", "active", "second", "sum", "flat", "dense"] as const;
type Names = Readonly<Record<(typeof parts)[number], string>>;

const plain: Names = {
  first: "first",
  norm: "norm",
  active: "active",
  second: "second",
  sum: "sum",
  flat: "flat",
  dense: "dense",
};
/** Names in which something that reads them could see a quantizer, a gradient, an optimizer, or a made-up name. */
const hostile: Names = {
  first: "x.quantizer",
  norm: "gradient/a",
  active: "optimizer/b",
  second: "/block/second/Conv_1",
  sum: "a.input.quantizer",
  flat: "Reshape_3",
  dense: "gradient//dense.weight",
};

/** Convolution, normalization, ReLU, a residual convolution and a dense layer. */
function smallNetwork(names: Names): Network {
  const random = randomStream(0, "weights");
  const network = new NetworkBuilder("small", random);
  const x = network.conv(names.first, network.input("images", [16, 8, 8]), 16, { kernel: 3, padding: 1 });
  const active = network.relu(names.active, network.batchNorm(names.norm, x));
  const second = network.conv(names.second, active, 16, { kernel: 1, bias: true });
  const pooled = globalAveragePool(network.builder, network.add(names.sum, active, second));
  const flat = network.layer(names.flat, () => reshape(network.builder, pooled, [-1, 16]));
  return network.finish(network.linear(names.dense, flat, 10));
}

function quantized(network: Network, preset = "lsq"): Network {
  return quantize(network, presetNamed(preset, { weightBits: 4, activationBits: 4 }));
}

function loweredStep(network: Network, target = cpu): Graph {
  return lowerGraph(plainStep(network, batchSize).graph, operators, target);
}

function sortedPlaces(nodes: readonly Node[]): string[] {
  const places = nodes.map(({ op, origin, source }) => `${origin.phase} ${origin.layer ?? "-"} ${source?.op ?? op}`);
  return [...new Set(places)].sort();
}

describe("the origin of nodes", () => {
  it("tells phase and layer of everything in a training step", () => {
    expect(sortedPlaces(plainStep(quantized(smallNetwork(plain)), batchSize).graph.nodes)).toMatchInlineSnapshot(`
      [
        "backward - Exp",
        "backward - Expand",
        "backward - Mul",
        "backward - Neg",
        "backward - ReduceSum",
        "backward - Reshape",
        "backward - Sub",
        "backward active ReluGrad",
        "backward dense FakeQuantizeGrad",
        "backward dense Gemm",
        "backward dense ReduceSum",
        "backward first ConvGradInput",
        "backward first ConvGradWeight",
        "backward first FakeQuantizeGrad",
        "backward flat Reshape",
        "backward norm BatchNormTrainGrad",
        "backward second Add",
        "backward second ConvGradInput",
        "backward second ConvGradWeight",
        "backward second FakeQuantizeGrad",
        "backward second ReduceSum",
        "forward - GlobalAveragePool",
        "forward active Relu",
        "forward dense FakeQuantize",
        "forward dense Gemm",
        "forward first Conv",
        "forward first FakeQuantize",
        "forward flat Reshape",
        "forward norm BatchNormTrain",
        "forward second Conv",
        "forward second FakeQuantize",
        "forward sum Add",
        "loss - Cast",
        "loss - LogSoftmax",
        "loss - Mul",
        "loss - Neg",
        "loss - OneHot",
        "loss - ReduceMean",
        "loss - ReduceSum",
        "update dense Add",
        "update dense Max",
        "update dense Mul",
        "update dense Sub",
        "update first Add",
        "update first Max",
        "update first Mul",
        "update first Sub",
        "update norm Add",
        "update norm Mul",
        "update norm Sub",
        "update second Add",
        "update second Max",
        "update second Mul",
        "update second Sub",
      ]
    `);
  });

  it.each(targets)("stays when a step is lowered for $name", (target) => {
    const step = plainStep(quantized(smallNetwork(plain)), batchSize).graph;
    const before = new Set(step.nodes.map(({ op, origin }) => `${origin.phase} ${origin.layer ?? "-"} ${op}`));
    const lowered = lowerGraph(step, operators, target);
    for (const place of sortedPlaces(lowered.nodes)) expect(before).toContain(place);
    const layersOf = (nodes: readonly Node[]) => new Set(nodes.map(({ origin }) => `${origin.phase} ${origin.layer}`));
    expect(layersOf(lowered.nodes)).toEqual(layersOf(step.nodes));
  });

  it.each(targets)("does not depend on the names of layers, lowered for $name", (target) => {
    const [ours, theirs] = [plain, hostile].map((names) => loweredStep(quantized(smallNetwork(names)), target));
    const renamed = new Map(parts.map((part) => [plain[part], hostile[part]]));
    const expected = ours?.nodes.map(({ origin: { layer, phase } }) =>
      layer === undefined ? { phase } : { layer: renamed.get(layer), phase },
    );
    expect(theirs?.nodes.map(({ origin }) => origin)).toEqual(expected);
    expect(theirs?.nodes.map((node) => workOf(node).kind)).toEqual(ours?.nodes.map((node) => workOf(node).kind));
  });

  it("is that of the file's nodes in an imported network", () => {
    const imported = importOnnx(exportOnnx(smallNetwork(hostile)));
    expect(imported.graph.nodes.map(({ origin }) => origin.layer)).toEqual(
      imported.graph.nodes.map(({ name }) => name),
    );
    // The export writes a convolution as a part of its node.
    const trained = [`${hostile.first}/conv`, hostile.norm, `${hostile.second}/conv`, hostile.dense];
    const { nodes } = loweredStep(quantized(imported));
    for (const phase of ["forward", "backward", "update"]) {
      const layers = nodes.flatMap(({ origin }) => (origin.phase === phase ? [origin.layer] : []));
      expect(layers, phase).toEqual(expect.arrayContaining(trained));
    }
  });

  it("is one for everything that a node of a file is decomposed into, and another for every node", () => {
    const nodes: NodeText[] = [
      ["Clip", ["x"], ["a"], { min: { float: 0 }, max: { float: 6 } }],
      ["MeanVarianceNormalization", ["a"], ["b"], { axes: [1] }],
      ["MeanVarianceNormalization", ["b"], ["y"], { axes: [1] }],
    ];
    const { graph } = importOnnx(onnxModel({ opset: 10, inputs: { x: [1, 4] }, outputs: ["y"], nodes }));
    expect(new Set(graph.nodes.map(({ origin }) => origin.layer))).toEqual(
      new Set(["Clip_0", "MeanVarianceNormalization_1", "MeanVarianceNormalization_2"]),
    );
    expect(graph.nodes.length).toBeGreaterThan(3);
  });

  it("is for the quantizers of a file that of the layer that reads them", () => {
    const { graph } = importOnnx(
      onnxModel({
        inputs: { x: ["N", 3, 4] },
        outputs: ["y"],
        nodes: [
          ["QuantizeLinear", ["x", "scale", "zero"], ["q"]],
          ["DequantizeLinear", ["q", "scale", "zero"], ["d"]],
          ["QuantizeLinear", ["weight", "scale", "zero"], ["qw"]],
          ["DequantizeLinear", ["qw", "scale", "zero"], ["w"]],
          ["Conv", ["d", "w"], ["y"], { kernel_shape: [1] }],
        ],
        initializers: {
          scale: floats([], [0.05]),
          zero: makeTensor("int8", [], Int8Array.of(0)),
          weight: ramp(2, 3, 1),
        },
      }),
    );
    expect(sortedPlaces(graph.nodes)).toEqual(["forward Conv_4 Conv", "forward Conv_4 FakeQuantize"]);
  });

  it("stays in steps that are recomputed and put into an order", () => {
    const lowered = loweredStep(quantized(smallNetwork(plain)));
    const known = new Set(sortedPlaces(lowered.nodes));
    const phases = (graph: Graph) => new Set(graph.nodes.map(({ origin }) => origin.phase));
    const last = orderUpdates(recomputeCheap(lowered));
    expect(phases(last)).toEqual(phases(lowered));
    const added = last.nodes.filter((node) => !known.has(sortedPlaces([node])[0] ?? ""));
    for (const { origin } of added) expect(origin.phase).toBe("backward");
  });

  it("keeps a teacher's layers apart from the student's", () => {
    const student = quantized(smallNetwork(plain));
    const step = plainStep(student, batchSize, {
      distillation: { teacher: smallNetwork(plain), outputs: "classes", temperature: 2, weight: 0.5 },
    });
    const lossLayers = step.graph.nodes.flatMap(({ origin: { phase, layer } }) =>
      phase === "loss" && layer !== undefined ? [layer] : [],
    );
    expect(new Set(lossLayers)).toEqual(new Set(Object.values(plain).map((name) => `teacher/${name}`)));
  });

  it("is the first one's where two phases share a node", () => {
    const b = newBuilder("shared");
    const x = b.input("x", { dtype: "float32", shape: [2] });
    const first = b.from({ origin: { layer: "a", phase: "forward" } }, () => b.one("Exp", [x]));
    const second = b.from({ origin: { layer: "b", phase: "backward" } }, () => b.one("Exp", [x]));
    expect(second).toBe(first);
    expect(b.producerOf(second)?.origin).toEqual({ layer: "a", phase: "forward" });
  });
});
