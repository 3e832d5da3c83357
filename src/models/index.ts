/** The networks that subbyte builds by name. */
import { ConfigError } from "../errors.ts";
import type { Network } from "../ir/network.ts";
import type { InitialRandom } from "./initial-random.ts";
import { mobileNetV2 } from "./mobilenet.ts";
import { isModelName, type ModelName, modelNames } from "./names.ts";
import type { NetworkSizes } from "./network-builder.ts";
import { resnet } from "./resnet.ts";
import { lenet, mlp } from "./simple.ts";
import { vgg } from "./vgg.ts";
import { visionTransformer } from "./vision-transformer.ts";

/** Input and output sizes of a built-in network, and its width. */
export interface ModelOptions extends NetworkSizes {
  /**
   * How wide the network is; absent: its usual width, in brackets. Other layers grow in proportion.
   *
   * - resnet8, resnet20 (16), resnet18 (64), vgg11 (64), lenet (6): channels of the first stage.
   * - mobilenetv2 (32): channels of the first convolution; 32 is the paper's width multiplier 1, 16 is ½. Every number of
   *   channels is rounded to a multiple of 8.
   * - mlp (128): features of the hidden layers.
   * - vit (128): features of a token; a head of the attention has 32 of them.
   */
  readonly width?: number;
  /** ResNets and mobilenetv2: for images of CIFAR's size (default), or of ImageNet's. */
  readonly stem?: "cifar" | "imagenet";
}

type ModelMaker = (name: string, options: ModelOptions, random: InitialRandom) => Network;

/** A CIFAR ResNet of 6n+2 layers. */
function cifarResNet(n: number): ModelMaker {
  return (name, { width = 16, stem = "cifar", ...rest }, random) =>
    resnet(name, { ...rest, width, stem, blocks: [n, n, n] }, random);
}

const makers: Readonly<Record<ModelName, ModelMaker>> = {
  resnet8: cifarResNet(1),
  resnet20: cifarResNet(3),
  resnet18: (name, { width = 64, stem = "cifar", ...rest }, random) =>
    resnet(name, { ...rest, width, stem, blocks: [2, 2, 2, 2] }, random),
  mobilenetv2: (name, { width = 32, stem = "cifar", ...rest }, random) =>
    mobileNetV2(name, { ...rest, width, stem }, random),
  vgg11: (name, { width = 64, ...rest }, random) => vgg(name, { ...rest, width, stages: [1, 1, 2, 2, 2] }, random),
  vit: (name, { width = 128, ...rest }, random) =>
    visionTransformer(name, { ...rest, width, depth: 6, patch: 4 }, random),
  lenet: (name, { width = 6, ...rest }, random) => lenet(name, { ...rest, width }, random),
  mlp: (name, { width = 128, ...rest }, random) => mlp(name, { ...rest, width }, random),
};

/**
 * A new network of this name with random initial weights. @throws ConfigError listing the names that exist.
 *
 * @example
 * const resnet = makeModel("resnet8", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(0, "weights"));
 * console.log(parameterCount(resnet));
 */
export function makeModel(
  name: ModelName | (string & Record<never, never>),
  options: ModelOptions,
  random: InitialRandom,
): Network {
  if (!isModelName(name)) {
    throw new ConfigError(`there is no model "${name}"`, { remedy: `Use one of: ${modelNames.join(", ")}.` });
  }
  return makers[name](name, options, random);
}
