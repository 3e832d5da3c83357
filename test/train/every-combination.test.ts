/**
 * Every preset and every quantizer on a convolutional network, a perceptron, a vision transformer and a 1-D network: it trains under
 * diagnosis, evaluates and converts with the same accuracy, or is refused with a reason before it trains (or at the conversion).
 * Here a sample of the product; `EVERY_COMBINATION=1` runs all of it, `EVERY_COMBINATION_SEED=n` samples another part. @slow
 */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import type { QuantizedNetwork } from "../../src/compile/sites.ts";
import { convert } from "../../src/convert/convert.ts";
import type { IntegerNetwork } from "../../src/convert/integer-network.ts";
import { evaluateIntegers } from "../../src/convert/prove/evaluate-integers.ts";
import { type DatasetSplits, inMemoryDataset } from "../../src/data/dataset/dataset.ts";
import { watchTraining } from "../../src/diagnose/watch-run.ts";
import { ConfigError, UnsupportedError } from "../../src/errors.ts";
import { importOnnx } from "../../src/importer/import.ts";
import type { Network } from "../../src/ir/network.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import { visionTransformer } from "../../src/models/vision-transformer.ts";
import { globalAveragePool } from "../../src/ops/families/pool.ts";
import { flatten } from "../../src/ops/families/shape/shape-ops.ts";
import type { QuantizationConfig } from "../../src/qconfig/config.ts";
import { presetNamed, presets } from "../../src/qconfig/presets.ts";
import type { TensorQuantization } from "../../src/qconfig/tensor-quantization.ts";
import { quantizers } from "../../src/quantizers/index.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { calibrate } from "../../src/train/loop/calibrate.ts";
import { evaluate, inputOf } from "../../src/train/loop/evaluate.ts";
import { train } from "../../src/train/loop/trainer.ts";
import { baseRecipe } from "../diagnose/small-networks.ts";
import { onnxModel, ramp } from "../support/onnx/model.ts";

const engine = nodeEngine({ threads: 1 });
const count = 32;
const isWhole = process.env.EVERY_COMBINATION !== undefined;

interface Subject {
  readonly sampleShape: readonly number[];
  make(): Network;
}

const image = [2, 8, 8];
const subjects: Readonly<Record<string, Subject>> = {
  convolutional: {
    sampleShape: image,
    make() {
      const network = new NetworkBuilder("small", randomStream(1, "weights"));
      let x = network.input("images", image);
      x = network.relu("relu1", network.batchNorm("bn1", network.conv("conv1", x, 4, { kernel: 3, padding: 1 })));
      x = network.relu("relu2", network.batchNorm("bn2", network.conv("conv2", x, 4, { kernel: 3, padding: 1 })));
      x = flatten(network.builder, globalAveragePool(network.builder, x));
      return network.finish(network.linear("fc", x, 3));
    },
  },
  perceptron: {
    sampleShape: image,
    make() {
      const network = new NetworkBuilder("linear", randomStream(1, "weights"));
      let x = flatten(network.builder, network.input("images", image));
      x = network.relu("relu1", network.linear("fc1", x, 8));
      x = network.relu("relu2", network.linear("fc2", x, 8));
      return network.finish(network.linear("fc3", x, 3));
    },
  },
  transformer: {
    sampleShape: image,
    make: () =>
      visionTransformer(
        "vit",
        { sampleShape: image, classes: 3, width: 32, depth: 1, patch: 4 },
        randomStream(1, "weights"),
      ),
  },
  "1-D": {
    sampleShape: [2, 16],
    make: () =>
      importOnnx(
        onnxModel({
          inputs: { x: ["N", 2, 16] },
          outputs: ["y"],
          nodes: [
            ["Conv", ["x", "w1", "b1"], ["c1"], { kernel_shape: [3], pads: [1, 1] }],
            ["Relu", ["c1"], ["r1"]],
            ["Conv", ["r1", "w2", "b2"], ["c2"], { kernel_shape: [3], strides: [2] }],
            ["Relu", ["c2"], ["r2"]],
            ["GlobalAveragePool", ["r2"], ["p"]],
            ["Flatten", ["p"], ["f"]],
            ["Gemm", ["f", "w3", "b3"], ["y"], { transB: 1 }],
          ],
          initializers: {
            w1: ramp(4, 2, 3),
            b1: ramp(4),
            w2: ramp(4, 4, 3),
            b2: ramp(4),
            w3: ramp(3, 4),
            b3: ramp(3),
          },
        }),
      ),
  },
};

