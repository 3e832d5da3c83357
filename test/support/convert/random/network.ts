/** Random small networks for conversion: what a fast-check description stands for, quantized and with random values. */
import fc from "fast-check";
import { buildActivationSample } from "../../../../src/compile/build/evaluation.ts";
import type { ImageInput } from "../../../../src/compile/build/input.ts";
import { quantize } from "../../../../src/compile/passes/quantize.ts";
import { type QuantizedNetwork, siteParameter } from "../../../../src/compile/sites.ts";
import type { Value } from "../../../../src/ir/graph.ts";
import { type Network, withParameterValues } from "../../../../src/ir/network.ts";
import { float32Data, float32Tensor, type Tensor } from "../../../../src/ir/tensor.ts";
import { elementCount } from "../../../../src/ir/types.ts";
import { NetworkBuilder } from "../../../../src/models/network-builder.ts";
import { clip, sigmoid } from "../../../../src/ops/families/activations.ts";
import { maximum, minimum, multiply, subtract } from "../../../../src/ops/families/elementwise.ts";
import { averagePool, globalAveragePool, maxPool } from "../../../../src/ops/families/pool.ts";
import { concat, flatten } from "../../../../src/ops/families/shape/shape-ops.ts";
import type { QuantizationConfig } from "../../../../src/qconfig/config.ts";
import { quantizerNamed } from "../../../../src/quantizers/index.ts";
import { ForwardJob } from "../../../../src/runtime/job.ts";
import { nodeEngine } from "../../../../src/runtime/node/node.ts";
import { StateBuffers } from "../../../../src/runtime/state.ts";
import { type Random, seeded } from "../../random.ts";
import {
  type RecurrentDescription,
  recurrentDescriptions,
  recurrentNetwork,
} from "../../training/recurrent-network.ts";
import { functions } from "./functions.ts";
import { interpolated, type Move, moved, moves } from "./moves.ts";
import { type TransformerDescription, transformerDescriptions, transformerNetwork } from "./transformer.ts";

export interface LayerDescription {
  readonly kind:
    | "conv"
    | "residual"
    | "downsample"
    | "concat"
    | "maxPool"
    | "averagePool"
    | "moved"
    | "gated"
    | "difference"
    | "largest"
    | "smallest"
    | "interpolated"
    | "transposed";
  /** Of a layer that only moves elements. */
  readonly move?: Move;
  readonly channels: number;
  readonly kernel: 1 | 3;
  readonly stride: 1 | 2;
  readonly grouping: "none" | "two" | "depthwise";
  readonly bias: boolean;
  readonly norm: boolean;
  readonly activation: "relu" | "relu6" | "none" | keyof typeof functions;
}

/** Whether a network has functions of one value, or products of activations. */
export function hasFunctions({ layers, transformer, recurrent }: NetworkDescription): boolean {
  if (transformer !== undefined || recurrent !== undefined) return true;
  return layers.some(
    ({ activation, kind }) =>
      (activation in functions && activation !== "halved") || kind === "gated" || kind === "interpolated",
  );
}

export interface NetworkDescription {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Whether it reads a signal [channels, width] instead of an image. */
  readonly isSignal?: boolean;
  /** Its depth, where it reads a volume [channels, depth, height, width]. */
  readonly depth?: number | undefined;
  readonly layers: readonly LayerDescription[];
  readonly head: "globalAverage" | "flatten";
  /** Present: it is a transformer on tokens, and nothing else is read. */
  readonly transformer?: TransformerDescription | undefined;
  /** Present, and no transformer: it is a recurrent layer on tokens, and nothing else is read. */
  readonly recurrent?: RecurrentDescription | undefined;
  readonly seed: number;
}

const layer: fc.Arbitrary<LayerDescription> = fc.record({
  kind: fc.constantFrom(
    "conv",
    "conv",
    "residual",
    "residual",
    "downsample",
    "concat",
    "maxPool",
    "averagePool",
    "moved",
    "moved",
    "gated",
    "difference",
    "largest",
    "smallest",
    "interpolated",
    "transposed",
  ),
  move: fc.constantFrom(...moves),
  channels: fc.integer({ min: 1, max: 6 }),
  kernel: fc.constantFrom(1, 3),
  stride: fc.constantFrom(1, 2),
  grouping: fc.constantFrom("none", "none", "two", "depthwise"),
  bias: fc.boolean(),
  norm: fc.boolean(),
  activation: fc.constantFrom(
    "relu",
    "relu",
    "relu6",
    "none",
    "silu",
    "hardSwish",
    "hardSigmoid",
    "tanh",
    "leakyRelu",
    "gelu",
    "mish",
    "erf gelu",
    "tanh gelu",
    "quick gelu",
    "hard swish in parts",
    "square",
    "sloped",
    "exponential per channel",
    "thresholded",
    "root",
    "halved",
  ),
});

