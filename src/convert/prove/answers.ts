/** The answers of a model: the class with the largest output, of each sample or of each position of one. */
import { denseLayout } from "../../compile/build/dense.ts";
import type { Dataset, TargetArray } from "../../data/dataset/dataset.ts";
import { elementCount, type Shape } from "../../ir/types.ts";

/** Where answers lie in outputs, and what they should be. */
export interface AnswerPlan {
  /** Answers of one sample. */
  readonly positions: number;
  /** Returns answer `index` of a batch, counted over its samples and their positions. */
  of(outputs: ArrayLike<number>, index: number, batchSize: number): number;
  /** Returns the class that answer `index` should be; undefined where the data says none, below 0 where it does not count. */
  label(targets: TargetArray, index: number): number | undefined;
}

/**
 * Returns where the answers of an output lie.
 *
 * @param output The shape of one sample's output.
 */
export function answerPlan({ target }: Pick<Dataset, "target">, output: Shape): AnswerPlan {
  const layout = target.kind === "dense" ? denseLayout(output, target.shape) : undefined;
  if (target.kind !== "dense" || layout === undefined) {
    return {
      positions: 1,
      of: (outputs, index, batchSize) => {
        const classes = outputs.length / batchSize;
        return largestOf(outputs, index * classes, classes, 1);
      },
      label: (targets, index) => (target.kind === "classes" ? targets[index] : undefined),
    };
  }
  const { axis, classes, positions, isLastOnly } = layout;
  const count = elementCount(target.shape);
  const isFirst = axis === 0 && !isLastOnly;
  return {
    positions,
    of: (outputs, index) => {
      const [sample, position] = [Math.floor(index / positions), index % positions];
      const start = sample * positions * classes + (isFirst ? position : position * classes);
      return largestOf(outputs, start, classes, isFirst ? positions : 1);
    },
    label: (targets, index) => targets[isLastOnly ? (index + 1) * count - 1 : index],
  };
}

function largestOf(outputs: ArrayLike<number>, start: number, classes: number, stride: number): number {
  let best = 0;
  for (let k = 1; k < classes; k++) {
    if ((outputs[start + k * stride] ?? 0) > (outputs[start + best * stride] ?? 0)) best = k;
  }
  return best;
}
