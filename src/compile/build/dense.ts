/** How a network's output scores the classes of positions: which axis counts the classes, and which positions there are. */
import type { Shape } from "../../ir/types.ts";
import { elementCount, sameShape } from "../../ir/types.ts";

/** The layout of scores of positions. */
export interface DenseLayout {
  /** The axis of one sample's output that counts the classes. */
  readonly axis: number;
  /** Whether the output scores the last position alone. */
  readonly isLastOnly: boolean;
  readonly classes: number;
  /** Positions that are scored in a sample. */
  readonly positions: number;
}

/**
 * Returns the layout of an output for targets of a shape, both of one sample: [T, C] or [C, H, W] for each position, or [C] for
 * the last one. Undefined where they do not fit. Where both ends of the shape could count the classes, a sequence has them last and
 * an image first, as transformers and torch's losses do.
 *
 * @example
 * console.log(denseLayout([21, 8, 8], [8, 8])); // { axis: 0, isLastOnly: false, classes: 21, positions: 64 }
 */
export function denseLayout(output: Shape, target: Shape): DenseLayout | undefined {
  const positions = elementCount(target);
  const [first = 1] = output;
  if (output.length === 1 && target.length === 1) return { axis: 0, isLastOnly: true, classes: first, positions: 1 };
  if (output.length !== target.length + 1) return undefined;
  const isLast = sameShape(output.slice(0, -1), target);
  const isFirst = sameShape(output.slice(1), target);
  if (!isLast && !isFirst) return undefined;
  const axis = isLast && (!isFirst || target.length === 1) ? target.length : 0;
  return { axis, isLastOnly: false, classes: output[axis] ?? 1, positions };
}
