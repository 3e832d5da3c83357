/** The networks that subbyte builds by name. */
import { ConfigError } from "../errors.ts";
import type { Network } from "../graph/network.ts";
import type { Shape } from "../graph/types.ts";
import type { InitialRandom } from "./initial-random.ts";
import { resnet } from "./resnet.ts";
import { lenet, mlp } from "./simple.ts";

export interface ModelOptions {
  /** Channels, height, width. */
  readonly sampleShape: Shape;
  readonly classes: number;
  /** Channels of the first stage; absent: the network's usual width. */
  readonly width?: number;
  /** ResNets only. */
  readonly stem?: "cifar" | "imagenet";
}

type ModelMaker = (name: string, options: ModelOptions, random: InitialRandom) => Network;

/** A CIFAR ResNet of 6n+2 layers. */
function cifarResNet(n: number): ModelMaker {
  return (name, { width = 16, stem = "cifar", ...rest }, random) =>
    resnet(name, { ...rest, width, stem, blocks: [n, n, n] }, random);
}

const makers: Readonly<Record<string, ModelMaker>> = {
  resnet8: cifarResNet(1),
  resnet20: cifarResNet(3),
  resnet18: (name, { width = 64, stem = "cifar", ...rest }, random) =>
    resnet(name, { ...rest, width, stem, blocks: [2, 2, 2, 2] }, random),
  lenet: (name, { width = 6, ...rest }, random) => lenet(name, { ...rest, width }, random),
  mlp: (name, { width = 128, ...rest }, random) => mlp(name, { ...rest, width }, random),
};

export const modelNames: readonly string[] = Object.keys(makers);

/** A new network of this name with random initial weights. @throws ConfigError listing the names that exist. */
export function makeModel(name: string, options: ModelOptions, random: InitialRandom): Network {
  const make = makers[name];
  if (make === undefined) {
    throw new ConfigError(`there is no model "${name}"`, { remedy: `Use one of: ${modelNames.join(", ")}.` });
  }
  return make(name, options, random);
}
