import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/base/random.ts";
import { quantize } from "../../src/compile/passes/quantize.ts";
import { int64Tensor } from "../../src/ir/tensor.ts";
import { makeModel } from "../../src/models/index.ts";
import { NetworkBuilder } from "../../src/models/network-builder.ts";
import { presetNamed } from "../../src/qconfig/presets.ts";
import { networkCost } from "../../src/runs/cost.ts";

const sample = { sampleShape: [1, 28, 28], classes: 10 };
const random = () => randomStream(0, "initial weights");

describe("the cost of a network", () => {
  it("counts the perceptron's products as by hand", () => {
    const { layers, macs, bitOperations, bytes } = networkCost(makeModel("mlp", { ...sample, width: 16 }, random()));
    expect(layers.map((layer) => layer.macs)).toEqual([784 * 16, 16 * 16, 16 * 10]);
    expect(macs).toBe(12960);
    expect(bitOperations).toBe(12960 * 32 * 32);
    expect(bytes).toBe(12960 * 4 + 42 * 4);
  });

  it("counts LeNet's convolutions as by hand: outputs times kernel times input channels", () => {
    const { layers } = networkCost(makeModel("lenet", sample, random()));
    expect(layers[0]).toMatchObject({ operator: "Conv", macs: 28 * 28 * 6 * 25, weights: 150 });
    expect(layers[1]).toMatchObject({ operator: "Conv", macs: 10 * 10 * 16 * 25 * 6, weights: 2400 });
  });

  it("gives the first and the last layer their own bits", () => {
    const lenet = makeModel("lenet", sample, random());
    const { layers, bitOperations } = networkCost(
      quantize(lenet, presetNamed("lsq", { weightBits: 2, activationBits: 3 })),
    );
    const bits = layers.map(({ weight, activation }) => [weight.bits, activation.bits]);
    expect(bits).toEqual([
      [8, 8],
      [2, 3],
      [2, 3],
      [2, 3],
      [8, 8],
    ]);
    expect(bitOperations).toBe(
      layers.reduce((sum, { macs, weight, activation }) => sum + macs * weight.bits * activation.bits, 0),
    );
    expect(layers[1]?.bytes).toBe((2400 * 2) / 8 + 16 * 8);
  });

  it("counts the levels that there are, not the bits that were asked for", () => {
    const lenet = makeModel("lenet", sample, random());
    const thread = networkCost(quantize(lenet, presetNamed("thread", { weightBits: 4, activationBits: 4 })));
    expect(thread.layers[1]).toMatchObject({ weight: { bits: 4, levels: 16 }, activation: { bits: 3, levels: 8 } });
  });

  it("finds every layer of a ResNet, shortcuts included", () => {
    const { layers } = networkCost(makeModel("resnet8", sample, random()));
    expect(layers.every((layer) => layer.macs > 0)).toBe(true);
    expect(layers.length).toBeGreaterThanOrEqual(8);
  });

  it.each([
    ["Relu", {}, []],
    ["Clip", {}, [0, 6]],
    ["Flatten", { axis: 1 }, []],
    ["Squeeze", {}, [[2, 3]]],
    ["GlobalMaxPool", {}, []],
    ["MaxPool", { kernel_shape: [1, 1] }, []],
    ["Transpose", { perm: [0, 1, 3, 2] }, []],
    ["Slice", {}, [[0], [2], [1]]],
  ] as const)("reads the bits of a layer's input through %s", (op, attributes, constants) => {
    const network = new NetworkBuilder("one layer", random());
    const { builder } = network;
    const x = network.relu("relu", network.input("x", [4, 1, 1]));
    const others = constants.map((value) =>
      typeof value === "number" ? builder.scalar(value) : builder.constant(int64Tensor(value)),
    );
    const y = builder.one(op, [x, ...others], attributes, { name: "between" });
    const channels = y.type.shape[1] ?? 0;
    const features = builder.one("Reshape", [y, builder.constant(int64Tensor([1, channels]))]);
    const quantized = quantize(
      network.finish(network.linear("fc", features, 3)),
      presetNamed("thread", { weightBits: 4, activationBits: 4 }),
    );
    expect(networkCost(quantized).layers).toMatchObject([{ activation: { bits: 3, levels: 8 } }]);
  });
});
