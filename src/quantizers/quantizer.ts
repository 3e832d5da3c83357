/**
 * What a quantizer is: the parameters it keeps, its forward arithmetic, its gradient, and the integers it stands for.
 *
 * One file for each quantizer implements {@link QuantizerDefinition}; index.ts lists them. Nothing else in subbyte
 * knows their arithmetic.
 */
import type { GraphBuilder, Value } from "../graph/graph.ts";
import type { Tensor } from "../graph/tensor.ts";
import { elementCount, type Shape, type TensorType } from "../graph/types.ts";
import type { Target } from "../ops/operator.ts";

/** Options of a quantizer beyond its range; each quantizer documents its own. */
export type QuantizerOptions = Readonly<Record<string, number | string | boolean>>;

/** An observer and its options, as a configuration names it. */
export interface ObserverSpec {
  readonly observer: string;
  readonly options: Readonly<Record<string, number | string | boolean>>;
}

/** Everything that is decided about the quantizer of one tensor. It is plain data and survives JSON. */
export interface QuantizerSpec {
  /** The quantizer's name, as in the list of index.ts. */
  readonly quantizer: string;
  /** The bits that were asked for; what is really available is {@link QuantizerDefinition.levels}. */
  readonly bits: number;
  /** Lowest and highest code, after every rule that changes them (`reduce_range`) has been applied. */
  readonly quantMin: number;
  readonly quantMax: number;
  /** The axis whose every index has parameters of its own; undefined: one set for the whole tensor. */
  readonly channelAxis?: number;
  /** Elements that share parameters along the flattened axes after the first; excludes `channelAxis`. */
  readonly groupSize?: number;
  /** Whether the tensor is known to hold no negative value (it leaves a ReLU), which saves work. */
  readonly nonNegative?: boolean;
  /** The observer that moves the parameters during training; undefined: they are trained or fixed. */
  readonly observer?: ObserverSpec;
  readonly options: QuantizerOptions;
}

/** A parameter that a quantizer keeps for one tensor. */
export interface QuantizerParameter {
  readonly name: string;
  readonly shape: Shape;
  readonly trainable: boolean;
  /** A bound that every update keeps. */
  readonly minimum?: number;
}

/** Values of a quantizer's parameters in a graph, by parameter name. */
export type ParameterValues = Readonly<Record<string, Value>>;

export interface QuantizerContext {
  readonly builder: GraphBuilder;
  readonly target: Target;
  readonly spec: QuantizerSpec;
  readonly x: Value;
  /** Shaped so that they broadcast over x. */
  readonly parameters: ParameterValues;
}

export interface QuantizerGradientContext extends QuantizerContext {
  /** The output of the forward pass. */
  readonly y: Value;
  readonly dy: Value;
}

export interface QuantizerGradients {
  readonly x: Value;
  /** Gradients of the trainable parameters, shaped like the broadcast parameters. */
  readonly parameters: ParameterValues;
}

export interface QuantizerDefinition {
  readonly name: string;
  parameters(spec: QuantizerSpec, type: TensorType): readonly QuantizerParameter[];
  /** Initial values of the parameters, from the tensor's values (for activations: those of a first batch). */
  initialize(spec: QuantizerSpec, sample: Tensor): ReadonlyMap<string, Tensor>;
  /** The parameters that a range stands for; present where an observer may drive the quantizer. */
  fromRange?(
    builder: GraphBuilder,
    spec: QuantizerSpec,
    range: { readonly min: Value; readonly max: Value },
  ): ParameterValues;
  forward(context: QuantizerContext): Value;
  gradient(context: QuantizerGradientContext): QuantizerGradients;
  /** Number of distinct values that the quantizer can represent. */
  levels(spec: QuantizerSpec): number;
}

/** Shape of a parameter that has one element for each channel, or of a scalar. */
export function parameterShape(spec: QuantizerSpec, type: TensorType): Shape {
  if (spec.groupSize !== undefined) return [elementCount(type.shape) / spec.groupSize];
  return spec.channelAxis === undefined ? [] : [type.shape[spec.channelAxis] ?? 0];
}

/** The shape in which a per-channel parameter broadcasts over a tensor of this rank. */
export function broadcastShape(spec: QuantizerSpec, parameter: Shape, rank: number): Shape {
  const axis = spec.channelAxis;
  if (axis === undefined || parameter.length === 0) return parameter;
  return Array.from({ length: rank }, (_, i) => (i === axis ? (parameter[0] ?? 0) : 1));
}

/** The axes over which elements share a parameter: all of them, or all but the channel axis. */
export function sharedAxes(spec: QuantizerSpec, rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== spec.channelAxis);
}

/** The rows of a tensor that share parameters: one for a whole tensor, one for each channel. */
export function parameterGroups(spec: QuantizerSpec, sample: Tensor): Float32Array[] {
  const { shape, data } = sample;
  if (!(data instanceof Float32Array)) return [];
  if (spec.groupSize !== undefined) {
    const size = spec.groupSize;
    return Array.from({ length: data.length / size }, (_, i) => data.subarray(i * size, (i + 1) * size));
  }
  const axis = spec.channelAxis;
  if (axis === undefined) return [data];
  const channels = shape[axis] ?? 0;
  const inner = elementCount(shape.slice(axis + 1));
  const outer = elementCount(shape.slice(0, axis));
  return Array.from({ length: channels }, (_, channel) => {
    const row = new Float32Array(outer * inner);
    for (let o = 0; o < outer; o++) {
      const start = (o * channels + channel) * inner;
      row.set(data.subarray(start, start + inner), o * inner);
    }
    return row;
  });
}
