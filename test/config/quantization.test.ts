/** From a run's settings to the configuration that the compiler takes, and to the specs that the nodes carry. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { resolveTrainingConfig } from "../../src/config/config.ts";
import { quantizationOf } from "../../src/config/quantization.ts";
import { makeModel } from "../../src/models/index.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { isFakeQuantize, specOf } from "../../src/quantizers/fake-quantize.ts";

function settingsOf(...overrides: readonly (readonly [path: string, value: number | string])[]) {
  const { quantization } = resolveTrainingConfig(
    undefined,
    overrides.map(([path, value]) => ({ path: `quantization.${path}`, value, origin: path })),
  );
  if (quantization === null) throw new Error("nothing is quantized");
  return quantization;
}

describe("quantizationOf", () => {
  it("is the preset where the settings say nothing else", () => {
    const bits = { weightBits: 4, activationBits: 4 };
    const { activation, ...rest } = quantizationOf(settingsOf(["preset", "lsq"], ["weightBits", 4]));
    const { activation: own, ...preset } = presetNamed("lsq", bits);
    expect(rest).toEqual(preset);
    expect(activation).toEqual({ ...own, reduceRange: false });
  });

  it("lets the settings go over the preset", () => {
    const config = quantizationOf(
      settingsOf(["preset", "thread"], ["placement", "fused"], ["firstLayerBits", 8], ["residualBits", 6]),
    );
    expect(config).toMatchObject({
      placement: "fused",
      firstLayer: { weightBits: 8, activationBits: 8 },
      residualBits: 6,
    });
  });
});

it.each([2, 3, 4, 8])("%i bits of weights are those of the node's spec", (bits) => {
  const network = makeModel("lenet", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(0, "weights"));
  const config = quantizationOf(
    settingsOf(["weightBits", bits], ["firstLayerBits", "same"], ["lastLayerBits", "same"]),
  );
  const { graph, sites } = quantize(network, config);
  const specs = new Map(graph.nodes.filter(isFakeQuantize).map((node) => [node.name, specOf(node)]));
  for (const { id, kind, spec, parameter } of sites) {
    expect(specs.get(id)).toBe(spec);
    if (kind === "weight") expect([parameter, spec.bits, spec.quantMin]).toEqual([parameter, bits, -(2 ** (bits - 1))]);
  }
});
