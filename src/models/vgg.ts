/**
 * VGG with batch normalization: Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
 * Recognition" (arXiv 1409.1556), configuration A (`vgg11`), in its usual form for small images: one fully connected
 * layer after the last stage in place of three. Names of the convolutions' parameters are torchvision's.
 */
import type { Network } from "../ir/network.ts";
import { globalAveragePool, maxPool } from "../ops/families/pool.ts";
import { flatten } from "../ops/families/shape/shape-ops.ts";
import type { InitialRandom } from "./initial-random.ts";
import { NetworkBuilder, type NetworkSizes } from "./network-builder.ts";

/** Input and output sizes of a VGG network, and its width. */
export interface VggOptions extends NetworkSizes {
  /** Channels of the first stage; each later stage doubles them, up to eight times. */
  readonly width: number;
  /** Convolutions of each stage; max pooling ends a stage while there are two rows to halve. */
  readonly stages: readonly number[];
}

/** A VGG with one fully connected layer. */
export function vgg(name: string, options: VggOptions, random: InitialRandom): Network {
  const network = new NetworkBuilder(name, random);
  const { builder } = network;
  let x = network.input("images", options.sampleShape);
  let index = 0;
  options.stages.forEach((layers, stage) => {
    const channels = options.width * Math.min(8, 2 ** stage);
    for (let layer = 0; layer < layers; layer++) {
      const y = network.conv(`features.${index}`, x, channels, { kernel: 3, padding: 1, bias: true });
      x = network.relu(`features.${index + 2}`, network.batchNorm(`features.${index + 1}`, y));
      index += 3;
    }
    const [, , height = 0, width = 0] = x.type.shape;
    if (Math.min(height, width) > 1) x = maxPool(builder, x, { kernel: [2, 2], strides: [2, 2] });
    index++;
  });
  return network.finish(network.linear("classifier", flatten(builder, globalAveragePool(builder, x)), options.classes));
}
