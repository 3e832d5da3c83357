/** The proof of a converted network on random samples, for tests: ONNX Runtime and the interpreter. */
import { convert } from "../../../src/convert/convert.ts";
import { containerOf } from "../../../src/convert/formats/containers.ts";
import { buildIntGraph } from "../../../src/convert/formats/int/int.ts";
import { onnxRunner } from "../../../src/convert/formats/run-onnx.ts";
import type { IntegerNetwork } from "../../../src/convert/integer-network.ts";
import { type VerificationResult, verify } from "../../../src/convert/prove/verify.ts";
import { type Dataset, inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { float32Data, type Tensor } from "../../../src/ir/tensor.ts";
import type { QuantizationConfig } from "../../../src/qconfig/config.ts";
import { type PresetBits, presetNamed } from "../../../src/qconfig/presets.ts";
import type { Engine } from "../../../src/runtime/engine.ts";
import { randomTensor, seeded } from "../random.ts";
import {
  hasFunctions,
  type NetworkDescription,
  quantizedWith,
  randomNetwork,
  sampleShapeOf,
} from "./random/network.ts";

const randomSamples = 4;

/** Presets whose quantizers all have integers, where every layer is quantized. */
export const convertiblePresets = ["lsq", "lsq+", "minmax", "thread", "pact", "dorefa", "apot", "binary"] as const;

/** A preset that leaves no layer in float: the papers' first and last ones are quantized as the others are. */
export function convertibleConfig(preset: string, bits: PresetBits, residualBits: number | null): QuantizationConfig {
  const base = presetNamed(preset, bits);
  const inside: Partial<QuantizationConfig> = {
    ...(base.firstLayer === "float" ? { firstLayer: "same" } : {}),
    ...(base.lastLayer === "float" ? { lastLayer: "same" } : {}),
  };
  return preset === "thread" ? base : { ...base, ...inside, residualBits };
}

/**
 * Whether a description can be converted: in the thread's placement nothing quantizes a concatenation and the like, and without residual bits
 * nothing what functions read.
 */
export function isConvertible(preset: string, description: NetworkDescription, residualBits: number | null): boolean {
  if (hasFunctions(description) && (residualBits === null || preset === "thread")) return false;
  const unobserved = ["concat", "difference", "largest", "smallest"];
  return (
    preset !== "thread" ||
    description.layers.every(({ kind, activation }) => !unobserved.includes(kind) && activation !== "halved")
  );
}

/** The proof of a random network, over random samples. */
export async function proofOfRandom(
  description: NetworkDescription,
  config: QuantizationConfig,
  engine: Engine,
): Promise<VerificationResult> {
  const { seed } = description;
  const shape = [randomSamples, ...sampleShapeOf(description)];
  const data = randomTensor(seeded(seed + 1), shape, { low: -2, high: 2 });
  const quantized = await quantizedWith(randomNetwork(description), config, data);
  return provenOn(convert(quantized, { input: { dtype: "float32" } }), data, engine);
}

/** Samples as a data set that has one class. */
export function datasetOf(data: Tensor): Dataset {
  const [samples = 0, ...sampleShape] = data.shape;
  return inMemoryDataset({
    name: "random",
    samples: data.data instanceof Int32Array ? data.data : float32Data(data),
    sampleShape,
    targets: new Int32Array(samples),
    target: { kind: "classes", classes: ["a"] },
  });
}

/** @param interpretedSamples How many of the samples the interpreter runs; default: all. */
export async function provenOn(
  converted: IntegerNetwork,
  data: Tensor,
  engine: Engine,
  interpretedSamples?: number,
): Promise<VerificationResult> {
  const [samples = 0] = data.shape;
  const runner = await onnxRunner(
    "onnx int",
    converted,
    buildIntGraph(converted, { batchSize: samples, codes: true }),
    engine,
    (tensor) => containerOf(tensor.form, tensor.name).offset,
  );
  try {
    return await verify(converted, datasetOf(data), engine, {
      batchSize: samples,
      runners: [runner],
      ...(interpretedSamples === undefined ? {} : { interpretedSamples }),
    });
  } finally {
    await runner.release();
  }
}
