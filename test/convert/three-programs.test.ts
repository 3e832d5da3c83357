/** The core proof: simulation, converted ONNX and interpreter agree in every code of random networks. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { convert } from "../../src/convert/convert.ts";
import { showMismatch } from "../../src/convert/verify.ts";
import type { QuantizationConfig } from "../../src/qconfig/config.ts";
import { type PresetBits, presetNamed } from "../../src/qconfig/presets.ts";
import { nodeEngine } from "../../src/runtime/node.ts";
import { randomTensor, seeded } from "../support/random.ts";
import { provenOn } from "./agreement.ts";
import {
  type LayerDescription,
  type NetworkDescription,
  networkDescriptions,
  quantizedWith,
  randomNetwork,
} from "./random-network.ts";

const engine = nodeEngine({ threads: 1 });
const samples = 4;
const runs = Number(process.env.SUBBYTE_CONVERT_RUNS ?? 8);

async function compare(description: NetworkDescription, config: QuantizationConfig): Promise<string[]> {
  const network = randomNetwork(description);
  const { channels, height, width } = description;
  const data = randomTensor(seeded(description.seed + 1), [samples, channels, height, width], { low: -2, high: 2 });
  const quantized = await quantizedWith(network, config, data);
  const converted = convert(quantized, { input: { dtype: "float32" } });
  const result = await provenOn(converted, data, engine);
  return result.programs.flatMap(({ first, compared, layers }) => {
    if (layers < 3 || compared === 0) return ["nothing was compared"];
    return first === undefined ? [] : [showMismatch(first)];
  });
}

const presetNames = ["lsq", "lsq+", "minmax", "thread", "pact", "dorefa", "apot", "binary"];
const bits = [8, 4, 3, 2].map((each) => ({ weightBits: each, activationBits: each }));

const plainLayer: LayerDescription = {
  kind: "conv",
  channels: 1,
  kernel: 1,
  stride: 1,
  grouping: "none",
  bias: false,
  norm: false,
  activation: "relu",
};

function configOf(preset: string, each: PresetBits, residualBits: number | null): QuantizationConfig {
  const base = presetNamed(preset, each);
  // Layers that the papers leave in float have no integers; here they are quantized as the others are.
  const inside: Partial<QuantizationConfig> = {
    ...(base.firstLayer === "float" ? { firstLayer: "same" } : {}),
    ...(base.lastLayer === "float" ? { lastLayer: "same" } : {}),
  };
  return preset === "thread" ? base : { ...base, ...inside, residualBits };
}

describe("simulation, ONNX on integers and interpreter", () => {
  // Quantizers that saw nothing but zeros have steps so small that a sum of codes passes int32 in units of them.
  it.each<readonly [string, number, NetworkDescription]>([
    [
      "pact",
      4,
      {
        channels: 2,
        height: 2,
        width: 1,
        layers: [
          { ...plainLayer, channels: 2, kernel: 3, bias: true, activation: "none" },
          { ...plainLayer, kind: "downsample", kernel: 3, stride: 2, norm: true },
        ],
        head: "globalAverage",
        seed: 1176032372,
      },
    ],
    [
      "apot",
      2,
      {
        channels: 1,
        height: 1,
        width: 1,
        layers: [
          { ...plainLayer, kernel: 3 },
          { ...plainLayer, kind: "residual", channels: 6 },
        ],
        head: "globalAverage",
        seed: 0,
      },
    ],
  ])("agree where a sum of codes is far outside its output's range: %s, %i bits", async (preset, each, description) => {
    const config = configOf(preset, { weightBits: each, activationBits: each }, 8);
    expect(await compare(description, config)).toEqual([]);
  });

  for (const preset of presetNames) {
    for (const each of bits) {
      it(`agree in every code: ${preset} W${each.weightBits}A${each.activationBits}`, async () => {
        await fc.assert(
          fc.asyncProperty(networkDescriptions, fc.constantFrom(null, 8, 4), async (description, residualBits) => {
            // In the thread's placement nothing quantizes a concatenation.
            fc.pre(preset !== "thread" || description.layers.every(({ kind }) => kind !== "concat"));
            expect(await compare(description, configOf(preset, each, residualBits))).toEqual([]);
          }),
          { numRuns: runs },
        );
      });
    }
  }
});
