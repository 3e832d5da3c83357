/** Weights stored in their bits and computed in float give what the simulation gives; what cannot be stored so is refused. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { buildEvaluation } from "../../../src/compile/build/evaluation.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { buildLowBitWeights } from "../../../src/convert/formats/low-bit-weights.ts";
import { UnsupportedError } from "../../../src/errors.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import { float32Data, float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { makeModel } from "../../../src/models/index.ts";
import type { QuantizationConfig } from "../../../src/qconfig/config.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { ForwardJob } from "../../../src/runtime/job.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { StateBuffers } from "../../../src/runtime/state.ts";
import { fullLayer } from "../../support/convert/descriptions.ts";
import { type NetworkDescription, randomNetwork } from "../../support/convert/random/network.ts";
import { randomTensor, seeded } from "../../support/random.ts";

const engine = nodeEngine({ threads: 1 });
const description: NetworkDescription = {
  channels: 4,
  height: 8,
  width: 7,
  seed: 5,
  head: "globalAverage",
  layers: [
    { ...fullLayer, kind: "conv", channels: 8 },
    { ...fullLayer, kind: "residual", channels: 4 },
  ],
};
const float = randomNetwork(description);
const data = randomTensor(seeded(1), [4, 4, 8, 7]);

type WeightQuantization = NonNullable<QuantizationConfig["weight"]>;

function weightsOf(
  weight: Partial<WeightQuantization> & Pick<WeightQuantization, "quantizer" | "bits">,
): QuantizationConfig {
  const base = presetNamed("lsq", { weightBits: 4, activationBits: 4 });
  return {
    ...base,
    firstLayer: "same",
    lastLayer: "same",
    activation: null,
    weight: { signed: true, granularity: "channel", options: {}, ...weight },
  };
}

function weightsOnly(weight: Parameters<typeof weightsOf>[0]) {
  return quantize(float, weightsOf(weight));
}

async function outputsOf(bytes: Uint8Array): Promise<Float32Array> {
  const session = await engine.createSession(bytes);
  const logits = float32Tensor([4, 3], new Float32Array(12));
  await session.run({ images: data }, { logits });
  await session.release();
  return float32Data(logits);
}

async function simulated(network: ReturnType<typeof quantize>): Promise<Float32Array> {
  const job = await ForwardJob.create(engine, buildEvaluation(network, { batchSize: 4, input: { dtype: "float32" } }));
  const state = new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
  const results: Record<string, Tensor> = await job.run(state, data);
  await job.release();
  return float32Data(Object.values(results)[0] ?? float32Tensor([0], []));
}

function distance(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (b[i] ?? Number.NaN))), 0);
}

describe("weights stored in their bits", () => {
  it.each([
    ["integers", { quantizer: "lsq", bits: 4 }, 4, 16],
    ["one scale for all", { quantizer: "lsq", bits: 3, granularity: "tensor" }, 4, 8],
    [
      "codes with zero points",
      { quantizer: "uniform", bits: 4, signed: false, observer: { observer: "minMax", options: {} } },
      4,
      16,
    ],
    ["three values", { quantizer: "ternary", bits: 2 }, 2, 3],
    ["powers of two", { quantizer: "apot", bits: 4 }, 4, 15],
    ["small floats", { quantizer: "minifloat", bits: 4 }, 4, 15],
    ["small floats in groups", { quantizer: "minifloat", bits: 4, granularity: "group", groupSize: 4 }, 4, 15],
    ["floats of eight bits", { quantizer: "minifloat", bits: 8 }, 8, 253],
  ] as const)("give what the simulation gives: %s", async (_, weight, bits, levels) => {
    const network = weightsOnly(weight);
    const { bytes, weights } = buildLowBitWeights(network, float);
    expect(weights.map((each) => [each.bits, each.levels])).toEqual(weights.map(() => [bits, levels]));
    expect(weights).toHaveLength(network.sites.length);
    const [expected, got] = [await simulated(network), await outputsOf(bytes)];
    // The kernels may differ, the weights not: a few units in the last place of the largest logit.
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(distance(got, expected)).toBeLessThan(largest * 2 ** -20);
    expect(distance(await outputsOf(exportOnnx(float)), expected)).toBeGreaterThan(1e-3);
  });

  it("take an eighth of what they take in float at four bits", () => {
    const large = makeModel("resnet20", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(1, "weights"));
    const { bytes } = buildLowBitWeights(quantize(large, weightsOf({ quantizer: "lsq", bits: 4 })), large);
    expect(bytes.length / exportOnnx(large).length).toBeLessThan(0.17);
  });

  it("refuse activations, which would be left out, and levels without codes, by name", () => {
    const all = quantize(float, presetNamed("lsq", { weightBits: 4, activationBits: 4 }));
    expect(() => buildLowBitWeights(all, float)).toThrow(UnsupportedError);
    expect(() => buildLowBitWeights(all, float)).toThrow(/an activation is quantized/);
    const wide = weightsOnly({ quantizer: "minifloat", bits: 8, options: { format: "e5m2" } });
    expect(() => buildLowBitWeights(wide, float)).toThrow(/"minifloat" have no codes/);
  });
});
