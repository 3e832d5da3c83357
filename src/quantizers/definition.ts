/**
 * The definition of a quantizer: the parameters it keeps, its forward arithmetic, its gradient, and the integers it stands for.
 *
 * One file for each quantizer implements {@link QuantizerDefinition}; index.ts lists them. Nothing else in subbyte
 * knows their arithmetic.
 */
import type { GraphBuilder, Value } from "../ir/graph.ts";
import type { QuantizerSpec } from "../ir/quantizer-spec.ts";
import { float32Tensor, type Tensor } from "../ir/tensor.ts";
import { elementCount, type Shape, type TensorType } from "../ir/types.ts";
import type { Target } from "../ops/definition.ts";
import type { Contradiction, OptionRules } from "./options.ts";

export type { ObserverSpec, QuantizerOptions, QuantizerSpec } from "../ir/quantizer-spec.ts";
export type { Contradiction } from "./options.ts";

/** The values that a parameter may have, the ends included. */
export interface LegalRange {
  readonly from: number;
  readonly to?: number;
}

/** A scale and its reciprocal stay normal numbers from here on. Earlier versions let scales fall to 1e-8. */
export const legalScale: LegalRange = { from: 2 ** -64 };

/**
 * How far a change from p₀ to p goes: of a factor (a scale, a clipping limit) ln(p/p₀), of an exponent of 2 ln 2·(p − p₀), of a
 * shift along the axis of the values (p − p₀)/unit.
 */
export type ParameterChange = "factor" | "exponent" | "shift";

/** A parameter that a quantizer keeps for one tensor. */
export interface QuantizerParameter {
  readonly name: string;
  readonly shape: Shape;
  readonly trainable: boolean;
  /** Every element's value until an observer, a calibration or the values of the tensor give another. */
  readonly initial: number;
  /** A bound that every update keeps. */
  readonly minimum?: number;
  /** A checkpoint with a value outside is refused. Absent: from `minimum` on, or every finite number. */
  readonly legal?: LegalRange;
  /** How far a change of it goes; absent: as of a factor. */
  readonly change?: ParameterChange;
  /** Of a shift: the parameter whose mean it is counted in; absent: it counts codes. */
  readonly unit?: string;
  /** Whether its elements are one list that all groups share (N2UQ's intervals), and not one element per group. */
  readonly isList?: boolean;
}

/** Values of a quantizer's parameters in a graph, by parameter name. */
export type ParameterValues = Readonly<Record<string, Value>>;

/** The arguments of a quantizer's forward rule. */
export interface QuantizerContext {
  readonly builder: GraphBuilder;
  readonly target: Target;
  readonly spec: QuantizerSpec;
  readonly x: Value;
  /** Shaped so that they broadcast over x. */
  readonly parameters: ParameterValues;
}

/** The part of the context that a grid follows from. */
export type GridContext = Pick<QuantizerContext, "builder" | "spec" | "parameters">;

/** The arguments of a quantizer's gradient rule. */
export interface QuantizerGradientContext extends QuantizerContext {
  /** The output of the forward pass. */
  readonly y: Value;
  readonly dy: Value;
}

/** The gradients of a quantizer's input and parameters. */
export interface QuantizerGradients {
  readonly x: Value;
  /** Gradients of the trainable parameters, shaped like the broadcast parameters. */
  readonly parameters: ParameterValues;
}

/** Values of a quantizer's parameters for one group of elements, by name; element i of a list is named `name.i`. */
export type GroupParameters = Readonly<Record<string, number>>;

/** The numbers that the codes of one group represent: value = scale·(code − zeroPoint) + offset, each operation in float32. */
export interface GridUnit {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly offset: number;
}

/**
 * The integers behind a quantizer, in plain TypeScript and one group at a time: written apart from the graph, in the
 * same float32 operations, so that each is a check of the other.
 */
export interface IntegerForm {
  /** Every code that an element can have, ascending. */
  codes(spec: QuantizerSpec): readonly number[];
  /**
   * The numbers that the codes represent. `row` holds the group's elements; without it the result is undefined where the scale
   * depends on them (binary and ternary weights, shared block scales).
   */
  unit(spec: QuantizerSpec, parameters: GroupParameters, row?: Float32Array): GridUnit | undefined;
  /** The code of each element. */
  encode(spec: QuantizerSpec, parameters: GroupParameters, row: Float32Array): Int32Array;
  /**
   * Returns the mean squared error of a row, with the numbers of `encode` and `unit`, without their arrays; absent where
   * that is not worth code of its own.
   *
   * @param limit The exact value does not matter from here on: any number that is not below it may be returned then.
   */
  meanSquaredError?(spec: QuantizerSpec, parameters: GroupParameters, row: Float32Array, limit: number): number;
}

