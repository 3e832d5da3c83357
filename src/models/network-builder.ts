/**
 * Builds networks layer by layer, with named and initialised parameters, in the manner of torch.nn.
 *
 * Initial values follow torchvision's ResNet: convolutions He-normal over the fan-out, BatchNormalization 1 and 0; and
 * torch.nn.Linear: uniform within ±1/√(fan-in).
 */
import type { GraphBuilder, Value } from "../ir/graph.ts";
import type { Network, Parameter, ParameterRole } from "../ir/network.ts";
import { originOf } from "../ir/origin.ts";
import { filled, float32Tensor, type Tensor } from "../ir/tensor.ts";
import { elementCount, type Shape } from "../ir/types.ts";
import { builderFor } from "../ops/definition.ts";
import { clip } from "../ops/families/activations.ts";
import { conv } from "../ops/families/conv.ts";
import { layerNormalization } from "../ops/families/layer-norm.ts";
import { batchNormalization } from "../ops/families/normalization.ts";
import { standardOperators } from "../ops/index.ts";
import type { InitialRandom } from "./initial-random.ts";

/** Input and output sizes of a network. */
export interface NetworkSizes {
  /** Channels, height, width. */
  readonly sampleShape: Shape;
  readonly classes: number;
}

/** Kernel, stride and padding of a convolution layer, and what follows it. */
export interface ConvLayerOptions {
  readonly kernel: number;
  readonly stride?: number;
  readonly padding?: number;
  readonly groups?: number;
  readonly bias?: boolean;
}

/**
 * Collects a network's graph and parameters; ends with `finish`.
 *
 * @example
 * const builder = new NetworkBuilder("small", randomStream(0, "weights"));
 * const images = builder.input("images", [1, 8, 8]);
 * const hidden = builder.relu("relu1", builder.conv("conv1", images, 4, { kernel: 8 }));
 * console.log(builder.finish(hidden).parameters.map(({ name }) => name)); // ["conv1.weight"]
 */
export class NetworkBuilder {
  readonly builder: GraphBuilder;
  readonly #name: string;
  readonly #random: InitialRandom;
  readonly #parameters: Parameter[] = [];

  constructor(name: string, random: InitialRandom) {
    this.#name = name;
    this.#random = random;
    this.builder = builderFor(standardOperators, name);
  }

  /** The data input; the batch size is bound later. */
  input(name: string, sampleShape: Shape): Value {
    return this.builder.input(name, { dtype: "float32", shape: [1, ...sampleShape] });
  }

  parameter(name: string, role: ParameterRole, value: Tensor, trainable = true): Value {
    this.#parameters.push({ name, role, trainable, value });
    return this.builder.input(name, { dtype: value.dtype, shape: value.shape });
  }

  /** A trained tensor that no layer owns, normally distributed: a position embedding. */
  embedding(name: string, shape: Shape, deviation: number): Value {
    return this.parameter(name, "other", this.#normal(shape, deviation));
  }

  /** A convolution over all axes after the channels, `name.weight` and `name.bias`; its options hold for each of them. */
  conv(name: string, x: Value, channels: number, options: ConvLayerOptions): Value {
    const groups = options.groups ?? 1;
    const inChannels = x.type.shape[1] ?? 0;
    const each = (size: number): number[] => Array.from({ length: x.type.shape.length - 2 }, () => size);
    const shape = [channels, inChannels / groups, ...each(options.kernel)];
    const deviation = Math.sqrt(2 / ((channels * options.kernel ** each(1).length) / groups));
    const weight = this.parameter(`${name}.weight`, "weight", this.#normal(shape, deviation));
    const bias = options.bias === true ? this.parameter(`${name}.bias`, "bias", filled([channels], 0)) : undefined;
    const stride = options.stride ?? 1;
    const padding = options.padding ?? 0;
    const geometry = { strides: each(stride), pads: [...each(padding), ...each(padding)], group: groups };
    return this.layer(name, () => conv(this.builder, x, weight, bias, geometry, name));
  }

  /** BatchNormalization with torch's defaults (ε 1e-5, momentum 0.1, which ONNX writes as 0.9). */
  batchNorm(name: string, x: Value): Value {
    const channels = x.type.shape[1] ?? 0;
    const scale = this.parameter(`${name}.weight`, "normalization-scale", filled([channels], 1));
    const bias = this.parameter(`${name}.bias`, "normalization-bias", filled([channels], 0));
    const mean = this.parameter(`${name}.running_mean`, "running-mean", filled([channels], 0), false);
    const variance = this.parameter(`${name}.running_var`, "running-variance", filled([channels], 1), false);
    return this.layer(name, () => batchNormalization(this.builder, x, scale, bias, mean, variance, { name }));
  }

  relu(name: string, x: Value): Value {
    return this.layer(name, () => this.builder.one("Relu", [x], {}, { name }));
  }

  /** min(max(x, 0), 6): ONNX's Clip. */
  relu6(name: string, x: Value): Value {
    return this.layer(name, () => this.builder.scope(name, () => clip(this.builder, x, 0, 6)));
  }

  /** LayerNormalization over the last axis, `name.weight` and `name.bias`. */
  layerNorm(name: string, x: Value): Value {
    const features = x.type.shape.at(-1) ?? 0;
    const scale = this.parameter(`${name}.weight`, "normalization-scale", filled([features], 1));
    const bias = this.parameter(`${name}.bias`, "normalization-bias", filled([features], 0));
    return this.layer(name, () => layerNormalization(this.builder, x, scale, bias, { epsilon: 1e-6 }));
  }

  /** A residual addition. */
  add(name: string, x: Value, y: Value): Value {
    return this.layer(name, () => this.builder.one("Add", [x, y], {}, { name }));
  }

  /** A fully connected layer on x[N,F], `name.weight`[out,F] and `name.bias`[out]. */
  linear(name: string, x: Value, features: number): Value {
    const inFeatures = x.type.shape[1] ?? 0;
    const bound = 1 / Math.sqrt(inFeatures);
    const weight = this.parameter(`${name}.weight`, "weight", this.#uniform([features, inFeatures], bound));
    const bias = this.parameter(`${name}.bias`, "bias", this.#uniform([features], bound));
    return this.layer(name, () => this.builder.one("Gemm", [x, weight, bias], { transA: 0, transB: 1 }, { name }));
  }

  /** Gives the nodes that `body` adds to a layer of this name; layers inside of it keep their own. */
  layer(name: string, body: () => Value): Value {
    return this.builder.from({ origin: originOf("forward", name) }, body);
  }

  finish(output: Value, outputName = "logits"): Network {
    this.builder.output(outputName, output);
    return { name: this.#name, graph: this.builder.finish(), parameters: this.#parameters };
  }

  #normal(shape: Shape, deviation: number): Tensor {
    const data = Float32Array.from({ length: elementCount(shape) }, () => this.#random.normal() * deviation);
    return float32Tensor(shape, data);
  }

  #uniform(shape: Shape, bound: number): Tensor {
    const data = Float32Array.from({ length: elementCount(shape) }, () => (2 * this.#random.uniform() - 1) * bound);
    return float32Tensor(shape, data);
  }
}