export const networkDescriptions: fc.Arbitrary<NetworkDescription> = fc.record({
  channels: fc.integer({ min: 1, max: 4 }),
  height: fc.integer({ min: 1, max: 8 }),
  width: fc.integer({ min: 1, max: 8 }),
  isSignal: fc.constantFrom(false, false, false, true),
  depth: fc.constantFrom(undefined, undefined, undefined, 1, 2, 3),
  layers: fc.array(layer, { minLength: 1, maxLength: 4 }),
  head: fc.constantFrom("globalAverage", "flatten"),
  transformer: fc.oneof(
    { weight: 2, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: transformerDescriptions },
  ),
  recurrent: fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: recurrentDescriptions },
  ),
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
});

/** The shape of a sample. */
export function sampleShapeOf(description: NetworkDescription): number[] {
  const { channels, height, width, isSignal, depth, transformer, recurrent } = description;
  if (transformer !== undefined) return [transformer.tokens, transformer.features];
  if (recurrent !== undefined) return [recurrent.steps ?? 5, recurrent.features ?? 4];
  if (isSignal === true) return [channels, width];
  return [channels, ...(depth === undefined ? [] : [depth]), Math.min(height, depth === undefined ? 8 : 5), width];
}

/** The float network of a description, its parameters random: negative gains, zero channels and all. */
export function randomNetwork(description: NetworkDescription): Network {
  const random = seeded(description.seed);
  if (description.transformer !== undefined) {
    return withRandomValues(transformerNetwork(description.transformer, description.seed), random);
  }
  if (description.recurrent !== undefined) return withRandomValues(recurrentNetwork(description.recurrent), random);
  const network = new NetworkBuilder("random", { uniform: random, normal: () => normal(random) });
  const { builder } = network;
  let x = network.input("images", sampleShapeOf(description));
  description.layers.forEach((each, index) => {
    // Data enter by a layer: nothing else gives them codes.
    const first = each.kind === "conv" || each.kind === "downsample" || each.kind === "concat";
    x = addLayer(network, x, index === 0 && !first ? { ...each, kind: "conv" } : each, `layer${index}`);
  });
  const features = flatten(builder, description.head === "globalAverage" ? globalAveragePool(builder, x) : x);
  return withRandomValues(network.finish(network.linear("fc", features, 3)), random);
}

function addLayer(network: NetworkBuilder, x: Value, each: LayerDescription, name: string): Value {
  const { builder } = network;
  const [, channels = 1, ...sizes] = x.type.shape;
  const activate = (value: Value): Value => {
    switch (each.activation) {
      case "none":
        return value;
      case "relu":
        return builder.one("Relu", [value]);
      case "relu6":
        return clip(builder, value, 0, 6);
      default:
        return functions[each.activation](builder, value);
    }
  };
  const convolve = (part: string, value: Value, outChannels: number, stride: number): Value => {
    const inChannels = value.type.shape[1] ?? 1;
    const wanted = each.grouping === "depthwise" ? inChannels : each.grouping === "two" ? 2 : 1;
    const groups = inChannels % wanted === 0 && outChannels % wanted === 0 ? wanted : 1;
    const padding = each.kernel === 3 ? 1 : 0;
    const y = network.conv(`${name}.${part}`, value, outChannels, {
      kernel: each.kernel,
      stride,
      padding,
      groups,
      bias: each.bias,
    });
    return each.norm ? network.batchNorm(`${name}.${part}.bn`, y) : y;
  };
  switch (each.kind) {
    case "conv":
      return activate(convolve("conv", x, each.grouping === "depthwise" ? channels : each.channels, each.stride));
    case "residual": {
      const branch = convolve("conv2", activate(convolve("conv1", x, each.channels, 1)), channels, 1);
      return activate(network.add(`${name}.add`, branch, x));
    }
    case "downsample": {
      const branch = convolve("conv", x, each.channels, each.stride);
      const shortcut = network.conv(`${name}.short`, x, each.channels, { kernel: 1, stride: each.stride });
      return activate(network.add(`${name}.add`, branch, shortcut));
    }
    case "concat":
      return concat(builder, [activate(convolve("left", x, each.channels, 1)), convolve("right", x, 2, 1)], 1);
    case "gated": {
      const gate = sigmoid(builder, convolve("gate", globalAveragePool(builder, x), channels, 1));
      return multiply(builder, activate(convolve("conv", x, channels, 1)), gate);
    }
    case "difference":
      return activate(subtract(builder, convolve("left", x, channels, 1), convolve("right", x, channels, 1)));
    case "largest":
      return activate(maximum(builder, convolve("left", x, channels, 1), convolve("right", x, channels, 1)));
    case "smallest": {
      const means = convolve("right", globalAveragePool(builder, x), channels, 1);
      return activate(minimum(builder, convolve("left", x, channels, 1), means));
    }
    case "interpolated":
      return sizes.length > 2 ? x : activate(interpolated(builder, x, each.stride, each.bias));
    case "transposed":
      return activate(transposedConv(network, `${name}.up`, x, each));
    case "moved":
      return moved(builder, x, each.move ?? "flipped");
    default: {
      if (sizes.some((size) => size < 2)) return x;
      const options = { kernel: sizes.map(() => 2), strides: sizes.map(() => each.stride) };
      if (each.kind === "maxPool") return maxPool(builder, x, options);
      const padding =
        each.kernel === 1 || sizes.length > 2 ? {} : { pads: [...sizes.map(() => 1), ...sizes.map((_, i) => i % 2)] };
      return averagePool(builder, x, { ...options, ...padding });
    }
  }
}

