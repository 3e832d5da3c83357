/**
 * MobileNetV2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (arXiv 1801.04381), table 2.
 *
 * Names of parameters are torchvision's. For images of CIFAR's size the strides of the stem and of the first two
 * stages that would halve them are 1, as usual there (a 32x32 image leaves the last stage as 4x4); the parameters are
 * the same. There is no dropout before the classifier.
 */
import type { Value } from "../ir/graph.ts";
import type { Network } from "../ir/network.ts";
import { globalAveragePool } from "../ops/families/pool.ts";
import { flatten } from "../ops/families/shape/shape-ops.ts";
import type { InitialRandom } from "./initial-random.ts";
import { NetworkBuilder, type NetworkSizes } from "./network-builder.ts";

/** Input and output sizes of MobileNetV2, its width and its stem. */
export interface MobileNetOptions extends NetworkSizes {
  /** Channels of the first convolution: 32 times the paper's width multiplier. */
  readonly width: number;
  readonly stem: "cifar" | "imagenet";
}

interface Stage {
  /** Channels of the hidden layer over those of the block's input. */
  readonly expansion: number;
  readonly channels: number;
  readonly blocks: number;
  readonly stride: number;
}

/** Table 2 of the paper. */
const stages: readonly Stage[] = [
  { expansion: 1, channels: 16, blocks: 1, stride: 1 },
  { expansion: 6, channels: 24, blocks: 2, stride: 2 },
  { expansion: 6, channels: 32, blocks: 3, stride: 2 },
  { expansion: 6, channels: 64, blocks: 4, stride: 2 },
  { expansion: 6, channels: 96, blocks: 3, stride: 1 },
  { expansion: 6, channels: 160, blocks: 3, stride: 2 },
  { expansion: 6, channels: 320, blocks: 1, stride: 1 },
];

/** The last convolution does not get narrower with the width. */
const lastChannels = 1280;

/** Rounds to a multiple of 8 without losing more than a tenth, as the paper's own code does. */
function roundedChannels(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

/** A MobileNetV2 with ReLU6. */
export function mobileNetV2(name: string, options: MobileNetOptions, random: InitialRandom): Network {
  const network = new NetworkBuilder(name, random);
  const multiplier = options.width / 32;
  const small = options.stem === "cifar";
  const images = network.input("images", options.sampleShape);
  const first = { kernel: 3, stride: small ? 1 : 2 };
  let x = convolution(network, "features.0", images, roundedChannels(options.width), first);
  let index = 1;
  for (const stage of stages) {
    const stride = small && stage.channels === 24 ? 1 : stage.stride;
    for (let block = 0; block < stage.blocks; block++) {
      x = invertedResidual(network, `features.${index}.conv`, x, {
        channels: roundedChannels(multiplier * stage.channels),
        stride: block === 0 ? stride : 1,
        expansion: stage.expansion,
      });
      index++;
    }
  }
  const last = roundedChannels(lastChannels * Math.max(1, multiplier));
  x = convolution(network, `features.${index}`, x, last, { kernel: 1 });
  const pooled = flatten(network.builder, globalAveragePool(network.builder, x));
  return network.finish(network.linear("classifier.1", pooled, options.classes));
}

/** Convolution, normalization, ReLU6. */
function convolution(
  network: NetworkBuilder,
  name: string,
  x: Value,
  channels: number,
  options: { readonly kernel: number; readonly stride?: number; readonly groups?: number },
): Value {
  const y = network.conv(`${name}.0`, x, channels, { ...options, padding: (options.kernel - 1) / 2 });
  return network.relu6(`${name}.2`, network.batchNorm(`${name}.1`, y));
}

/** Widening 1x1, depthwise 3x3, narrowing 1x1 without activation; a shortcut where the shape stays. */
function invertedResidual(
  network: NetworkBuilder,
  name: string,
  x: Value,
  { channels, stride, expansion }: { readonly channels: number; readonly stride: number; readonly expansion: number },
): Value {
  const inChannels = x.type.shape[1] ?? 0;
  const hidden = inChannels * expansion;
  const wide = expansion === 1 ? x : convolution(network, `${name}.0`, x, hidden, { kernel: 1 });
  const at = expansion === 1 ? 0 : 1;
  const depthwise = convolution(network, `${name}.${at}`, wide, hidden, { kernel: 3, stride, groups: hidden });
  const narrow = network.conv(`${name}.${at + 1}`, depthwise, channels, { kernel: 1 });
  const y = network.batchNorm(`${name}.${at + 2}`, narrow);
  return stride === 1 && inChannels === channels ? network.add(`${name}.add`, x, y) : y;
}
