/** The networks of the battery: built-in ones, and ONNX files with the names that PyTorch's exporter gives. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RandomStream, randomStream } from "../../../src/base/random.ts";
import { exportOnnx } from "../../../src/importer/export.ts";
import type { Value } from "../../../src/ir/graph.ts";
import type { Network } from "../../../src/ir/network.ts";
import { float32Tensor } from "../../../src/ir/tensor.ts";
import { NetworkBuilder } from "../../../src/models/network-builder.ts";
import { isOperator } from "../../../src/ops/definition.ts";
import { clip, relu, sigmoid } from "../../../src/ops/families/activations.ts";
import { conv } from "../../../src/ops/families/conv.ts";
import { batchNormalizationOperator } from "../../../src/ops/families/normalization.ts";
import { globalAveragePool, maxPool } from "../../../src/ops/families/pool.ts";
import { flatten } from "../../../src/ops/families/shape/shape-ops.ts";
import type { RawDataName } from "./data.ts";

/** Settings of a configuration: dotted keys with their values. */
export type Settings = Readonly<Record<string, unknown>>;

/** A network with its data and a training that suits it. */
export interface Base {
  readonly name: string;
  readonly family: "residual" | "depthwise" | "plain" | "transformer" | "perceptron" | "1-D" | "imported";
  readonly data: RawDataName;
  /** Writes the model's file into a folder where it needs one, and returns the settings that name it. */
  readonly model: (folder: string, seed: number) => Settings;
  /** The same with another momentum of its batch normalizations: the share that a step keeps. Of files alone. */
  readonly withMomentum?: (folder: string, seed: number, kept: number) => Settings;
  /** The optimizer's settings with a learning rate for training from float weights. */
  readonly optimizer: Settings;
  readonly learningRate: number;
  /** Epochs and rate of the float training. */
  readonly float: { readonly epochs: number; readonly learningRate: number };
  readonly hasBatchNorm: boolean;
  /** Values below 0 leave its activation functions. */
  readonly hasSigned: boolean;
  /** Residual additions. */
  readonly hasResidual: boolean;
  /** Many layers whose outputs sum few products, as depthwise filters do. */
  readonly isNarrow?: true;
}

const sgd: Settings = { "train.optimizer.name": "sgd", "train.optimizer.momentum": 0.9 };
/** A step of the transformer takes three times as long as one of the others: it sees half of the samples. */
const adam: Settings = { "train.optimizer.name": "adam", "data.trainLimit": 768 };

type Nonlinearity = (network: NetworkBuilder, x: Value) => Value;
const useRelu: Nonlinearity = (network, x) => relu(network.builder, x);
const silu: Nonlinearity = (network, x) => network.builder.one("Mul", [x, sigmoid(network.builder, x)]);
const hardSwish: Nonlinearity = (network, x) => network.builder.one("HardSwish", [x]);

interface ConvolutionOptions {
  readonly kernel?: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly random?: RandomStream;
}

/** A convolution over any number of axes, named as PyTorch's exporter names it. */
function convolution(
  network: NetworkBuilder,
  name: string,
  x: Value,
  channels: number,
  { kernel = 3, stride = 1, groups = 1, random = randomStream(0, name) }: ConvolutionOptions = {},
): Value {
  const axes = x.type.shape.length - 2;
  const shape = [channels, (x.type.shape[1] ?? 1) / groups, ...Array.from({ length: axes }, () => kernel)];
  const length = shape.reduce((product, size) => product * size, 1);
  const deviation = Math.sqrt((2 * channels) / length);
  const weight = network.parameter(
    `${name}.weight`,
    "weight",
    float32Tensor(
      shape,
      Float32Array.from({ length }, () => random.normal() * deviation),
    ),
  );
  const pad = (kernel - 1) / 2;
  const options = {
    strides: Array.from({ length: axes }, () => stride),
    pads: Array.from({ length: 2 * axes }, () => pad),
    group: groups,
  };
  const path = `/${name.replaceAll(".", "/")}/Conv`;
  return network.layer(path, () => conv(network.builder, x, weight, undefined, options, path));
}

