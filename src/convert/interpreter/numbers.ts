/** The arithmetic of docs/integer.md, in plain numbers, written for the interpreters alone. */
import type { Shape } from "../../ir/types.ts";
import type { IntegerTensor, WindowGeometry } from "../integer-network.ts";

/** The elements of a tensor for one sample, and what they stand for. */
export interface Elements {
  readonly data: Float64Array;
  readonly tensor: IntegerTensor;
}

/** The channel of an element: its place along an axis of a shape. */
export function channelOf(element: number, shape: Shape, axis: number): number {
  const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  return Math.floor(element / inner) % (shape[axis] ?? 1);
}

/** The indices of all elements of a shape, the last axis running fastest. */
export function positionsOf(sizes: readonly number[]): number[][] {
  const [size, ...rest] = sizes;
  if (size === undefined) return [[]];
  return Array.from({ length: size }, (_, i) => positionsOf(rest).map((others) => [i, ...others])).flat();
}

/** The flat place in one channel of an element of a window; −1 where it lies on padding. */
export function placeInWindow(
  { strides, dilations, pads }: WindowGeometry,
  sizes: readonly number[],
  window: readonly number[],
  tap: readonly number[],
): number {
  let place = 0;
  for (const [axis, size] of sizes.entries()) {
    const start = (window[axis] ?? 0) * (strides[axis] ?? 1) - (pads[axis] ?? 0);
    const own = start + (tap[axis] ?? 0) * (dilations[axis] ?? 1);
    if (own < 0 || own >= size) return -1;
    place = place * size + own;
  }
  return place;
}

/** The nearest integer, halves to the even one. */
export function nearestEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest > 0.5 || (rest === 0.5 && below % 2 !== 0)) return below + 1;
  return below;
}

/** Limits x to low..high. */
export function limit(x: number, low: number, high: number): number {
  if (x < low) return low;
  return Math.min(x, high);
}

/** An integer that an int32 can hold. @throws RangeError where it cannot: the range analysis was wrong. */
export function int32(x: number, where: string): number {
  if (x !== (x | 0)) throw new RangeError(`${where}: the accumulator ${x} is not an int32`);
  return x;
}

/** The nearest level of a grid with gaps, the lower one of two. */
export function roundToLevel(t: number, levels: readonly number[]): number {
  return levels.reduce((best, level) => (Math.abs(level - t) < Math.abs(best - t) ? level : best));
}