/** A transposed convolution. */
function transposedConv(network: NetworkBuilder, name: string, x: Value, each: LayerDescription): Value {
  const [, channels = 1, ...sizes] = x.type.shape;
  const isLine = sizes.length === 1;
  const isVolume = sizes.length === 3;
  const group = each.grouping === "two" && channels % 2 === 0 ? 2 : 1;
  const shape = [channels, each.channels, ...(isVolume ? [2] : []), ...(isLine ? [] : [each.kernel + 1]), each.kernel];
  const random = seeded(elementCount(shape));
  const values = Float32Array.from({ length: elementCount(shape) }, () => normal(random) / 2);
  const weight = network.parameter(`${name}.weight`, "weight", float32Tensor(shape, values));
  const size = each.channels * group;
  const bias = each.bias
    ? [network.parameter(`${name}.bias`, "bias", float32Tensor([size], new Float32Array(size)))]
    : [];
  const pads = each.kernel === 3 ? [1, 0, 1, 1] : [0, 0, 0, 0];
  const image = { strides: [each.stride, 2], pads, group, output_padding: [0, each.stride - 1] };
  const line = { strides: [2], pads: pads.slice(2), group, output_padding: [each.stride - 1] };
  const volume = {
    strides: [2, ...image.strides],
    pads: [0, ...pads.slice(0, 2), 0, ...pads.slice(2)],
    group,
    output_padding: [1, ...image.output_padding],
  };
  const attributes = isLine ? line : isVolume ? volume : image;
  return network.layer(name, () => network.builder.one("ConvTranspose", [x, weight, ...bias], attributes, { name }));
}

function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Random statistics, gains of both signs and of zero, biases; weights with a channel of zeros now and then. */
export function withRandomValues(network: Network, random: Random): Network {
  const values = network.parameters.map(({ name, role, value }): [string, Tensor] => {
    const { shape } = value;
    const draw = (make: () => number): [string, Tensor] => [name, float32Tensor(shape, float32Data(value).map(make))];
    if (role === "running-variance") return draw(() => 0.2 + 2 * random());
    if (role === "normalization-scale") {
      return draw(() => (random() < 0.12 ? (random() < 0.5 ? 0 : 1e-9) : (random() < 0.3 ? -1 : 1) * (0.3 + random())));
    }
    if (role === "running-mean" || role === "normalization-bias" || role === "bias")
      return draw(() => normal(random) / 2);
    if (role !== "weight" || random() < 0.7) return [name, value];
    const row = value.data.length / (shape[0] ?? 1);
    const zeroed = float32Data(value).slice().fill(0, 0, row);
    return [name, float32Tensor(shape, zeroed)];
  });
  return withParameterValues(network, new Map(values));
}

/** The network quantized, every quantizer initialized from what reaches it for these samples. */
export async function quantizedWith(
  network: Network,
  config: QuantizationConfig,
  samples: Tensor,
  input: ImageInput = { dtype: "float32" },
): Promise<QuantizedNetwork> {
  const quantized = quantize(network, config);
  const job = await ForwardJob.create(
    nodeEngine({ threads: 1 }),
    buildActivationSample(quantized, { batchSize: samples.shape[0] ?? 1, input }),
  );
  const state = new StateBuffers(quantized.parameters.map(({ name, value }) => [name, value] as const));
  const seen = await job.run(state, samples);
  const values = new Map(quantized.parameters.map(({ name, value }) => [name, value]));
  for (const { id, spec } of quantized.sites) {
    const sample = seen[id];
    if (sample === undefined) continue;
    for (const [parameter, tensor] of quantizerNamed(spec.quantizer).initialize(spec, sample)) {
      values.set(siteParameter(id, parameter), tensor);
    }
  }
  await job.release();
  return { ...withParameterValues(quantized, values), sites: quantized.sites };
}