/** Three convolutions along time. */
function waveNetwork(seed: number, activation: Nonlinearity): Network {
  const network = new NetworkBuilder("waves", randomStream(seed, "weights"));
  let x = network.input("signal", [1, 64]);
  for (const [index, channels] of [12, 16, 24].entries()) {
    const random = randomStream(seed, "conv", index);
    x = convolution(network, `features.${index}`, x, channels, { kernel: 5, stride: 2, random });
    x = activation(network, network.batchNorm(`norms.${index}`, x));
  }
  return network.finish(network.linear("fc", flatten(network.builder, globalAveragePool(network.builder, x)), 10));
}

/** Blocks of a depthwise and a pointwise convolution. */
function gatedNetwork(seed: number, activation: Nonlinearity): Network {
  const network = new NetworkBuilder("gated", randomStream(seed, "weights"));
  const step = (
    name: string,
    x: Value,
    channels: number,
    options: { stride?: number; groups?: number; kernel?: number },
  ) =>
    activation(
      network,
      network.batchNorm(
        `${name}.1`,
        convolution(network, `${name}.0`, x, channels, { ...options, random: randomStream(seed, name) }),
      ),
    );
  let x = step("stem", network.input("images", [1, 28, 28]), 12, { stride: 2 });
  for (const [index, channels] of [16, 24, 32].entries()) {
    const groups = x.type.shape[1] ?? 1;
    x = step(`dw${index}`, x, groups, { groups, stride: index === 1 ? 2 : 1 });
    x = step(`pw${index}`, x, channels, { kernel: 1 });
  }
  return network.finish(network.linear("fc", flatten(network.builder, globalAveragePool(network.builder, x)), 10));
}

/** MobileNetV2's inverted residuals with ReLU6, four of them: signed sums enter the expansions. */
function invertedNetwork(seed: number): Network {
  const network = new NetworkBuilder("inverted", randomStream(seed, "weights"));
  const step = (name: string, x: Value, channels: number, options: ConvolutionOptions, isLinear = false) => {
    const random = randomStream(seed, name);
    const y = network.batchNorm(`${name}.1`, convolution(network, `${name}.0`, x, channels, { ...options, random }));
    return isLinear ? y : clip(network.builder, y, 0, 6);
  };
  let x = step("stem", network.input("images", [1, 28, 28]), 8, { stride: 2 });
  for (const [index, { channels, stride }] of [
    { channels: 8, stride: 1 },
    { channels: 12, stride: 2 },
    { channels: 12, stride: 1 },
    { channels: 16, stride: 1 },
  ].entries()) {
    const hidden = 3 * (x.type.shape[1] ?? 1);
    const expanded = step(`blocks.${index}.expand`, x, hidden, { kernel: 1 });
    const filtered = step(`blocks.${index}.filter`, expanded, hidden, { groups: hidden, stride });
    const projected = step(`blocks.${index}.project`, filtered, channels, { kernel: 1 }, true);
    x = x.type.shape[1] === channels && stride === 1 ? network.add(`blocks.${index}.add`, x, projected) : projected;
  }
  x = step("head", x, 48, { kernel: 1 });
  return network.finish(network.linear("fc", flatten(network.builder, globalAveragePool(network.builder, x)), 10));
}

/** Three convolutions with BatchNormalization, and two linear layers. */
function plainNetwork(seed: number): Network {
  const network = new NetworkBuilder("plain", randomStream(seed, "weights"));
  let x = network.input("images", [3, 24, 24]);
  for (const [index, channels] of [8, 16, 24].entries()) {
    const random = randomStream(seed, "conv", index);
    x = convolution(network, `c${index}`, x, channels, { stride: index === 0 ? 1 : 2, random });
    x = relu(network.builder, network.batchNorm(`b${index}`, x));
    if (index === 0) x = maxPool(network.builder, x, { kernel: [2, 2], strides: [2, 2] });
  }
  const hidden = network.relu("relu", network.linear("fc1", flatten(network.builder, x), 48));
  return network.finish(network.linear("fc2", hidden, 8));
}