function dataOf({ sampleShape }: Subject): DatasetSplits {
  const size = sampleShape.reduce((product, each) => product * each, 1);
  const part = (seed: number) => {
    const random = randomStream(seed, "samples");
    return inMemoryDataset({
      name: "random",
      samples: Float32Array.from({ length: count * size }, () => random.uniform() * 2 - 1),
      sampleShape,
      targets: Int32Array.from({ length: count }, () => random.integerBelow(3)),
      target: { kind: "classes", classes: ["a", "b", "c"] },
    });
  };
  return { train: part(1), test: part(2) };
}

/** Every preset at three widths, and every quantizer in each granularity, for weights, activations and both. */
function configurations(): [string, () => QuantizationConfig][] {
  const named = Object.keys(presets).flatMap((preset) =>
    [2, 4, 8].map((bits): [string, () => QuantizationConfig] => [
      `preset ${preset} at ${bits} bits`,
      () => presetNamed(preset, { weightBits: bits, activationBits: bits }),
    ]),
  );
  const lsq: TensorQuantization = { quantizer: "lsq", bits: 4, signed: true, granularity: "channel", options: {} };
  const made = [...quantizers.keys()].flatMap((quantizer) => {
    const bits = quantizer === "binary" ? 1 : quantizer === "ternary" ? 2 : 4;
    const weight = { ...lsq, quantizer, bits };
    const activation: TensorQuantization = { ...weight, signed: "auto", granularity: "tensor" };
    const plain: TensorQuantization = { ...lsq, signed: "auto", granularity: "tensor" };
    const parts: [string, TensorQuantization, TensorQuantization][] = [
      ["weights per channel", weight, plain],
      ["weights per group", { ...weight, granularity: "group", groupSize: 2 }, plain],
      ["activations", lsq, activation],
      ["both per tensor", { ...weight, granularity: "tensor" }, activation],
    ];
    return parts.flatMap(([what, weights, activations]) =>
      (["fused", "everyModule"] as const).map((placement): [string, () => QuantizationConfig] => [
        `${quantizer}, ${what}, ${placement}`,
        () => ({
          weight: weights,
          activation: activations,
          placement,
          firstLayer: "same",
          lastLayer: "same",
          residualBits: null,
        }),
      ]),
    );
  });
  return [...named, ...made];
}

const product = Object.keys(subjects).flatMap((subject) =>
  configurations().map(([name, config]) => ({ subject, name, config })),
);

function cases() {
  if (isWhole) return product;
  const random = randomStream(Number(process.env.EVERY_COMBINATION_SEED ?? 1), "combinations");
  // The presets that crashed or were refused too late once.
  const always = product.filter(({ name }) => name === "preset n2uq at 2 bits");
  return [
    ...always,
    ...Array.from({ length: 28 }, () => product[random.integerBelow(product.length)] ?? expect.fail()),
  ];
}

/** The result, or undefined where it is refused with a reason. */
function orRefused<Result>(make: () => Result): Result | undefined {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof UnsupportedError)) throw error;
    expect(error.message.length).toBeGreaterThan(10);
    expect(error.where, error.message).toBeDefined();
    return undefined;
  }
}

describe("every preset and every quantizer", () => {
  it.each(cases())(
    "$name on a $subject network trains, is diagnosed, evaluates and converts, or is refused with a reason",
    async ({ subject, config }) => {
      const { make, ...rest } = subjects[subject] ?? expect.fail();
      const data = dataOf({ make, ...rest });
      const quantized = orRefused((): QuantizedNetwork => quantize(make(), config()));
      if (quantized === undefined) return;
      const indices = Int32Array.from({ length: 16 }, (_, i) => i);
      const network = await calibrate(quantized, data.train, indices, engine);
      const run = { network, data, engine, recipe: { ...baseRecipe, epochs: 1, batchSize: 8 } };
      const watch = watchTraining(run, { every: 2, batchSize: 8 });
      const trained = await train({ ...run, watcher: watch.watcher });
      expect(Number.isFinite(trained.loss)).toBe(true);
      expect(watch.records.map(({ step }) => step)).toEqual([0, 2]);
      for (const site of watch.records.flatMap(({ sites }) => sites)) {
        expect(site.distinctCodes, site.name).toBeGreaterThan(0);
      }
      expect(watch.findings().every(({ confidence }) => confidence <= 1)).toBe(true);
      const again = await evaluate(trained.network, data.test, engine);
      expect(again.loss).toBe(trained.loss);
      const integers = orRefused((): IntegerNetwork => convert(trained.network, { input: inputOf(data.test) }));
      if (integers === undefined) return;
      const integer = await evaluateIntegers(integers, data.test, engine);
      // Float logits of two summation orders may tie otherwise in one sample.
      expect(Math.abs(integer.accuracy - again.accuracy)).toBeLessThan(1.5 / count);
    },
    60_000,
  );
});
