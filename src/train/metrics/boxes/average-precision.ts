/**
 * Average precision of found boxes as COCO defines it (Lin et al., "Microsoft COCO: Common Objects in Context", arXiv 1405.0312) and
 * pycocotools computes it: all sizes, up to 100 boxes of each image and class, precision at 101 recalls, ten thresholds of the IoU.
 */
import type { LabelledBox } from "../../../data/tasks/boxes.ts";

/** A box that was found. */
export interface FoundBox extends Pick<LabelledBox, "corners" | "label"> {
  readonly score: number;
}

/** The boxes of an image, and those that were found in it. */
export interface ImageBoxes {
  readonly boxes: readonly LabelledBox[];
  readonly found: readonly FoundBox[];
}

/** Average precision, 0 to 1; NaN where no class has a box. */
export interface AveragePrecision {
  /** The mean over the thresholds 0.5, 0.55, … 0.95 and the classes. */
  readonly mean: number;
  /** The mean over the classes at the threshold 0.5. */
  readonly at50: number;
  /** Of each class the mean over the thresholds; null without a box. */
  readonly classes: readonly (number | null)[];
}

const mostFound = 100;
const [thresholdCount, recallCount] = [10, 101];
const thresholds = Array.from({ length: thresholdCount }, (_, i) => 0.5 + i * ((0.95 - 0.5) / 9));
const recalls = Array.from({ length: recallCount }, (_, i) => i * 0.01);

/** The boxes found of one class, at one threshold: their scores, and whether each is right, wrong or does not count. */
interface Outcome {
  readonly score: number;
  /** For each threshold: 1 right, 0 wrong, -1 does not count. */
  readonly verdicts: Int8Array;
}

/**
 * Returns the average precision over images.
 *
 * @param classCount The number of classes.
 *
 * @example
 * const box = { corners: [0, 0, 8, 8], label: 0 } as const;
 * const image = { boxes: [{ ...box, isCrowd: false }], found: [{ ...box, score: 0.9 }] };
 * console.log(averagePrecision([image], 1).mean); // 1
 */
export function averagePrecision(images: readonly ImageBoxes[], classCount: number): AveragePrecision {
  const perClass = Array.from({ length: classCount }, (_, label) => ofClass(images, label));
  const known = perClass.flatMap((values) => values ?? []);
  const first = perClass.flatMap((values) => values?.[0] ?? []);
  return {
    mean: meanOf(known),
    at50: meanOf(first),
    classes: perClass.map((values) => (values === undefined ? null : meanOf(values))),
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The average precision of one class for each threshold; undefined without a box that counts. */
function ofClass(images: readonly ImageBoxes[], label: number): readonly number[] | undefined {
  const outcomes: Outcome[] = [];
  let count = 0;
  for (const image of images) {
    const boxes = image.boxes.filter((box) => box.label === label);
    const found = image.found.filter((box) => box.label === label);
    count += boxes.filter(({ isCrowd }) => !isCrowd).length;
    for (const outcome of matched(boxes, found)) outcomes.push(outcome);
  }
  if (count === 0) return undefined;
  outcomes.sort((a, b) => b.score - a.score);
  return thresholds.map((_, threshold) => area(outcomes, threshold, count));
}

/** Gives each found box, from the best score down, the box that it overlaps most, as each box is found once. */
function matched(boxes: readonly LabelledBox[], found: readonly FoundBox[]): Outcome[] {
  const ordered = [...boxes].sort((a, b) => Number(a.isCrowd) - Number(b.isCrowd));
  const best = [...found].sort((a, b) => b.score - a.score).slice(0, mostFound);
  const verdicts = best.map(() => new Int8Array(thresholdCount));
  const overlaps = best.map((one) => ordered.map((box) => overlap(one.corners, box.corners, box.isCrowd)));
  thresholds.forEach((threshold, t) => {
    const isTaken = ordered.map(() => false);
    best.forEach((_, number) => {
      let most = Math.min(threshold, 1 - 1e-10);
      let match = -1;
      for (const [place, box] of ordered.entries()) {
        if (isTaken[place] === true && !box.isCrowd) continue;
        // Crowds come last: one does not take a box that another box is right for.
        if (match >= 0 && ordered[match]?.isCrowd === false && box.isCrowd) break;
        const own = overlaps[number]?.[place] ?? 0;
        if (own < most) continue;
        [most, match] = [own, place];
      }
      if (match < 0) return;
      isTaken[match] = true;
      const verdict = verdicts[number];
      if (verdict !== undefined) verdict[t] = ordered[match]?.isCrowd === true ? -1 : 1;
    });
  });
  return best.map(({ score }, number) => ({ score, verdicts: verdicts[number] ?? new Int8Array(thresholdCount) }));
}

/**
 * Returns the intersection of two boxes by their union, or by the first box where the second is a crowd.
 *
 * @example
 * console.log(overlap([0, 0, 2, 2], [1, 0, 3, 2])); // 0.3333333333333333
 */
export function overlap(a: LabelledBox["corners"], b: LabelledBox["corners"], isCrowd = false): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const [own, other] = [(a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])];
  return (width * height) / (isCrowd ? own : own + other - width * height);
}

/** The mean of the largest precision at each recall or above. */
function area(outcomes: readonly Outcome[], threshold: number, count: number): number {
  let [right, wrong] = [0, 0];
  const points = outcomes.map(({ verdicts }) => {
    const verdict = verdicts[threshold] ?? 0;
    if (verdict === 1) right++;
    if (verdict === 0) wrong++;
    return { recall: right / count, precision: right / (right + wrong + Number.EPSILON) };
  });
  let largest = 0;
  const envelope = points.map(() => 0);
  for (let i = points.length - 1; i >= 0; i--) {
    largest = Math.max(largest, points[i]?.precision ?? 0);
    envelope[i] = largest;
  }
  let place = 0;
  let sum = 0;
  for (const recall of recalls) {
    while (place < points.length && (points[place]?.recall ?? 0) < recall) place++;
    sum += envelope[place] ?? 0;
  }
  return sum / recallCount;
}
