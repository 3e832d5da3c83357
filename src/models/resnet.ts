/**
 * Residual networks with basic blocks: He et al., "Deep Residual Learning for Image Recognition" (arXiv 1512.03385).
 *
 * `resnet8/20/…` are the CIFAR family of section 4.2 (three stages of n blocks, 6n+2 layers), with 1x1 convolutions on
 * the shortcuts that change shape. `resnet18` has four stages of two blocks; its stem is the 3x3 one that CIFAR-sized
 * images need, or the 7x7 one with max pooling for ImageNet. Names of parameters are torchvision's.
 */
import type { Value } from "../ir/graph.ts";
import type { Network } from "../ir/network.ts";
import { globalAveragePool, maxPool } from "../ops/families/pool.ts";
import { flatten } from "../ops/families/shape/shape-ops.ts";
import type { InitialRandom } from "./initial-random.ts";
import { NetworkBuilder, type NetworkSizes } from "./network-builder.ts";

/** Input and output sizes of a ResNet, its width and its stem. */
export interface ResNetOptions extends NetworkSizes {
  /** Channels of the first stage; each later stage doubles them. */
  readonly width: number;
  readonly stem: "cifar" | "imagenet";
  /** Blocks of each stage. */
  readonly blocks: readonly number[];
}

/** A residual network of basic blocks. */
export function resnet(name: string, options: ResNetOptions, random: InitialRandom): Network {
  const network = new NetworkBuilder(name, random);
  const { builder } = network;
  let x = stem(network, network.input("images", options.sampleShape), options);
  options.blocks.forEach((count, stage) => {
    const channels = options.width * 2 ** stage;
    for (let block = 0; block < count; block++) {
      x = basicBlock(network, `layer${stage + 1}.${block}`, x, channels, stage > 0 && block === 0 ? 2 : 1);
    }
  });
  return network.finish(network.linear("fc", flatten(builder, globalAveragePool(builder, x)), options.classes));
}

function stem(network: NetworkBuilder, images: Value, { stem, width }: ResNetOptions): Value {
  const imagenet = stem === "imagenet";
  const y = network.conv(
    "conv1",
    images,
    width,
    imagenet ? { kernel: 7, stride: 2, padding: 3 } : { kernel: 3, padding: 1 },
  );
  const activated = network.relu("relu", network.batchNorm("bn1", y));
  return imagenet
    ? maxPool(network.builder, activated, { kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] })
    : activated;
}

function basicBlock(network: NetworkBuilder, name: string, x: Value, channels: number, stride: number): Value {
  const first = network.conv(`${name}.conv1`, x, channels, { kernel: 3, stride, padding: 1 });
  const hidden = network.relu(`${name}.relu1`, network.batchNorm(`${name}.bn1`, first));
  const second = network.conv(`${name}.conv2`, hidden, channels, { kernel: 3, padding: 1 });
  const branch = network.batchNorm(`${name}.bn2`, second);
  const shortcut = stride === 1 && x.type.shape[1] === channels ? x : downsample(network, name, x, channels, stride);
  return network.relu(`${name}.relu2`, network.add(`${name}.add`, branch, shortcut));
}

function downsample(network: NetworkBuilder, name: string, x: Value, channels: number, stride: number): Value {
  return network.batchNorm(
    `${name}.downsample.1`,
    network.conv(`${name}.downsample.0`, x, channels, { kernel: 1, stride }),
  );
}
