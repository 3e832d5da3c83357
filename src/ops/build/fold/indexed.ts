/** Values on constants of operators that read or write elements at places that another tensor names. */

import { intAttribute, stringAttribute } from "../../../ir/attributes.ts";
import { elementCount, rowMajorStrides, type Shape } from "../../../ir/types.ts";
import { type Fold, type FoldCall, type FoldRule, fromNumbers, numbersOf, rearranged, unravel } from "./data.ts";

/** Returns the flat place of the slice that each row of indices names; undefined where one is outside. */
function placesOf(indices: readonly number[], depth: number, shape: Shape): number[] | undefined {
  const strides = rowMajorStrides(shape);
  const places: number[] = [];
  for (let start = 0; start < indices.length; start += depth) {
    let place = 0;
    for (let axis = 0; axis < depth; axis++) {
      const size = shape[axis] ?? 0;
      const index = indices[start + axis] ?? 0;
      if (index < -size || index >= size) return undefined;
      place += (index < 0 ? index + size : index) * (strides[axis] ?? 1);
    }
    places.push(place);
  }
  return places;
}

const gatherND: Fold = (call) => {
  const { inputs, types } = call;
  const [input, index] = inputs;
  const [type] = types;
  const indices = numbersOf(index);
  if (input === undefined || index === undefined || type === undefined || indices === undefined) return undefined;
  const depth = index.shape.at(-1) ?? 0;
  if (intAttribute(call, "batch_dims", 0) !== 0 || depth === 0) return undefined;
  const places = placesOf(indices, depth, input.shape);
  const inner = elementCount(input.shape.slice(depth));
  return places && [rearranged(input, type.shape, (i) => (places[Math.floor(i / inner)] ?? 0) + (i % inner))];
};

/** Returns for each element of the index the flat place that it names along the axis; undefined where one is outside. */
function placesAlong(call: FoldCall, shape: Shape): number[] | undefined {
  const index = call.inputs[1];
  const indices = numbersOf(index);
  if (index === undefined || indices === undefined) return undefined;
  const given = intAttribute(call, "axis", 0);
  const axis = given < 0 ? given + shape.length : given;
  const size = shape[axis] ?? 0;
  if (indices.some((each) => each < -size || each >= size)) return undefined;
  const strides = rowMajorStrides(shape);
  return indices.map((each, i) =>
    unravel(i, index.shape).reduce(
      (sum, place, at) => sum + (at === axis ? (each < 0 ? each + size : each) : place) * (strides[at] ?? 1),
      0,
    ),
  );
}

const gatherElements: Fold = (call) => {
  const [input] = call.inputs;
  const [type] = call.types;
  if (input === undefined || type === undefined) return undefined;
  const places = placesAlong(call, input.shape);
  return places && [rearranged(input, type.shape, (i) => places[i] ?? 0)];
};

const reductions: ReadonlyMap<string, (old: number, update: number) => number> = new Map([
  ["none", (_: number, update: number) => update],
  ["add", (old: number, update: number) => old + update],
  ["mul", (old: number, update: number) => old * update],
  ["max", Math.max],
  ["min", Math.min],
]);

/** The input with an update at each place; of several at one place the last is the last. */
function scattered(call: FoldCall, places: readonly number[] | undefined, inner: number) {
  const [input, , updates] = call.inputs;
  const [type] = call.types;
  const [numbers, given] = [numbersOf(input), numbersOf(updates)];
  const reduce = reductions.get(stringAttribute(call, "reduction", "none"));
  if (type === undefined || numbers === undefined || given === undefined) return undefined;
  if (places === undefined || reduce === undefined) return undefined;
  const result = [...numbers];
  // float32 as each addition rounds.
  const rounded = type.dtype === "float32" ? Math.fround : (value: number) => value;
  places.forEach((place, row) => {
    for (let i = 0; i < inner; i++) {
      result[place + i] = rounded(reduce(result[place + i] ?? 0, given[row * inner + i] ?? 0));
    }
  });
  return [fromNumbers(type, result)];
}

const scatterND: Fold = (call) => {
  const [input, index] = call.inputs;
  const indices = numbersOf(index);
  const depth = index?.shape.at(-1) ?? 0;
  if (input === undefined || indices === undefined || depth === 0) return undefined;
  return scattered(call, placesOf(indices, depth, input.shape), elementCount(input.shape.slice(depth)));
};

const scatterElements: Fold = (call) => {
  const [input] = call.inputs;
  return input === undefined ? undefined : scattered(call, placesAlong(call, input.shape), 1);
};

/** The value of GatherND. */
export const foldGatherND: FoldRule = { compute: gatherND };
/** The value of GatherElements. */
export const foldGatherElements: FoldRule = { compute: gatherElements };
/** The value of ScatterND. */
export const foldScatterND: FoldRule = { compute: scatterND };
/** The value of ScatterElements. */
export const foldScatterElements: FoldRule = { compute: scatterElements };
