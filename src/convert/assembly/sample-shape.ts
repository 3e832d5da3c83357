/**
 * Shapes of an integer network: the sample comes first, wherever the float network has its batch. Transformers carry their batch
 * behind the tokens ([T, N, D]) or joined with other axes ([N·heads, T, D]). A network is converted for one sample, and an axis of one element
 * can stand anywhere without changing the order of the elements, so every tensor is [1, …] and no operation touches its first axis.
 */

import type { Shape } from "../../ir/types.ts";

/**
 * Returns a shape for one sample with the axis of the sample first: its first axis of one element, or an axis more where it has none.
 *
 * @example
 * sampleFirst([17, 1, 64]); // [1, 17, 64]
 * sampleFirst([4, 17, 16]); // [1, 4, 17, 16]
 */
export function sampleFirst(shape: Shape): Shape {
  const at = shape.indexOf(1);
  return at < 0 ? [1, ...shape] : [1, ...shape.slice(0, at), ...shape.slice(at + 1)];
}

/**
 * Returns the place that an axis of a shape has in {@link sampleFirst} of it.
 *
 * @param axis From −rank to rank − 1.
 */
export function axisSampleFirst(shape: Shape, axis: number): number {
  const at = shape.indexOf(1);
  const own = axis < 0 ? axis + shape.length : axis;
  if (own === at) return 0;
  return at >= 0 && own > at ? own : own + 1;
}
