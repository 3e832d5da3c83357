/** The sites of quantizers, their names, and the configurations that are refused before training. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { prepareQat } from "../../../src/compile/prepare-qat.ts";
import { isQuantized, showSites } from "../../../src/compile/sites.ts";
import { ConfigError } from "../../../src/errors.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { filled } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import type { QuantizationConfig } from "../../../src/qconfig/config.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import type { TensorQuantization } from "../../../src/qconfig/tensor-quantization.ts";
import { getDefaultQatQconfig } from "../../../src/qconfig/torch/torch.ts";

const bits = { weightBits: 4, activationBits: 4 };
const options = { sampleShape: [1, 8, 8], classes: 10, width: 4 };
const mlp = makeModel("mlp", options, randomStream(0, "weights"));
const resnet = makeModel("resnet8", options, randomStream(0, "weights"));

function refusal(
  change: Partial<TensorQuantization>,
  kind: "weight" | "activation",
  config = presetNamed("minmax", bits),
) {
  const before = config[kind];
  if (before === null) throw new Error(`the preset quantizes its ${kind}s`);
  const changed: QuantizationConfig = { ...config, [kind]: { ...before, ...change } };
  try {
    quantize(mlp, changed);
  } catch (error) {
    if (error instanceof ConfigError) return error.describe();
    throw error;
  }
  return "accepted";
}

describe("a site", () => {
  it("can still be read by the name that its id had", () => {
    const { sites } = quantize(resnet, presetNamed("lsq", bits));
    expect(sites.map((site) => Reflect.get(site, "name"))).toEqual(sites.map(({ id }) => id));
  });
});

describe("placement", () => {
  it("fused: at the inputs of layers", () => {
    expect(showSites(quantize(mlp, presetNamed("lsq", bits)))).toMatchInlineSnapshot(`
      "fc1.input.quantizer float32[1,64] lsq -128..127 per tensor
      fc1.weight.quantizer float32[4,64] lsq -128..127 per channel 0
      fc2.input.quantizer float32[1,4] lsq 0..15 per tensor
      fc2.weight.quantizer float32[4,4] lsq -8..7 per channel 0
      fc3.input.quantizer float32[1,4] lsq 0..255 per tensor
      fc3.weight.quantizer float32[10,4] lsq -128..127 per channel 0"
    `);
  });

  it("everyModule: after the data and every module", () => {
    expect(showSites(quantize(mlp, presetNamed("thread", bits)))).toMatchInlineSnapshot(`
      "images.quantizer float32[1,1,8,8] uniform 0..7 per tensor
      fc1.weight.quantizer float32[4,64] uniform -8..7 per channel 0
      fc1.output.quantizer float32[1,4] uniform 0..7 per tensor
      relu1.output.quantizer float32[1,4] uniform 0..7 per tensor
      fc2.weight.quantizer float32[4,4] uniform -8..7 per channel 0
      fc2.output.quantizer float32[1,4] uniform 0..7 per tensor
      relu2.output.quantizer float32[1,4] uniform 0..7 per tensor
      fc3.weight.quantizer float32[10,4] uniform -8..7 per channel 0
      fc3.output.quantizer float32[1,10] uniform 0..7 per tensor"
    `);
  });

  it("quantizes an activation once for all layers that read it alike", () => {
    const { sites, graph } = quantize(resnet, presetNamed("lsq", bits));
    const shared = sites.filter(({ id }) => /^layer2\.0\.(conv1|downsample\.0)\.input/.test(id));
    expect(shared.map(({ id }) => id)).toEqual(["layer2.0.conv1.input.quantizer"]);
    expect(printGraph(graph).match(/FakeQuantize/g)?.length).toBe(sites.length);
  });

  it("puts codes on the skip branch when the override gives the bits", () => {
    const { sites } = quantize(resnet, { ...presetNamed("lsq", bits), residualBits: 8 });
    const skips = sites.filter(({ id }) => id.includes(".skip"));
    expect(skips.map(({ id, spec }) => [id, spec.quantMax])).toEqual([
      ["layer1.0.add.skip.quantizer", 255],
      ["layer2.0.add.skip.quantizer", 127],
      ["layer3.0.add.skip.quantizer", 127],
    ]);
  });

  it("of torch's prepare_qat is everyModule, and its parameters have the names of the sites", () => {
    const network = prepareQat(mlp, getDefaultQatQconfig("fbgemm", 0));
    expect(isQuantized(network)).toBe(true);
    const names = network.parameters.map(({ name }) => name);
    expect(names).toContain("relu1.output.quantizer.scale");
    expect(names).toContain("relu1.output.quantizer.observer.max");
    expect(network.sites.map(({ asked }) => asked?.reduceRange === true)).toContain(true);
    expect(isQuantized(mlp)).toBe(false);
  });
});

describe("what is refused names its tensor and the remedy", () => {
  it.each<readonly ["weight" | "activation", Partial<TensorQuantization>, string, string]>([
    ["activation", { bits: 0 }, 'tensor "fc1.input"', "from 1 to 16"],
    ["activation", { bits: 1, signed: false, reduceRange: true }, 'tensor "fc1.input"', "Turn reduceRange off"],
    ["activation", { signed: false, quantMin: -1, quantMax: 6 }, 'tensor "fc1.input"', "Set signed to true"],
    ["activation", { quantizer: "lsqq" }, "lsqq", "Use one of"],
    ["activation", { observer: { observer: "minmax", options: {} } }, "minmax", "Use one of"],
    [
      "activation",
      { observer: { observer: "movingAverageMinMax", options: { averagingConstant: 2 } } },
      'tensor "fc1.input"',
      "above 0 and at most 1",
    ],
    ["weight", { channelAxis: 2 }, 'tensor "fc1.weight"', "channelAxis"],
    ["weight", { quantMax: 6.5 }, 'tensor "fc1.weight"', "integer"],
    ["weight", { granularity: "group", groupSize: 7 }, 'tensor "fc1.weight"', "groupSize that divides"],
    ["weight", { quantizer: "lsq" }, 'tensor "fc1.weight"', "Leave the observer out"],
  ])("%s %j", (kind, change, where, remedy) => {
    const message = refusal(change, kind);
    expect(message).toContain(where);
    expect(message).toContain(remedy);
  });

  it("a network without layers", () => {
    const empty = { ...mlp, graph: { ...mlp.graph, nodes: [] } };
    expect(() => quantize(empty, presetNamed("lsq", bits))).toThrow("no layer to quantize");
  });
});

describe("the channels of a weight", () => {
  it.each([
    { op: "Conv", x: [1, 4, 5, 5], weight: [6, 2, 3, 3], attributes: { group: 2 }, axis: 0 },
    { op: "ConvTranspose", x: [1, 4, 5, 5], weight: [4, 3, 3, 3], attributes: { group: 2 }, axis: 1 },
    { op: "Gemm", x: [1, 4], weight: [4, 6], attributes: {}, axis: 1 },
    { op: "Gemm", x: [1, 4], weight: [6, 4], attributes: { transB: 1 }, axis: 0 },
    { op: "MatMul", x: [1, 2, 4], weight: [4, 6], attributes: {}, axis: 1 },
    { op: "MatMul", x: [1, 2, 3, 4], weight: [2, 4, 6], attributes: {}, axis: 2 },
  ])("are those of the output: $op with a weight [$weight]", ({ op, x, weight, attributes, axis }) => {
    const network = new NetworkBuilder("one layer", { uniform: () => 0.5, normal: () => 1 });
    const inputs = [network.input("x", x.slice(1)), network.parameter("layer.weight", "weight", filled(weight, 0.5))];
    const y = network.builder.one(op, inputs, attributes, { name: "layer" });
    const quantized = quantize(network.finish(y), { ...presetNamed("lsq", bits), firstLayer: "same" });
    expect(quantized.sites.find(({ kind }) => kind === "weight")?.spec.channelAxis).toBe(axis);
  });
});
