/** The core proof: simulation, converted ONNX and interpreter agree in every code of random networks. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { convert } from "../../src/convert/convert.ts";
import { containerOf } from "../../src/convert/formats/containers.ts";
import { buildIntGraph } from "../../src/convert/formats/int.ts";
import { onnxRunner } from "../../src/convert/formats/run-onnx.ts";
import { showMismatch, verify } from "../../src/convert/verify.ts";
import { inMemoryDataset } from "../../src/data/dataset.ts";
import { float32Data } from "../../src/graph/tensor.ts";
import type { QuantizationConfig } from "../../src/qconfig/config.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { nodeEngine } from "../../src/runtime/node.ts";
import { randomTensor, seeded } from "../support/random.ts";
import { type NetworkDescription, networkDescriptions, quantizedWith, randomNetwork } from "./random-network.ts";

const engine = nodeEngine({ threads: 1 });
const samples = 4;
const runs = Number(process.env.SUBBYTE_CONVERT_RUNS ?? 8);

async function compare(description: NetworkDescription, config: QuantizationConfig): Promise<string[]> {
  const network = randomNetwork(description);
  const { channels, height, width } = description;
  const data = randomTensor(seeded(description.seed + 1), [samples, channels, height, width], { low: -2, high: 2 });
  const quantized = await quantizedWith(network, config, data);
  const converted = convert(quantized, { input: { dtype: "float32" } });
  const dataset = inMemoryDataset({
    name: "random",
    samples: float32Data(data),
    sampleShape: [channels, height, width],
    targets: new Int32Array(samples),
    target: { kind: "classes", classes: ["a", "b", "c"] },
  });
  const runner = await onnxRunner(
    "onnx int",
    converted,
    buildIntGraph(converted, { batchSize: samples, codes: true }),
    engine,
    (tensor) => containerOf(tensor.form, tensor.name).offset,
  );
  const result = await verify(converted, dataset, engine, { batchSize: samples, runners: [runner] });
  await runner.release();
  return result.programs.flatMap(({ first, compared, layers }) => {
    if (layers < 3 || compared === 0) return ["nothing was compared"];
    return first === undefined ? [] : [showMismatch(first)];
  });
}

const presetNames = ["lsq", "minmax", "thread", "pact", "dorefa", "apot", "binary"];
const bits = [8, 4, 3, 2].map((each) => ({ weightBits: each, activationBits: each }));

describe("simulation, ONNX on integers and interpreter", () => {
  for (const preset of presetNames) {
    for (const each of bits) {
      it(`agree in every code: ${preset} W${each.weightBits}A${each.activationBits}`, async () => {
        await fc.assert(
          fc.asyncProperty(networkDescriptions, fc.constantFrom(null, 8, 4), async (description, residualBits) => {
            const base = presetNamed(preset, each);
            // In the thread's placement nothing quantizes a concatenation.
            fc.pre(preset !== "thread" || description.layers.every(({ kind }) => kind !== "concat"));
            // Layers that the papers leave in float have no integers; here they are quantized as the others are.
            const inside: Partial<QuantizationConfig> = {
              ...(base.firstLayer === "float" ? { firstLayer: "same" } : {}),
              ...(base.lastLayer === "float" ? { lastLayer: "same" } : {}),
            };
            const config = preset === "thread" ? base : { ...base, ...inside, residualBits };
            expect(await compare(description, config)).toEqual([]);
          }),
          { numRuns: runs },
        );
      });
    }
  }
});