/**
 * The numbers that codes represent, as values of a graph that broadcast over the tensor: value = scale·(code − zeroPoint) + offset.
 * An absent zero point or offset is 0.
 */
export interface GridValues {
  readonly scale: Value;
  readonly zeroPoint?: Value;
  readonly offset?: Value;
  /** The lowest code, where it is not the spec's `quantMin`. */
  readonly lowest?: number;
}

/** The traits of a quantizer, which other rooms query before they measure, advise or add to a training step. */
export interface QuantizerTraits {
  /**
   * In every form the gradient of an element beyond the outermost levels is 0, so a gradient there is a fault. False where a
   * form lets it pass somewhere: DoReFa's weights, torch's APoT below 0, MX.
   */
  readonly masksOutside: boolean;
  /** Its format has a sign bit whether the tensor needs one or not: without a sign it gains no level from 0 on. */
  readonly fixedSign: boolean;
  /** Scale and zero point follow from a range, by torch's conventions (`options.scheme`, `options.convention`). */
  readonly torchRange: boolean;
}

/** The record of a quantizer: everything that subbyte knows about it. */
export interface QuantizerDefinition {
  readonly name: string;
  readonly traits: QuantizerTraits;
  /** The options that it reads. */
  readonly options: OptionRules;
  parameters(spec: QuantizerSpec, type: TensorType): readonly QuantizerParameter[];
  /** Initial values of the parameters, from the tensor's values (for activations: those of a first batch). */
  initialize(spec: QuantizerSpec, sample: Tensor): ReadonlyMap<string, Tensor>;
  /** The parameters that a range stands for; present where an observer may drive the quantizer. */
  fromRange?(
    builder: GraphBuilder,
    spec: QuantizerSpec,
    range: { readonly min: Value; readonly max: Value },
  ): ParameterValues;
  /** The same in numbers, for one group; present where a calibrator may choose the initial range. */
  initialFromRange?(spec: QuantizerSpec, min: number, max: number): GroupParameters;
  forward(context: QuantizerContext): Value;
  gradient(context: QuantizerGradientContext): QuantizerGradients;
  /**
   * The grid of its codes; present where they are round((x − offset)/scale) + zeroPoint in every form, for a scale that does not
   * depend on the values of x. So weights may be dampened towards a code or frozen at it.
   */
  grid?(context: GridContext): GridValues;
  /** Number of distinct values that the quantizer can represent. */
  levels(spec: QuantizerSpec): number;
  /** Absent where the values are not multiples of one unit that fit an integer. */
  readonly integers?: IntegerForm;
  /** Returns the parts of a spec that this quantizer does not support. */
  check?(spec: QuantizerSpec, type: TensorType): Contradiction | undefined;
}

/** A parameter's values, one for each group, as the tensor that the network keeps. */
export function groupTensor(spec: QuantizerSpec, type: TensorType, values: readonly number[]): Tensor {
  return float32Tensor(parameterShape(spec, type), values);
}

/** A quantizer's parameters from one set of numbers for each group. */
export function groupTensors(
  spec: QuantizerSpec,
  type: TensorType,
  groups: readonly GroupParameters[],
): Map<string, Tensor> {
  const names = Object.keys(groups[0] ?? {});
  const numbersOf = (name: string) => groups.map((group) => group[name] ?? 0);
  return new Map(names.map((name) => [name, groupTensor(spec, type, numbersOf(name))]));
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
export function parameterRows(spec: QuantizerSpec, sample: Tensor): Float32Array[] {
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
  const rows = Array.from({ length: channels }, () => new Float32Array(outer * inner));
  // By blocks that stay in the cache: the channels of a matrix product's weight lie next to each other.
  const block = Math.max(1, Math.floor(64 / inner));
  for (let first = 0; first < outer; first += block) {
    const end = Math.min(outer, first + block);
    for (const [channel, row] of rows.entries()) {
      for (let o = first; o < end; o++) copyInto(row, o * inner, data, (o * channels + channel) * inner, inner);
    }
  }
  return rows;
}

/** Copies a run of elements: short ones by a loop, since the call of `set` takes longer than the copy. */
function copyInto(target: Float32Array, at: number, source: Float32Array, from: number, count: number): void {
  if (count > 32) target.set(source.subarray(from, from + count), at);
  else for (let i = 0; i < count; i++) target[at + i] = source[from + i] ?? 0;
}
