/**
 * Moved elements as standard ONNX: picks along each axis (Slice where the step is even, Gather otherwise), a Transpose, a Pad. What does
 * not lie along axes, as the blocks of DepthToSpace, is one Gather of the flat sample.
 */

import { UnsupportedError } from "../../errors.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { elementCount, rowMajorStrides, type Shape } from "../../ir/types.ts";
import { int64Constant } from "../../ops/build/operands.ts";
import { gather } from "../../ops/families/shape/indexing.ts";
import { expand, pad, reshape, slice, transpose } from "../../ops/families/shape/shape-ops.ts";
import type { MoveCodes } from "../integer-network.ts";
import { flatPlaces, padded } from "../rules/move-places.ts";

/** What is read along an axis of the input, and the axis of the output that it becomes; none where one element is read. */
interface AxisPick {
  readonly indices: readonly number[];
  readonly output: number | undefined;
}

/** Elements at other places. The batch stays as it is. @param fill What padding holds, in the values of x. */
export function movedElements(b: GraphBuilder, x: Value, { name, places }: MoveCodes, fill: number): Value {
  const [batch = 1, ...sizes] = x.type.shape;
  const target = places.map(({ length }) => length);
  const picks = picksOf(places, sizes);
  const spreads = places.map(spreadOf);
  if (spreads.every((each) => each !== undefined) && spreads.some((each) => each > 1))
    return spreadOut(b, x, spreads, fill);
  const pads = places.map(endsOf);
  if (picks === undefined || pads.some((ends) => ends === undefined)) {
    const flat = flatPlaces(places);
    if (flat.includes(padded)) {
      throw new UnsupportedError("it pads between elements, which has no form in ONNX here", { where: `"${name}"` });
    }
    const row = reshape(b, x, [batch, elementCount(sizes)]);
    return reshape(b, gather(b, row, int64Constant(b, [...flat]), 1), [batch, ...target]);
  }
  let y = x;
  picks.forEach(({ indices }, axis) => {
    y = picked(b, y, axis + 1, indices);
  });
  // The axes in the order of the output, then those of which one element is left.
  const from = target.map((_, axis) => picks.findIndex(({ output }) => output === axis));
  const rest = picks.flatMap(({ output }, axis) => (output === undefined ? [axis] : []));
  y = transpose(b, y, [0, ...[...from.filter((axis) => axis >= 0), ...rest].map((axis) => axis + 1)]);
  const inner = places.map((list) => list.filter((place) => place !== padded).length);
  y = reshaped(b, y, [batch, ...inner.map((size, axis) => ((from[axis] ?? -1) < 0 ? 1 : size))]);
  y = expand(b, y, [batch, ...inner]);
  const ends = pads.map((each) => each ?? { before: 0, after: 0 });
  if (ends.every(({ before, after }) => before === 0 && after === 0)) return y;
  return pad(b, y, [0, ...ends.map(({ before }) => before), 0, ...ends.map(({ after }) => after)], { value: fill });
}

/** The distance of the elements of an axis where there is padding between them, 1 where there is none; undefined where it is something else. */
function spreadOf(list: Int32Array): number | undefined {
  const second = list.findIndex((place, index) => index > 0 && place !== padded);
  const distance = second < 0 ? 1 : second;
  return list.every((place, index) => (index % distance === 0) === (place !== padded)) ? distance : undefined;
}

/** Elements with padding between them: as a second axis for each one, cut at the end. */
function spreadOut(b: GraphBuilder, x: Value, distances: readonly number[], fill: number): Value {
  const [batch = 1, ...sizes] = x.type.shape;
  const pairs = reshape(b, x, [batch, ...sizes.flatMap((size) => [size, 1])]);
  const none = [0, ...sizes.flatMap(() => [0, 0])];
  const after = [0, ...distances.flatMap((distance) => [0, distance - 1])];
  const filled = pad(b, pairs, [...none, ...after], { value: fill });
  const wide = reshape(b, filled, [batch, ...sizes.map((size, axis) => size * (distances[axis] ?? 1))]);
  const axes = sizes.map((_, axis) => axis + 1);
  const ends = sizes.map((size, axis) => (size - 1) * (distances[axis] ?? 1) + 1);
  return slice(b, wide, { axes, starts: axes.map(() => 0), ends });
}

function reshaped(b: GraphBuilder, x: Value, shape: Shape): Value {
  return x.type.shape.join() === shape.join() ? x : reshape(b, x, shape);
}

/** How many indices are padding before and after the elements; undefined where some lie between them. */
function endsOf(list: Int32Array): { readonly before: number; readonly after: number } | undefined {
  const first = list.findIndex((place) => place !== padded);
  const last = list.findLastIndex((place) => place !== padded);
  const hasGap = list.subarray(first, last + 1).includes(padded);
  return hasGap ? undefined : { before: first, after: list.length - 1 - last };
}

/** The picks along the axes of the input; undefined where an axis of the output runs along several of them. */
function picksOf(places: readonly Int32Array[], sizes: readonly number[]): AxisPick[] | undefined {
  const strides = rowMajorStrides(sizes);
  const steps = places.map((list) => {
    const own = [...list].filter((place) => place !== padded);
    const least = Math.min(...own);
    return { least, offsets: own.map((place) => place - least) };
  });
  const base = steps.reduce((sum, { least }) => sum + least, 0);
  const origin = strides.map((stride, axis) => Math.floor(base / stride) % (sizes[axis] ?? 1));
  const picks: AxisPick[] = origin.map((index) => ({ indices: [index], output: undefined }));
  for (const [output, { offsets }] of steps.entries()) {
    if (offsets.every((offset) => offset === 0)) continue;
    const axis = strides.findIndex((stride, candidate) => {
      const start = origin[candidate] ?? 0;
      const isFree = picks[candidate]?.output === undefined && (sizes[candidate] ?? 1) > 1;
      return (
        isFree && offsets.every((offset) => offset % stride === 0 && start + offset / stride < (sizes[candidate] ?? 1))
      );
    });
    if (axis < 0) return undefined;
    const start = origin[axis] ?? 0;
    picks[axis] = { indices: offsets.map((offset) => start + offset / (strides[axis] ?? 1)), output };
  }
  return picks;
}

/** Some indices of an axis. */
function picked(b: GraphBuilder, x: Value, axis: number, indices: readonly number[]): Value {
  const size = x.type.shape[axis] ?? 1;
  const [first = 0, second = first + 1] = indices;
  const step = second - first;
  const isEven = indices.every((index, i) => index === first + i * step) && step !== 0;
  if (isEven && step === 1 && indices.length === size) return x;
  if (!isEven) return gather(b, x, int64Constant(b, [...indices]), axis);
  const end = first + indices.length * step;
  // An end before the first element is the least int64: −1 would be the last element.
  const ends = [step < 0 && end < 0 ? Number.MIN_SAFE_INTEGER : end];
  return slice(b, x, { axes: [axis], starts: [first], ends, steps: [step] });
}
