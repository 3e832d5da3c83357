/**
 * A scale for each output channel lies on the weight's output axis, whatever the layer: transposed and grouped convolutions have it
 * elsewhere than plain ones. Channels differ a thousandfold here, so that a scale on another axis would lose most of them.
 */
import { describe, expect, it } from "vitest";
import { explain } from "../../../src/compile/explain.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { siteTensors } from "../../../src/compile/sites.ts";
import { buildLowBitWeights } from "../../../src/convert/formats/low-bit-weights.ts";
import { type ImportedNetwork, importOnnx } from "../../../src/importer/import.ts";
import { elementCount } from "../../../src/ir/types.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { toCodes } from "../../../src/quantizers/integers.ts";
import { distance, fileOutputs, outputsOf } from "../../support/onnx/imported.ts";
import { floats, type NodeText, onnxModel } from "../../support/onnx/model.ts";
import { seeded } from "../../support/random.ts";
import { fromCodes } from "../../support/training/quantizer.ts";

interface Layer {
  readonly op: string;
  readonly input: readonly number[];
  readonly weight: readonly number[];
  readonly axis: number;
  readonly attributes?: NonNullable<NodeText[3]>;
}

const layers: Readonly<Record<string, Layer>> = {
  Conv: { op: "Conv", input: [4, 6, 6], weight: [5, 4, 3, 3], axis: 0 },
  "grouped Conv": { op: "Conv", input: [4, 6, 6], weight: [6, 2, 3, 3], axis: 0, attributes: { group: 2 } },
  "depthwise Conv": { op: "Conv", input: [4, 6, 6], weight: [4, 1, 3, 3], axis: 0, attributes: { group: 4 } },
  "1-D Conv": { op: "Conv", input: [4, 9], weight: [5, 4, 3], axis: 0 },
  ConvTranspose: { op: "ConvTranspose", input: [4, 6, 6], weight: [4, 5, 3, 3], axis: 1 },
  "grouped ConvTranspose": {
    op: "ConvTranspose",
    input: [4, 6, 6],
    weight: [4, 3, 3, 3],
    axis: 1,
    attributes: { group: 2, strides: [2, 2] },
  },
  "1-D ConvTranspose": { op: "ConvTranspose", input: [4, 9], weight: [4, 5, 3], axis: 1 },
  Gemm: { op: "Gemm", input: [4], weight: [4, 6], axis: 1 },
  "transposed Gemm": { op: "Gemm", input: [4], weight: [6, 4], axis: 0, attributes: { transB: 1 } },
  MatMul: { op: "MatMul", input: [3, 4], weight: [4, 6], axis: 1 },
};

/** Random numbers times 10^0 … 10^3, by the index along the output axis. */
function unevenWeight({ weight, axis }: Layer, random: () => number): number[] {
  const inner = elementCount(weight.slice(axis + 1));
  return Array.from({ length: elementCount(weight) }, (_, i) => {
    const channel = Math.floor(i / inner) % (weight[axis] ?? 1);
    return (random() * 2 - 1) * 10 ** (channel % 4);
  });
}

function fileOf(layer: Layer): Uint8Array {
  const { op, input, weight, attributes = {} } = layer;
  return onnxModel({
    inputs: { x: ["N", ...input] },
    outputs: ["y"],
    nodes: [[op, ["x", "w"], ["y"], attributes]],
    initializers: { w: floats(weight, unevenWeight(layer, seeded(7))) },
  });
}

function quantizedWeights(float: ImportedNetwork, preset: string) {
  const config = presetNamed(preset, { weightBits: 4, activationBits: 4 });
  return quantize(float, { ...config, activation: null, firstLayer: "same", lastLayer: "same" });
}

const product = Object.keys(layers).flatMap((name) => ["lsq", "ewgs", "tqt"].map((preset) => [name, preset] as const));

describe("the weight of a layer", () => {
  it.each(product)("%s with %s has a scale for each output channel, which holds its own values", (name, preset) => {
    const layer = layers[name] ?? expect.fail();
    const network = quantizedWeights(importOnnx(fileOf(layer)), preset);
    const [site] = network.sites;
    expect(site?.spec.channelAxis).toBe(layer.axis);
    const values = new Map(network.parameters.map((parameter) => [parameter.name, parameter.value]));
    const weight = site?.parameter === undefined ? undefined : values.get(site.parameter);
    if (site === undefined || weight === undefined) return expect.fail();
    const scales = siteTensors(site, values);
    for (const tensor of scales.values()) expect(tensor.shape).toEqual([layer.weight[layer.axis]]);
    const rounded = fromCodes(site.spec, toCodes(site.spec, weight, scales)).data;
    const inner = elementCount(layer.weight.slice(layer.axis + 1));
    const channels = layer.weight[layer.axis] ?? 0;
    for (let channel = 0; channel < channels; channel++) {
      const places = [...Array(elementCount(layer.weight)).keys()].filter(
        (i) => Math.floor(i / inner) % channels === channel,
      );
      const power = places.reduce((sum, i) => sum + Number(weight.data[i]) ** 2, 0);
      const noise = places.reduce((sum, i) => sum + (Number(weight.data[i]) - Number(rounded[i])) ** 2, 0);
      // 4 bits give each channel 10 dB and more; a scale of another channel's size would give none.
      expect(10 * Math.log10(power / noise), `channel ${channel}`).toBeGreaterThan(8);
    }
  });

  it.each(Object.keys(layers))("%s computes the same from its stored codes", async (name) => {
    const layer = layers[name] ?? expect.fail();
    const float = importOnnx(fileOf(layer));
    const network = quantizedWeights(float, "lsq");
    const { bytes, weights } = buildLowBitWeights(network, float);
    expect(weights).toEqual([{ name: network.sites[0]?.parameter, bits: 4, levels: 16 }]);
    const stored = await fileOutputs(bytes, { x: [2, ...layer.input] });
    const simulated = await outputsOf(network, 2);
    const size = Math.max(...(simulated.y ?? []).map(Math.abs));
    expect(distance(stored.y, simulated.y)).toBeLessThan(1e-5 * size);
  });

  it.each(Object.keys(layers))("%s is explained per channel", (name) => {
    const layer = layers[name] ?? expect.fail();
    const config = presetNamed("lsq", { weightBits: 4, activationBits: 4 });
    const { tensors } = explain(importOnnx(fileOf(layer)), { ...config, firstLayer: "same" });
    expect(tensors.find(({ kind }) => kind === "weight")).toMatchObject({ granularity: "per channel", levels: 16 });
  });
});
