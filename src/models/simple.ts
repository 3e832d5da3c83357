/** Small networks without shortcuts: LeNet-5 (LeCun et al., 1998, with ReLU and max pooling), and a multilayer perceptron. */
import type { Network } from "../ir/network.ts";
import { maxPool } from "../ops/families/pool.ts";
import { flatten } from "../ops/families/shape/shape-ops.ts";
import type { InitialRandom } from "./initial-random.ts";
import { NetworkBuilder, type NetworkSizes } from "./network-builder.ts";

/** Input and output sizes of a small network. */
export interface SimpleOptions extends NetworkSizes {
  /** LeNet: channels of the first layer (6 in the paper). Perceptron: features of the hidden layers. */
  readonly width: number;
}

/** Two convolutions with pooling, three fully connected layers. */
export function lenet(name: string, options: SimpleOptions, random: InitialRandom): Network {
  const network = new NetworkBuilder(name, random);
  const { builder } = network;
  const pool = { kernel: [2, 2], strides: [2, 2] };
  let x = network.input("images", options.sampleShape);
  x = network.relu("relu1", network.conv("conv1", x, options.width, { kernel: 5, padding: 2, bias: true }));
  x = maxPool(builder, x, pool);
  x = network.relu("relu2", network.conv("conv2", x, Math.round((options.width * 16) / 6), { kernel: 5, bias: true }));
  x = flatten(builder, maxPool(builder, x, pool));
  x = network.relu("relu3", network.linear("fc1", x, options.width * 20));
  x = network.relu("relu4", network.linear("fc2", x, options.width * 14));
  return network.finish(network.linear("fc3", x, options.classes));
}

/** Two hidden layers. */
export function mlp(name: string, options: SimpleOptions, random: InitialRandom): Network {
  const network = new NetworkBuilder(name, random);
  let x = flatten(network.builder, network.input("images", options.sampleShape));
  x = network.relu("relu1", network.linear("fc1", x, options.width));
  x = network.relu("relu2", network.linear("fc2", x, options.width));
  return network.finish(network.linear("fc3", x, options.classes));
}
