/**
 * Operators that only move elements, on codes: which element of the input each element of the output is. Slices, splits,
 * transpositions, paddings, gathers with constant indices and nearest resizing are all read from what the operator does with numbered
 * elements, so that one operation stands for all of them.
 */

import type { Node } from "../../ir/graph.ts";
import { makeTensor, type Tensor, toNumbers } from "../../ir/tensor.ts";
import { elementCount, rowMajorStrides, type Shape } from "../../ir/types.ts";
import type { FoldRule } from "../../ops/build/fold/data.ts";
import { sampleFirst } from "../assembly/sample-shape.ts";

/** Marks elements that are none of the input: padding. */
export const padded = -1;

/** Where the elements of a tensor come from. */
export interface Move {
  /**
   * For each axis but that of the sample, what an index along it adds to the place of an element in the flat input; {@link padded} where
   * all elements of that index are padding.
   */
  readonly places: readonly Int32Array[];
  /** The number that padding holds; undefined where nothing is padded. */
  readonly fill: number | undefined;
}

/** The flat place of each element, and what padding holds. */
interface Sources {
  readonly flat: Int32Array;
  readonly fill: number | undefined;
}

/**
 * Returns where the elements of an output come from; undefined where the operator cannot be evaluated, or where no sum of places
 * along the axes describes it.
 *
 * @param constants The node's inputs after the first one, those that are constant.
 * @param output Which of the node's outputs.
 */
export function moveOf(
  node: Node,
  { compute }: FoldRule,
  constants: readonly (Tensor | undefined)[],
  output = 0,
): Move | undefined {
  const shape = node.inputs[0]?.type.shape;
  const target = node.outputs[output]?.type.shape;
  if (shape === undefined || target === undefined) return undefined;
  const count = elementCount(shape);
  const types = node.outputs.map(({ type }) => ({ ...type, dtype: "float64" as const }));
  const evaluated = (numberOf: (element: number) => number): ArrayLike<number> | undefined => {
    const numbers = new Float64Array(count);
    for (let i = 0; i < count; i++) numbers[i] = numberOf(i);
    const made = compute({ ...node, inputs: [makeTensor("float64", shape, numbers), ...constants], types })?.[output];
    return made?.data instanceof Float64Array ? made.data : made && toNumbers(made);
  };
  // What moves with the numbers of the elements is an element; what does not is padding. Squares tell means apart, which move too.
  const [plain, later, squared] = [(i: number) => i, (i: number) => i + count, (i: number) => i * i].map(evaluated);
  if (plain === undefined || later === undefined || squared === undefined) return undefined;
  const sources = sourcesOf(plain, later, squared, count);
  return sources === undefined ? undefined : separated(sources, sampleFirst(target));
}

function sourcesOf(
  plain: ArrayLike<number>,
  later: ArrayLike<number>,
  squared: ArrayLike<number>,
  count: number,
): Sources | undefined {
  const flat = new Int32Array(plain.length);
  let fill: number | undefined;
  for (let i = 0; i < plain.length; i++) {
    const place = plain[i] ?? Number.NaN;
    const other = later[i] ?? Number.NaN;
    if (other - place === count && squared[i] === place * place) flat[i] = place;
    else if (other === place && (fill === undefined || fill === place)) {
      fill = place;
      flat[i] = padded;
    } else return undefined;
  }
  return { flat, fill };
}

/** The places along each axis, where the place of an element is the sum of them. */
function separated({ flat, fill }: Sources, [, ...sizes]: Shape): Move | undefined {
  const strides = rowMajorStrides(sizes);
  const first = flat.findIndex((place) => place !== padded);
  if (first < 0) return undefined;
  const origin = strides.map((stride, axis) => Math.floor(first / stride) % (sizes[axis] ?? 1));
  const base = flat[first] ?? 0;
  const lists = sizes.map((size, axis) => {
    const stride = strides[axis] ?? 1;
    const start = first - (origin[axis] ?? 0) * stride;
    return Array.from({ length: size }, (_, index) => {
      const place = flat[start + index * stride] ?? padded;
      return place === padded ? undefined : place - base;
    });
  });
  const least = lists.map((list) => list.reduce<number>((min, step) => Math.min(min, step ?? 0), 0));
  const offset = least.reduce((sum, value) => sum + value, base);
  const places = lists.map((list, axis) =>
    Int32Array.from(list, (step) =>
      step === undefined ? padded : step - (least[axis] ?? 0) + (axis === 0 ? offset : 0),
    ),
  );
  return places.length > 0 && flat.every((place, i) => place === placeAt(places, sizes, strides, i))
    ? { places, fill }
    : undefined;
}

function placeAt(
  places: readonly Int32Array[],
  sizes: readonly number[],
  strides: readonly number[],
  i: number,
): number {
  let place = 0;
  for (const [axis, list] of places.entries()) {
    const step = list[Math.floor(i / (strides[axis] ?? 1)) % (sizes[axis] ?? 1)] ?? padded;
    if (step === padded) return padded;
    place += step;
  }
  return place;
}

/** Returns the flat place of each element of a sample; {@link padded} where it is padding. */
export function flatPlaces(places: readonly Int32Array[]): Int32Array {
  const sizes = places.map(({ length }) => length);
  const strides = rowMajorStrides(sizes);
  return Int32Array.from({ length: elementCount(sizes) }, (_, i) => placeAt(places, sizes, strides, i));
}
