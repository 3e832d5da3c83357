/** The core proof: simulation, converted ONNX and interpreter agree in every code of random networks. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { showMismatch } from "../../src/convert/prove/verify.ts";
import type { QuantizationConfig } from "../../src/qconfig/config.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { convertibleConfig, convertiblePresets, isConvertible, proofOfRandom } from "../support/convert/agreement.ts";
import {
  type LayerDescription,
  type NetworkDescription,
  networkDescriptions,
} from "../support/convert/random/network.ts";

const engine = nodeEngine({ threads: 1 });
const runs = Number(process.env.SUBBYTE_CONVERT_RUNS ?? 8);
const seed = Number(process.env.SUBBYTE_CONVERT_SEED ?? 20261129);

async function compare(description: NetworkDescription, config: QuantizationConfig): Promise<string[]> {
  const result = await proofOfRandom(description, config, engine);
  return result.programs.flatMap(({ first, compared, layers }) => {
    if (layers < 3 || compared === 0) return ["nothing was compared"];
    return first === undefined ? [] : [showMismatch(first)];
  });
}

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
    const config = convertibleConfig(preset, { weightBits: each, activationBits: each }, 8);
    expect(await compare(description, config)).toEqual([]);
  });

  for (const preset of convertiblePresets) {
    for (const each of bits) {
      it(`agree in every code: ${preset} W${each.weightBits}A${each.activationBits}`, async () => {
        await fc.assert(
          fc.asyncProperty(networkDescriptions, fc.constantFrom(null, 8, 4), async (description, residualBits) => {
            fc.pre(isConvertible(preset, description, residualBits));
            expect(await compare(description, convertibleConfig(preset, each, residualBits))).toEqual([]);
          }),
          { numRuns: runs, seed },
        );
      });
    }
  }
});
