import { beforeAll, describe, expect, it } from "vitest";
import { trainingMode } from "../../../src/compile/build/forward.ts";
import { layersOf } from "../../../src/compile/layers.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import type { QuantizedNetwork } from "../../../src/compile/sites.ts";
import { trainingBatches } from "../../../src/data/dataset/batches.ts";
import { allocateBatch, type DatasetSplits } from "../../../src/data/dataset/dataset.ts";
import { loadFashionMnist } from "../../../src/data/formats/fashion-mnist.ts";
import { ablate, withSwitches } from "../../../src/diagnose/ablation.ts";
import { factsOf } from "../../../src/diagnose/facts.ts";
import { encodeRecord, probeRecordSchema } from "../../../src/diagnose/probe/measurement.ts";
import { Probe, type ProbeResult } from "../../../src/diagnose/probe/probe.ts";
import { importOnnx } from "../../../src/importer/import.ts";
import type { Network } from "../../../src/ir/network.ts";
import { float32Data, makeTensor } from "../../../src/ir/tensor.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";
import { calibrate } from "../../../src/train/loop/calibrate.ts";
import { evaluate, inputOf } from "../../../src/train/loop/evaluate.ts";
import { onnxModel, ramp } from "../../support/onnx/model.ts";
import { healthyQuantization, quantizedOf, withChanged } from "../planted-faults.ts";
import { smallNetworks } from "../small-networks.ts";
import { record } from "../synthetic.ts";

const engine = nodeEngine({ threads: 1 });
let data: DatasetSplits;
let quantized: QuantizedNetwork;
let float: Network;

beforeAll(async () => {
  data = await loadFashionMnist({ trainCount: 64, testCount: 32 });
  float = smallNetworks.resnet6.make(0);
  const plain = quantizedOf({ float, fresh: float, quantization: healthyQuantization(), recipe: {} });
  if (plain === undefined) throw new Error("not quantized");
  quantized = await calibrate(
    plain,
    data.train,
    Int32Array.from({ length: 32 }, (_, i) => i),
    engine,
  );
});

function stateOf(network: Network): StateBuffers {
  return new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
}

async function measure(network: Network, state = stateOf(network)): Promise<ProbeResult> {
  const loss = { name: "crossEntropy", labelSmoothing: 0 } as const;
  const probe = await Probe.create(engine, network, {
    batchSize: 16,
    input: inputOf(data.train),
    loss,
    mode: trainingMode,
  });
  try {
    const batches = trainingBatches(data.train, { seed: 0, batchSize: 32, cropPadding: 0, horizontalFlip: false });
    const buffers = allocateBatch(data.train, 32);
    batches.read(0, 0, buffers);
    const { samples, targets } = buffers;
    if (!(targets instanceof Int32Array)) throw new Error("expected labels");
    return await probe.measure(state, {
      data: makeTensor("uint8", [32, 1, 28, 28], samples),
      targets: makeTensor("int32", [32], targets),
    });
  } finally {
    await probe.release();
  }
}