function fromFile(name: string, make: (seed: number) => Network): Pick<Base, "model" | "withMomentum"> {
  const write = (file: string, network: Network): Settings => {
    writeFileSync(file, exportOnnx(network));
    return { "model.file": file };
  };
  return {
    model: (folder, seed) => write(join(folder, `${name}.onnx`), make(seed)),
    withMomentum: (folder, seed, kept) => write(join(folder, `${name}-momentum.onnx`), withMomentum(make(seed), kept)),
  };
}

function withMomentum(network: Network, kept: number): Network {
  const nodes = network.graph.nodes.map((node) =>
    isOperator(batchNormalizationOperator, node)
      ? { ...node, attributes: { ...node.attributes, momentum: { float: kept } } }
      : node,
  );
  return { ...network, graph: { ...network.graph, nodes } };
}

function builtIn(settings: Settings): Base["model"] {
  return () => settings;
}

const float = { epochs: 8, learningRate: 0.05 };
/** Files train from random weights here, which takes them longer. */
const longFloat = { epochs: 14, learningRate: 0.05 };
const fine = { optimizer: sgd, learningRate: 0.02, float };
const residual = { family: "residual", hasBatchNorm: true, hasSigned: false, hasResidual: true } as const;
const imported = { family: "imported", hasBatchNorm: true, hasResidual: false } as const;
const resnet8: Settings = { "model.name": "resnet8", "model.width": 8, "model.stem": "imagenet" };

/** The networks, each with its data. */
export const bases: readonly Base[] = [
  { name: "resnet8", data: "fashion", model: builtIn(resnet8), ...fine, ...residual },
  { name: "resnet8-colour", data: "gratings", model: builtIn(resnet8), ...fine, ...residual },
  {
    name: "inverted",
    family: "depthwise",
    data: "fashion",
    ...fromFile("inverted", invertedNetwork),
    ...fine,
    float: longFloat,
    hasBatchNorm: true,
    hasSigned: true,
    hasResidual: true,
    isNarrow: true,
  },
  {
    name: "vit",
    family: "transformer",
    data: "gratings",
    model: builtIn({ "model.name": "vit", "model.width": 32 }),
    optimizer: adam,
    learningRate: 1e-3,
    float: { epochs: 14, learningRate: 2e-3 },
    hasBatchNorm: false,
    hasSigned: true,
    hasResidual: true,
  },
  {
    name: "mlp",
    family: "perceptron",
    data: "table",
    model: builtIn({ "model.name": "mlp", "model.width": 48 }),
    ...fine,
    hasBatchNorm: false,
    hasSigned: false,
    hasResidual: false,
  },
  {
    name: "lenet",
    family: "plain",
    data: "fashion",
    model: builtIn({ "model.name": "lenet" }),
    ...fine,
    float: { epochs: 6, learningRate: 0.05 },
    hasBatchNorm: false,
    hasSigned: false,
    hasResidual: false,
  },
  { name: "plain", data: "gratings", ...fromFile("plain", plainNetwork), ...fine, ...imported, hasSigned: false },
  {
    name: "waves",
    data: "waves",
    ...fromFile("waves", (seed) => waveNetwork(seed, useRelu)),
    ...fine,
    float: longFloat,
    ...imported,
    family: "1-D",
    hasSigned: false,
  },
  {
    name: "waves-silu",
    data: "waves",
    ...fromFile("waves-silu", (seed) => waveNetwork(seed, silu)),
    ...fine,
    float: longFloat,
    ...imported,
    family: "1-D",
    hasSigned: true,
  },
  {
    name: "gated",
    data: "fashion",
    ...fromFile("gated", (seed) => gatedNetwork(seed, hardSwish)),
    ...fine,
    float: longFloat,
    ...imported,
    hasSigned: true,
    isNarrow: true,
  },
];
