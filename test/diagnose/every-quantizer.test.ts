/** Diagnosis only watches: every preset and every quantizer trains under it, on a convolutional and a linear network. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { type DatasetSplits, inMemoryDataset } from "../../src/data/dataset/dataset.ts";
import { watchTraining } from "../../src/diagnose/watch-run.ts";
import { ConfigError } from "../../src/errors.ts";
import type { Network } from "../../src/ir/network.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import { globalAveragePool } from "../../src/ops/families/pool.ts";
import { flatten } from "../../src/ops/families/shape/shape-ops.ts";
import type { QuantizationConfig } from "../../src/qconfig/config.ts";
import { presetNamed, presets } from "../../src/qconfig/presets.ts";
import type { TensorQuantization } from "../../src/qconfig/tensor-quantization.ts";
import { quantizers } from "../../src/quantizers/index.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { calibrate } from "../../src/train/loop/calibrate.ts";
import { train } from "../../src/train/loop/trainer.ts";
import { baseRecipe } from "./small-networks.ts";

const engine = nodeEngine({ threads: 1 });
const sampleShape = [2, 6, 6];
const count = 32;
const data: DatasetSplits = { train: samplesOf(1), test: samplesOf(2) };

function samplesOf(seed: number) {
  const random = randomStream(seed, "samples");
  return inMemoryDataset({
    name: "random",
    samples: Float32Array.from({ length: count * 72 }, () => random.uniform() * 2 - 1),
    sampleShape,
    targets: Int32Array.from({ length: count }, () => random.integerBelow(3)),
    target: { kind: "classes", classes: ["a", "b", "c"] },
  });
}

const networks: Readonly<Record<string, () => Network>> = {
  convolutional() {
    const network = new NetworkBuilder("small", randomStream(1, "weights"));
    let x = network.input("images", sampleShape);
    x = network.relu("relu1", network.batchNorm("bn1", network.conv("conv1", x, 4, { kernel: 3, padding: 1 })));
    x = network.relu("relu2", network.batchNorm("bn2", network.conv("conv2", x, 4, { kernel: 3, padding: 1 })));
    x = flatten(network.builder, globalAveragePool(network.builder, x));
    return network.finish(network.linear("fc", x, 3));
  },
  linear() {
    const network = new NetworkBuilder("linear", randomStream(1, "weights"));
    let x = flatten(network.builder, network.input("images", sampleShape));
    x = network.relu("relu1", network.linear("fc1", x, 8));
    x = network.relu("relu2", network.linear("fc2", x, 8));
    return network.finish(network.linear("fc3", x, 3));
  },
};

async function watched(float: Network, config: QuantizationConfig) {
  const indices = Int32Array.from({ length: 16 }, (_, i) => i);
  const network = await calibrate(quantize(float, config), data.train, indices, engine);
  const run = { network, data, engine, recipe: { ...baseRecipe, epochs: 1, batchSize: 8 } };
  const watch = watchTraining(run, { every: 2, batchSize: 8 });
  const { network: trained } = await train({ ...run, watcher: watch.watcher });
  return { watch, trained, sites: network.sites };
}

async function expectWatched(float: Network, config: QuantizationConfig): Promise<void> {
  const { watch, sites } = await watched(float, config);
  expect(watch.records.map(({ step }) => step)).toEqual([0, 2]);
  for (const record of watch.records) {
    expect(record.sites.map(({ name }) => name)).toEqual(sites.map(({ id }) => id));
    for (const site of record.sites) expect(site.distinctCodes, site.name).toBeGreaterThan(0);
  }
  expect(Array.isArray(watch.findings())).toBe(true);
}

const bits = [2, 4];

describe.each(Object.keys(networks))("a %s network under diagnosis", (kind) => {
  const make = () => networks[kind]?.() ?? expect.fail();

  it.each(Object.keys(presets).flatMap((preset) => bits.map((each) => [preset, each] as const)))(
    "trains with the preset %s at %i bits",
    (preset, each) => expectWatched(make(), presetNamed(preset, { weightBits: each, activationBits: each })),
  );

  it.each(placements())("trains with weights by %s and activations by %s", (_weight, _activation, config) =>
    expectWatched(make(), config),
  );
});

/** Every quantizer in each granularity that it has, on the side or sides where it can be. */
function placements(): [string, string, QuantizationConfig][] {
  const lsqWeight: TensorQuantization = {
    quantizer: "lsq",
    bits: 4,
    signed: true,
    granularity: "channel",
    options: {},
  };
  const lsqActivation: TensorQuantization = { ...lsqWeight, signed: "auto", granularity: "tensor" };
  const configOf = (weight: TensorQuantization, activation: TensorQuantization): QuantizationConfig => ({
    weight,
    activation,
    placement: "fused",
    firstLayer: "float",
    lastLayer: "same",
    residualBits: null,
  });
  const found: [string, string, QuantizationConfig][] = [];
  for (const quantizer of quantizers.keys()) {
    const own = quantizer === "binary" ? 1 : quantizer === "ternary" ? 2 : 4;
    const weight: TensorQuantization = { ...lsqWeight, quantizer, bits: own };
    const activation: TensorQuantization = { ...lsqActivation, quantizer, bits: own };
    const both = configOf({ ...weight, granularity: "tensor" }, activation);
    const candidates: [string, string, QuantizationConfig][] = [
      [`${quantizer} per channel`, "lsq", configOf(weight, lsqActivation)],
      [`${quantizer} per group`, "lsq", configOf({ ...weight, granularity: "group", groupSize: 4 }, lsqActivation)],
    ];
    if (isPossible(both)) candidates.push([`${quantizer} per tensor`, quantizer, both]);
    else candidates.push(["lsq", quantizer, configOf(lsqWeight, activation)]);
    found.push(...candidates.filter(([, , config]) => isPossible(config)));
  }
  return found;
}

/** Whether both networks can have it; what they cannot have is refused before training, with a reason. */
function isPossible(config: QuantizationConfig): boolean {
  return Object.values(networks).every((make) => {
    try {
      quantize(make(), config);
      return true;
    } catch (error) {
      if (error instanceof ConfigError) return false;
      throw error;
    }
  });
}

describe("the placements", () => {
  it("hold every quantizer of the registry", () => {
    const named = new Set(
      placements()
        .flatMap(([, , { weight, activation }]) => [weight, activation])
        .map((each) => each?.quantizer),
    );
    expect([...quantizers.keys()].filter((name) => !named.has(name))).toEqual([]);
  });
});

describe("N2UQ on a tensor with a sign", () => {
  it("is refused before training, with the tensor and what to do", () => {
    const network = new NetworkBuilder("signed", randomStream(1, "weights"));
    let x = network.linear("fc1", flatten(network.builder, network.input("images", sampleShape)), 8);
    x = network.linear("fc2", x, 8);
    const float = network.finish(network.linear("fc3", x, 3));
    const config = presetNamed("n2uq", { weightBits: 3, activationBits: 3 });
    expect(() => quantize(float, config)).toThrow(
      expect.objectContaining({
        message: "N2UQ activations start at 0, and this tensor has a sign",
        where: expect.stringContaining("fc2.input"),
        remedy: expect.stringContaining("lsq+"),
      }),
    );
  });
});
