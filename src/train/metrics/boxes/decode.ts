/** From a detector's output to boxes: scores, distances from cells, and suppression of boxes that overlap a better one. */
import { cellNumbers } from "../../../data/dataset/dataset.ts";
import type { BoxTarget, DetectorCell } from "../../../data/tasks/boxes.ts";
import { type FoundBox, overlap } from "./average-precision.ts";

/** What is kept of an output, as FCOS' and torchvision's detectors have it. */
const [leastScore, mostCandidates, mostOverlap, mostKept] = [0.05, 1000, 0.6, 100];

/**
 * Returns the boxes in the output of one sample, best score first: scores above 0.05, the best 1,000; of two of one class that overlap by an
 * IoU above 0.6 the better; up to 100.
 *
 * @param output [4 + classes, cells], from `start` on: distances in strides, and scores before the Sigmoid.
 */
export function decodeBoxes(
  output: ArrayLike<number>,
  start: number,
  cells: readonly DetectorCell[],
  classes: number,
): FoundBox[] {
  const at = (row: number, cell: number) => output[start + row * cells.length + cell] ?? 0;
  const candidates: FoundBox[] = [];
  cells.forEach(({ x, y, stride }, cell) => {
    for (let label = 0; label < classes; label++) {
      const score = 1 / (1 + Math.exp(-at(4 + label, cell)));
      if (!(score > leastScore)) continue;
      const [left, top, right, bottom] = [0, 1, 2, 3].map((side) => at(side, cell) * stride);
      const corners = [x - (left ?? 0), y - (top ?? 0), x + (right ?? 0), y + (bottom ?? 0)] as const;
      if (corners[2] > corners[0] && corners[3] > corners[1]) candidates.push({ corners, label, score });
    }
  });
  return suppressed(candidates.sort((a, b) => b.score - a.score).slice(0, mostCandidates));
}

/**
 * Returns the boxes that no better one of their class overlaps by an IoU above 0.6.
 *
 * @param ordered Best score first.
 */
export function suppressed(ordered: readonly FoundBox[]): FoundBox[] {
  const kept: FoundBox[] = [];
  for (const box of ordered) {
    if (kept.length === mostKept) break;
    const isHidden = kept.some(
      ({ label, corners }) => label === box.label && overlap(corners, box.corners) > mostOverlap,
    );
    if (!isHidden) kept.push(box);
  }
  return kept;
}

/** The sums that the loss of a batch is made of: see ops/internal/box-loss.ts, whose arithmetic this is in float64. */
export interface BoxLossSums {
  readonly scores: number;
  readonly boxes: number;
  readonly positives: number;
}

/** Returns the sums of the loss of one sample. */
export function boxLossSums(
  output: ArrayLike<number>,
  start: number,
  targets: ArrayLike<number>,
  targetStart: number,
  { classes }: Pick<BoxTarget, "classes">,
  cells: number,
): BoxLossSums {
  let [scores, boxes, positives] = [0, 0, 0];
  for (let cell = 0; cell < cells; cell++) {
    const at = (row: number) => output[start + row * cells + cell] ?? 0;
    const wanted = (number: number) => targets[targetStart + cell * cellNumbers + number] ?? 0;
    const label = wanted(0);
    if (label < -1) continue;
    for (let k = 0; k < classes.length; k++) {
      const score = at(4 + k);
      const isRight = k === label;
      const signed = isRight ? -score : score;
      // log(1 + e^x), which does not overflow.
      const entropy = Math.max(signed, 0) + Math.log1p(Math.exp(-Math.abs(signed)));
      const missed = 1 / (1 + Math.exp(-signed));
      scores += (isRight ? 0.25 : 0.75) * missed * missed * entropy;
    }
    if (label < 0) continue;
    positives++;
    const [own, other] = [[0, 1, 2, 3].map(at), [1, 2, 3, 4].map(wanted)];
    boxes += 1 - generalized(own, other) + own.reduce((sum, d, i) => sum + Math.abs(d - (other[i] ?? 0)), 0) / 4;
  }
  return { scores, boxes, positives };
}

/** The generalized IoU of two boxes by their distances from one cell. */
function generalized(a: readonly number[], b: readonly number[]): number {
  const side = (pick: (x: number, y: number) => number, i: number) =>
    pick(a[i] ?? 0, b[i] ?? 0) + pick(a[i + 2] ?? 0, b[i + 2] ?? 0);
  const size = (box: readonly number[]) =>
    Math.max(0, (box[0] ?? 0) + (box[2] ?? 0)) * Math.max(0, (box[1] ?? 0) + (box[3] ?? 0));
  const shared = Math.max(0, side(Math.min, 0)) * Math.max(0, side(Math.min, 1));
  const union = size(a) + size(b) - shared;
  const hull = side(Math.max, 0) * side(Math.max, 1);
  return shared / union - (hull - union) / hull;
}