describe("names of layers and weights", () => {
  async function measuredOf(source: Network): Promise<{ sites: QuantizedNetwork["sites"]; result: ProbeResult }> {
    const plain = quantize(source, presetNamed("lsq", { weightBits: 4, activationBits: 4 }));
    const indices = Int32Array.from({ length: 32 }, (_, i) => i);
    const network = await calibrate(plain, data.train, indices, engine);
    return { sites: network.sites, result: await measure(network) };
  }

  it("may be unlike, as PyTorch exports them: the gradient balance of every scale is measured", async () => {
    const imported = importOnnx(
      onnxModel({
        inputs: { x: ["N", 1, 28, 28] },
        outputs: ["y"],
        nodes: [
          ["Conv", ["x", "c1.weight"], ["a"], { pads: [1, 1, 1, 1] }],
          ["Relu", ["a"], ["b"]],
          ["Conv", ["b", "c2.weight"], ["c"], { pads: [1, 1, 1, 1] }],
          ["Relu", ["c"], ["d"]],
          ["GlobalAveragePool", ["d"], ["e"]],
          ["Flatten", ["e"], ["f"]],
          ["Gemm", ["f", "fc.weight", "fc.bias"], ["y"], { transB: 1 }],
        ],
        initializers: {
          "c1.weight": ramp(4, 1, 3, 3),
          "c2.weight": ramp(6, 4, 3, 3),
          "fc.weight": ramp(10, 6),
          "fc.bias": ramp(10),
        },
      }),
    );
    const { sites, result } = await measuredOf(imported);
    expect(sites.map(({ kind, layer, parameter }) => [kind, layer, parameter])).toEqual([
      ["activation", "Conv_0", undefined],
      ["weight", "Conv_0", "c1.weight"],
      ["activation", "Conv_2", undefined],
      ["weight", "Conv_2", "c2.weight"],
      ["activation", "Gemm_6", undefined],
      ["weight", "Gemm_6", "fc.weight"],
    ]);
    for (const { name, scaleBalance } of result.sites) expect(scaleBalance, name).toBeGreaterThan(0);
    expect([...factsOf(imported).layersOfWeights]).toEqual([
      ["fc.weight", "Gemm_6"],
      ["c2.weight", "Conv_2"],
      ["c1.weight", "Conv_0"],
    ]);
  });

  it("decide nothing: a network measures the same under names that look like quantizers, inputs and weights", async () => {
    const endings = [".quantizer", ".input", "/Conv", ".weight", ".skip", ".output", ".weight.quantizer"];
    const layers = new Map(layersOf(float.graph).map(({ name }, i) => [name, `x${i}${endings[i % endings.length]}`]));
    const rename = (name: string) => layers.get(name) ?? name;
    const nodes = float.graph.nodes.map((node) => ({ ...node, name: rename(node.name) }));
    const [plain, renamed] = [
      await measuredOf(float),
      await measuredOf({ ...float, graph: { ...float.graph, nodes } }),
    ];
    expect(renamed.sites.map(({ layer }) => layer)).toEqual(plain.sites.map(({ layer }) => rename(layer)));
    const numbers = ({ result }: typeof plain) => result.sites.map(({ name: _name, ...measured }) => measured);
    expect(numbers(renamed)).toEqual(numbers(plain));
    expect(renamed.result.weights).toEqual(plain.result.weights);
    expect(plain.result.sites.every(({ scaleBalance }) => scaleBalance > 0)).toBe(true);
  });
});

