/** The computed bytes of a converted network, compared with those of its file. */
import { describe, expect, it } from "vitest";
import { buildCProgram } from "../../src/convert/formats/c/program.ts";
import { buildIntGraph } from "../../src/convert/formats/int/int.ts";
import { buildQdqGraph } from "../../src/convert/formats/qdq.ts";
import { buildQonnxGraph } from "../../src/convert/formats/qonnx.ts";
import { isIntegerLayer } from "../../src/convert/integer-network.ts";
import { floatElements, storedSize } from "../../src/convert/size.ts";
import { inspectNetwork } from "../../src/importer/inspect.ts";
import { elementCount } from "../../src/ir/types.ts";
import { writeOnnx } from "../../src/onnx/write/write.ts";
import { networkCost } from "../../src/runs/cost.ts";
import { convertibleConfig } from "../support/convert/agreement.ts";
import { convertedRandom, fullLayer } from "../support/convert/descriptions.ts";
import type { NetworkDescription } from "../support/convert/random/network.ts";

const description: NetworkDescription = {
  channels: 3,
  height: 8,
  width: 8,
  seed: 5,
  head: "globalAverage",
  layers: [
    { ...fullLayer, kind: "conv", channels: 64, bias: false },
    { ...fullLayer, kind: "residual", channels: 64 },
  ],
};

describe("the stored size", () => {
  it.each([
    ["lsq", 2, 2],
    ["lsq", 3, 4],
    ["lsq", 4, 4],
    ["apot", 4, 4],
    // Odd integers to ±255 take nine bits as integers: the file has them in two parts, of eight bits and of two.
    ["dorefa", 8, 10],
    ["pact", 8, 10],
  ] as const)(
    "counts bits of weights as asked for, and as the file has them: %s, %i and %i",
    async (preset, bits, inFile) => {
      const config = convertibleConfig(preset, { weightBits: bits, activationBits: bits }, 8);
      const all = { ...config, firstLayer: "same" } as const;
      const { quantized, converted: network } = await convertedRandom(description, all);
      const size = storedSize(network, floatElements(quantized));
      const inner = size.layers.filter(({ name }) => name.startsWith("layer1"));
      expect(inner.map((layer) => [layer.bits, layer.containerBits])).toEqual(inner.map(() => [bits, inFile]));
      const written = writeOnnx(buildIntGraph(network, { batchSize: 1 })).length;
      // Names, scales for channels and attributes take the rest.
      expect(written).toBeGreaterThan(size.containerBytes);
      expect(written).toBeLessThan(size.containerBytes * 1.25 + 8000);
    },
  );

  // LSQ+ gives codes an offset, which reaches padded windows by a second convolution with the same weights.
  it.each([
    ["lsq+", 2],
    ["lsq+", 4],
  ] as const)(
    "counts weights once that two convolutions read, as the file has them: %s, %i bits",
    async (preset, bits) => {
      const config = convertibleConfig(preset, { weightBits: bits, activationBits: bits }, 8);
      const { quantized, converted: network } = await convertedRandom(description, config);
      const layers = network.operations.filter(isIntegerLayer);
      expect(layers.length).toBeGreaterThan(new Set(layers.map(({ name }) => name)).size);
      const size = storedSize(network, floatElements(quantized));
      expect(size.layers.map(({ name }) => name)).toEqual([...new Set(layers.map(({ name }) => name))]);
      const weights = quantized.parameters.filter(({ role }) => role === "weight");
      expect(size.layers.reduce((sum, layer) => sum + layer.weights, 0)).toBe(
        weights.reduce((sum, { value }) => sum + value.data.length, 0),
      );
      const graphs = [
        buildIntGraph(network, { batchSize: 1 }),
        buildQdqGraph(network, { batchSize: 1, types: "native" }),
        buildQdqGraph(network, { batchSize: 1, types: "clip" }),
        buildQonnxGraph(network, { batchSize: 1 }),
      ];
      const [twiceRead] = size.layers;
      for (const { constants } of graphs) {
        const sizes = [...constants.values()].map(({ shape }) => elementCount(shape));
        expect(sizes.filter((count) => count === twiceRead?.weights)).toHaveLength(1);
      }
      const { source } = buildCProgram(network);
      expect(source.match(/ weights_\d+\[\d+\] =/g)).toHaveLength(size.layers.length);
    },
  );

  it("agrees with inspection and cost about the weights of every layer", async () => {
    const bits = { weightBits: 3, activationBits: 4 };
    const config = { ...convertibleConfig("lsq", bits, 8), firstLayer: "same", lastLayer: "same" } as const;
    const { quantized, converted } = await convertedRandom(description, config);
    const stored = storedSize(converted, floatElements(quantized)).layers;
    const packed = new Map(stored.map(({ name, packedBytes }) => [name, packedBytes]));
    const biases = (name: string) =>
      quantized.parameters.find((parameter) => parameter.name === `${name}.bias`)?.value.data.length ?? 0;
    const inspected = inspectNetwork(quantized, bits).layers;
    expect(inspected.map(({ name, parameterBytes }) => [name, parameterBytes - 4 * biases(name)])).toEqual(
      inspected.map(({ name }) => [name, packed.get(name)]),
    );
    // A multiplier and a bias for each channel come on top in the estimate of an integer model.
    const cost = networkCost(quantized).layers;
    const channels = new Map(inspected.map(({ name, output }) => [name, output[1] ?? 0]));
    expect(cost.map(({ name, bytes }) => [name, bytes - 8 * (channels.get(name) ?? 0)])).toEqual(
      cost.map(({ name }) => [name, packed.get(name)]),
    );
    expect(cost).toHaveLength(packed.size);
  });
});
