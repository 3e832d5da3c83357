import { beforeAll, describe, expect, it } from "vitest";
import { trainingMode } from "../../../src/compile/build/forward.ts";
import type { QuantizedNetwork } from "../../../src/compile/passes/quantize.ts";
import { trainingBatches } from "../../../src/data/dataset/batches.ts";
import { allocateBatch, type DatasetSplits } from "../../../src/data/dataset/dataset.ts";
import { loadFashionMnist } from "../../../src/data/formats/fashion-mnist.ts";
import { ablate, withSwitches } from "../../../src/diagnose/ablation.ts";
import { encodeRecord, probeRecordSchema } from "../../../src/diagnose/probe/measurement.ts";
import { Probe, type ProbeResult } from "../../../src/diagnose/probe/probe.ts";
import type { Network } from "../../../src/ir/network.ts";
import { float32Data, makeTensor } from "../../../src/ir/tensor.ts";
import { nodeEngine } from "../../../src/runtime/node.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";
import { calibrate } from "../../../src/train/loop/calibrate.ts";
import { evaluate, inputOf } from "../../../src/train/loop/evaluate.ts";
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

describe("a probe", () => {
  it("measures every quantizer, weight, normalization and addition, and leaves the state as it is", async () => {
    const state = stateOf(quantized);
    const before = state.snapshot();
    const result = await measure(quantized, state);
    expect(result.sites.map(({ name }) => name)).toEqual(quantized.sites.map(({ name }) => name));
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
    expect(weight?.noiseRatio).toBeGreaterThan(10);
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
    const read = probeRecordSchema.parse(JSON.parse(line));
    expect(read.sites[0]?.noiseRatio).toBeCloseTo(result.sites[0]?.noiseRatio ?? 0, 2);
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

  it("take the statistics of batch normalization anew where quantizers are off, and leave the run's own where all work", async () => {
    // Running statistics of values that are nothing like those that come without quantizers.
    const used = withChanged(quantized, (name, values) =>
      name.endsWith("running_mean") ? values.map((value) => value + 5) : undefined,
    );
    const stale = await ablate(used, data.test, engine);
    const anew = await ablate(used, data.test, engine, { statistics: data.train });
    expect(anew?.quantized).toEqual(stale?.quantized);
    const healthy = await ablate(quantized, data.test, engine, { statistics: data.train });
    expect(anew?.float.loss).toBeCloseTo(healthy?.float.loss ?? 0, 4);
    expect(stale?.float.loss).not.toBeCloseTo(anew?.float.loss ?? 0, 2);
  });

  it("are none without quantizers; each quantizer has a switch", async () => {
    expect(await ablate(float, data.test, engine)).toBeUndefined();
    const switches = withSwitches(quantized).parameters.filter(({ name }) => name.startsWith("switch."));
    expect(switches).toHaveLength(quantized.sites.length);
  });
});