describe("a probe", () => {
  it("measures every quantizer, weight, normalization and addition, and leaves the state as it is", async () => {
    const state = stateOf(quantized);
    const before = state.snapshot();
    const result = await measure(quantized, state);
    expect(result.sites.map(({ name }) => name)).toEqual(quantized.sites.map(({ id }) => id));
    expect([...result.weights.keys()]).toEqual(
      quantized.parameters.filter(({ role }) => role === "weight").map(({ name }) => name),
    );
    expect(result.norms).toHaveLength(quantized.graph.nodes.filter(({ op }) => op === "BatchNormalization").length);
    expect(result.additions.map(({ name }) => name)).toEqual(["layer1.0.add", "layer2.0.add"]);
    for (const [name, tensor] of before) expect(float32Data(state.get(name))).toEqual(float32Data(tensor));
  });

  it("finds the gradient of a healthy quantizer near the float one, and none of it outside of the range", async () => {
    const { sites, weights, loss, floatLoss } = await measure(quantized);
    for (const { gradientCosine } of weights.values()) expect(gradientCosine).toBeGreaterThan(0.5);
    expect(sites.filter(({ outsideGradientShare }) => outsideGradientShare > 0)).toEqual([]);
    expect(sites.some(({ outsideCount }) => outsideCount > 0)).toBe(true);
    expect(Math.abs(loss - floatLoss)).toBeLessThan(0.5);
    const weight = sites.find(({ name }) => name === "layer1.0.conv1.weight.quantizer");
    expect(weight?.distinctCodes).toBeGreaterThan(8);
    expect(weight?.sqnr).toBeGreaterThan(10);
  });

  it("has no float twin where nothing is quantized", async () => {
    const { sites, weights, loss, floatLoss } = await measure(float);
    expect(sites).toEqual([]);
    expect(floatLoss).toBe(loss);
    for (const { gradientNorm } of weights.values()) expect(gradientNorm).toBeGreaterThan(0);
  });

  it("finds the running statistics of a new network to be those of no batch", async () => {
    const { norms } = await measure(quantized);
    const first = norms.find(({ name }) => name === "bn1");
    // σ² running is 1 and μ running is 0; the divergence follows from the two shifts where all channels are alike.
    expect(first?.divergence).toBeGreaterThan(0.02);
    expect(first?.varianceShift).toBeGreaterThan(0.1);
  });

  it("makes records that survive JSON", async () => {
    const { weights: _weights, ...result } = await measure(quantized);
    const line = encodeRecord({ ...record(7), ...result });
    expect(line).not.toContain("NaN");
    expect(line).toContain('"noiseRatio":');
    expect(line).not.toMatch(/sqnr/i);
    const read = probeRecordSchema.parse(JSON.parse(line));
    expect(read.sites[0]?.sqnr).toBeCloseTo(result.sites[0]?.sqnr ?? 0, 2);
    expect(encodeRecord(read)).toBe(line);
  });
});

describe("ablations", () => {
  it("with every switch on are the quantized network, with every switch off the float one", async () => {
    const result = await ablate(quantized, data.test, engine);
    const whole = await evaluate(quantized, data.test, engine);
    const plain = await evaluate(float, data.test, engine);
    expect(result?.quantized.loss).toBeCloseTo(whole.loss, 5);
    expect(result?.float.loss).toBeCloseTo(plain.loss, 5);
    expect(result?.layers.map(({ layer }) => layer)).toContain("layer1.0.conv1");
  });

  it("find the layer that a broken scale is in", async () => {
    const broken = withChanged(quantized, (name, values) =>
      name === "layer1.0.conv2.input.quantizer.scale" ? values.map((value) => value * 100) : undefined,
    );
    const result = await ablate(broken, data.test, engine);
    const harm = (layer: string) =>
      Math.abs((result?.layers.find((each) => each.layer === layer)?.alone.loss ?? 0) - (result?.float.loss ?? 0));
    expect(harm("layer1.0.conv2")).toBeGreaterThan(harm("layer2.0.conv2"));
    expect(result?.activationsOnly.loss).not.toBeCloseTo(result?.weightsOnly.loss ?? 0, 3);
  });

  it("estimate the statistics of batch normalization again where quantizers are off, and keep those of the run where all are on", async () => {
    // Running statistics of values that are nothing like those that come without quantizers.
    const used = withChanged(quantized, (name, values) =>
      name.endsWith("running_mean") ? values.map((value) => value + 5) : undefined,
    );
    const stale = await ablate(used, data.test, engine);
    const estimated = await ablate(used, data.test, engine, { statistics: data.train });
    expect(estimated?.quantized).toEqual(stale?.quantized);
    const healthy = await ablate(quantized, data.test, engine, { statistics: data.train });
    expect(estimated?.float.loss).toBeCloseTo(healthy?.float.loss ?? 0, 4);
    expect(stale?.float.loss).not.toBeCloseTo(estimated?.float.loss ?? 0, 2);
  });

  it("are none without quantizers; each quantizer has a switch", async () => {
    expect(await ablate(float, data.test, engine)).toBeUndefined();
    const switches = withSwitches(quantized).parameters.filter(({ name }) => name.startsWith("switch."));
    expect(switches).toHaveLength(quantized.sites.length);
  });
});
