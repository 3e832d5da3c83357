/**
 * Shapes of an integer network: the sample comes first, wherever the float network has its batch. Transformers carry their batch
 * behind the tokens ([T, N, D]) or joined with other axes ([N·heads, T, D]). A network is converted for one sample, and an axis of one element
 * can be written in front without changing the order of the elements, so every tensor is [1, …] and no operation touches its first axis.
 */

import type { Shape } from "../../ir/types.ts";

/**
 * Returns a shape for one sample with an axis of one element first: its own, or one more. The other axes keep their places at the end.
 *
 * @example
 * sampleFirst([1, 64, 16]); // [1, 64, 16]
 * sampleFirst([4, 17, 16]); // [1, 4, 17, 16]
 */
export function sampleFirst(shape: Shape): Shape {
  return shape[0] === 1 ? shape : [1, ...shape];
}

/**
 * Returns the place that an axis of a shape has in {@link sampleFirst} of it.
 *
 * @param axis From −rank to rank − 1.
 */
export function axisSampleFirst(shape: Shape, axis: number): number {
  const own = axis < 0 ? axis + shape.length : axis;
  return shape[0] === 1 ? own : own + 1;
}
