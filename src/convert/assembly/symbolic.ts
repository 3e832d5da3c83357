/**
 * The integer form of a value of the float network, before anything is rounded: the conversion carries these
 * along the graph and turns them into operations where a quantizer asks for codes.
 */
import type { Tensor } from "../../ir/tensor.ts";
import type { Shape } from "../../ir/types.ts";
import type { IntegerOperation, IntegerWeight, TensorForm } from "../integer-network.ts";

/** Integers times a real factor: (tensor − z)·inputScale·gain[k]. */
export interface AffineTerm {
  readonly tensor: number;
  /** A float32. */
  readonly inputScale: number;
  /** One for each channel. */
  readonly gains: Float64Array;
}

/** clip(Σ terms + offset[k], low, high). */
export interface Affine {
  readonly kind: "affine";
  readonly name: string;
  readonly shape: Shape;
  /** The axis of the channels k. */
  readonly axis: number;
  readonly terms: readonly AffineTerm[];
  readonly offset: Float64Array;
  readonly low: number;
  readonly high: number;
}

/** A tensor of codes as it stands. */
export interface Codes {
  readonly kind: "codes";
  readonly name: string;
  readonly shape: Shape;
  readonly tensor: number;
}

/** An operation that commutes with a monotone quantizer, applied to something that has no codes yet. */
export interface Rearranged {
  readonly kind: "rearranged";
  readonly name: string;
  readonly shape: Shape;
  readonly inputs: readonly Symbolic[];
  /** Whether elements and channels keep their order, so that sums and factors of channels commute with it too. */
  readonly isView?: true;
  /** The number that it adds as padding; absent where it adds none. */
  readonly fill?: number;
  /** @param form The grid of the codes that it is done on. */
  readonly make: (inputs: readonly number[], output: number, form: TensorForm) => IntegerOperation;
}

/** A function of the codes of one tensor. */
export interface Tabled {
  readonly kind: "tabled";
  readonly name: string;
  readonly shape: Shape;
  /** The tensor of codes. */
  readonly tensor: number;
  /** The axis of the channels. */
  readonly axis: number;
  /** How many tables there are: one, or one for each channel. */
  readonly tables: number;
  /** The value for each of its codes, from the lowest on; one table after another. */
  readonly values: Float64Array;
}

/** Scores of which a softmax sees some. */
export interface Masked {
  readonly kind: "masked";
  readonly name: string;
  readonly shape: Shape;
  readonly scores: Symbolic;
  /** A tensor of ones where scores are kept, and zeros, axes of one element being repeated. */
  readonly mask: number;
}

/** Rows of a table, by numbers. */
export interface Rows {
  readonly kind: "rows";
  readonly name: string;
  readonly shape: Shape;
  /** The tensor of the numbers. */
  readonly tensor: number;
  /** Elements of a row. */
  readonly size: number;
  /** Row after row. */
  readonly values: Float64Array;
}

/** The network's data. */
export interface Data {
  readonly kind: "data";
  readonly name: string;
  readonly shape: Shape;
  /** The first of its elements in a row of several inputs. */
  readonly start: number;
}

/** A parameter or constant, in float. */
export interface Constant {
  readonly kind: "constant";
  readonly name: string;
  /** As in the float network: what it is added to decides how it is repeated. */
  readonly shape: Shape;
  /** Whether it follows from the size of the batch, which an integer network does not have: it may pick elements, not be computed with. */
  readonly isOfBatch?: true;
  readonly tensor: Tensor;
}

/** A parameter that a quantizer has made integers of. */
export interface Weight {
  readonly kind: "weight";
  readonly name: string;
  readonly shape: Shape;
  readonly weight: IntegerWeight;
}

/** The integer form of a value of the float network. */
export type Symbolic = Affine | Codes | Rearranged | Tabled | Masked | Rows | Data | Constant | Weight;

/** Channels of a tensor along an axis: one where there is none. */
export function channelsOf(shape: Shape, axis = 1): number {
  return shape[axis] ?? 1;
}

/** A sum that nothing limits, all of whose channels have one factor and one offset. @param gain Default 1. @param offset Default 0. */
export function uniformSum(
  { name, shape, axis = 1 }: Pick<Affine, "name" | "shape"> & { readonly axis?: number },
  { tensor, inputScale }: Pick<AffineTerm, "tensor" | "inputScale">,
  { gain = 1, offset = 0 }: { readonly gain?: number; readonly offset?: number } = {},
): Affine {
  const filled = (value: number) => new Float64Array(channelsOf(shape, axis)).fill(value);
  return {
    kind: "affine",
    name,
    shape,
    axis,
    terms: [{ tensor, inputScale, gains: filled(gain) }],
    offset: filled(offset),
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  };
}

/** y = gain·x + offset: one number each, or one for each channel of an axis. */
export interface LinearMap {
  /** The axis of the channels; absent where there is one number each. */
  readonly axis?: number;
  readonly gain: ArrayLike<number>;
  readonly offset: ArrayLike<number>;
}

/** gain·x + offset of an unclipped sum whose channels lie along the map's axis. */
export function scaledAffine(affine: Affine, { gain, offset }: LinearMap, name: string): Affine {
  const factor = (k: number): number => gain[gain.length === 1 ? 0 : k] ?? 0;
  return {
    ...affine,
    name,
    terms: affine.terms.map((term) => ({ ...term, gains: term.gains.map((each, k) => each * factor(k)) })),
    offset: affine.offset.map((value, k) => value * factor(k) + (offset[offset.length === 1 ? 0 : k] ?? 0)),
  };
}

/** A sum with its channels along another axis; undefined where its factors differ from channel to channel. */
export function alongAxis(affine: Affine, axis: number): Affine | undefined {
  if (affine.axis === axis) return affine;
  const isSame = (values: Float64Array): boolean => values.every((value) => value === values[0]);
  if (!isSame(affine.offset) || !affine.terms.every(({ gains }) => isSame(gains))) return undefined;
  const spread = (values: Float64Array): Float64Array =>
    new Float64Array(channelsOf(affine.shape, axis)).fill(values[0] ?? 0);
  return {
    ...affine,
    axis,
    terms: affine.terms.map((term) => ({ ...term, gains: spread(term.gains) })),
    offset: spread(affine.offset),
  };
}

/** Whether a sum is limited, so that nothing linear may follow before it has codes. */
export function isClipped(affine: Affine): boolean {
  return affine.low !== Number.NEGATIVE_INFINITY || affine.high !== Number.POSITIVE_INFINITY;
}
