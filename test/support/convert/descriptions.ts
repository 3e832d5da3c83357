/** Networks that tests of conversions describe by hand, and the integer networks of descriptions. */
import { convert } from "../../../src/convert/convert.ts";
import type { QuantizationConfig } from "../../../src/qconfig/config.ts";
import { randomTensor, seeded } from "../random.ts";
import { type LayerDescription, type NetworkDescription, quantizedWith, randomNetwork } from "./random/network.ts";

/** A convolution of three by three with everything on it. */
export const fullLayer: Omit<LayerDescription, "kind" | "channels"> = {
  kernel: 3,
  stride: 1,
  grouping: "none",
  bias: true,
  norm: true,
  activation: "relu",
};

/** A convolution, a residual block in two groups and a block that halves the image, with its last activation. */
export function residualNetwork(last: LayerDescription["activation"]): NetworkDescription {
  return {
    ...{ channels: 3, height: 8, width: 7, seed: 5, head: "globalAverage" },
    layers: [
      { ...fullLayer, kind: "conv", channels: 6, bias: false },
      { ...fullLayer, kind: "residual", channels: 4, grouping: "two" },
      { ...fullLayer, kind: "downsample", channels: 5, stride: 2, bias: false, activation: last },
    ],
  };
}

/** Quantizes the network of a description on four random samples, and converts it. */
export async function convertedRandom(description: NetworkDescription, config: QuantizationConfig) {
  const { channels, height, width } = description;
  const data = randomTensor(seeded(1), [4, channels, height, width]);
  const quantized = await quantizedWith(randomNetwork(description), config, data);
  return { data, quantized, converted: convert(quantized, { input: { dtype: "float32" } }) };
}
