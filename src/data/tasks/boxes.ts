/** Boxes as targets: which cell of a detector's output has to find which box, and a data set that gives both. */
import {
  boxNumbers,
  cellCount,
  cellNumbers,
  checkBatch,
  type Dataset,
  type LabelType,
  makeTargets,
  targetLengthOf,
} from "../dataset/dataset.ts";

/** A box of an image, in pixels of the sample: left, top, right, bottom. */
export interface LabelledBox {
  readonly corners: readonly [number, number, number, number];
  /** The number of the class. */
  readonly label: number;
  /** A group of things that are not marked one by one: it has to be found by no cell, and what is found in it does not count. */
  readonly isCrowd: boolean;
}

/** The targets of boxes. */
export type BoxTarget = LabelType & { readonly kind: "boxes" };

/** The class of a cell that finds nothing, and of one that does not count. */
export const [emptyCell, ignoredCell] = [-1, -2] as const;

/** A cell of an output: its middle in pixels of the sample, and the stride of its level. */
export interface DetectorCell {
  readonly x: number;
  readonly y: number;
  readonly stride: number;
  readonly level: number;
}

/**
 * Returns the cells in the order of an output: the grid of each stride, row by row.
 *
 * @example
 * console.log(cellsOf({ height: 16, width: 16, strides: [8, 16] }).length); // 5
 */
export function cellsOf({
  height,
  width,
  strides,
}: Pick<BoxTarget, "height" | "width" | "strides">): readonly DetectorCell[] {
  return strides.flatMap((stride, level) => {
    const columns = Math.ceil(width / stride);
    return Array.from({ length: Math.ceil(height / stride) * columns }, (_, i) => ({
      x: ((i % columns) + 0.5) * stride,
      y: (Math.floor(i / columns) + 0.5) * stride,
      stride,
      level,
    }));
  });
}

/** A cell may find a box whose middle is up to this many strides away. */
const reach = 1.5;
/** A level finds boxes whose sides are up to this many strides from the cell; the last level finds all larger ones. */
const farthest = 8;

/**
 * Writes which box each cell has to find: FCOS (Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", arXiv 1904.01355,
 * section 3.2, with the centre sampling of its later version). A cell finds a box if its middle lies in the box, at most 1.5 strides from
 * the box's middle, and if the farthest side of the box is as far as its level is for: up to 8 strides, and above 8 strides of the level
 * before. Of several boxes it finds the smallest. A box that no cell would find is found by the cell that holds its middle.
 *
 * @param into 5 numbers for each cell: the class, and the distances in strides; 1 where the cell finds nothing.
 */
export function assignBoxes(
  boxes: readonly LabelledBox[],
  cells: readonly DetectorCell[],
  target: BoxTarget,
  into: Float32Array,
): void {
  for (const cell of cells.keys()) into.set([emptyCell, 1, 1, 1, 1], cell * cellNumbers);
  for (const { corners } of boxes.filter(({ isCrowd }) => isCrowd)) {
    cells.forEach(({ x, y }, cell) => {
      if (isInside(x, y, corners)) into[cell * cellNumbers] = ignoredCell;
    });
  }
  const ordered = boxes.filter(({ isCrowd }) => !isCrowd).sort((a, b) => areaOf(b) - areaOf(a));
  for (const box of ordered) {
    const found = cells.flatMap((cell, number) => (isFinder(cell, box, target.strides) ? [number] : []));
    for (const number of found.length > 0 ? found : [holderOf(box, target)]) {
      const cell = cells[number];
      if (cell === undefined) continue;
      into.set([box.label, ...distancesOf(cell, box)], number * cellNumbers);
    }
  }
}

function areaOf({ corners: [left, top, right, bottom] }: LabelledBox): number {
  return (right - left) * (bottom - top);
}

function isInside(x: number, y: number, [left, top, right, bottom]: LabelledBox["corners"]): boolean {
  return x > left && x < right && y > top && y < bottom;
}

function distancesOf({ x, y, stride }: DetectorCell, { corners: [left, top, right, bottom] }: LabelledBox): number[] {
  return [x - left, y - top, right - x, bottom - y].map((distance) => distance / stride);
}

function isFinder(cell: DetectorCell, box: LabelledBox, strides: readonly number[]): boolean {
  const [left, top, right, bottom] = box.corners;
  if (!isInside(cell.x, cell.y, box.corners)) return false;
  const away = Math.max(Math.abs(cell.x - (left + right) / 2), Math.abs(cell.y - (top + bottom) / 2));
  if (away > reach * cell.stride) return false;
  return levelFor(Math.max(...distancesOf(cell, box)) * cell.stride, strides) === cell.level;
}

/** The level for a distance in pixels. */
function levelFor(distance: number, strides: readonly number[]): number {
  const level = strides.findIndex((stride) => distance <= farthest * stride);
  return level < 0 ? strides.length - 1 : level;
}

/** The number of the cell that holds the middle of a box, of the level for its longer side. */
function holderOf({ corners: [left, top, right, bottom] }: LabelledBox, { height, width, strides }: BoxTarget): number {
  const level = levelFor(Math.max(right - left, bottom - top) / 2, strides);
  const stride = strides[level] ?? 1;
  const before = cellCount({ height, width, strides: strides.slice(0, level) });
  const columns = Math.ceil(width / stride);
  return before + Math.floor((top + bottom) / 2 / stride) * columns + Math.floor((left + right) / 2 / stride);
}

/** Images, and what is in them. */
export interface BoxedParts {
  /** Samples [C, H, W] whose only target is the number of the entry of `boxes`. */
  readonly images: Dataset;
  readonly boxes: readonly (readonly LabelledBox[])[];
  readonly classes: readonly string[];
  /** Pixels between the cells of each level, rising. */
  readonly strides: readonly number[];
}

/**
 * Returns a data set whose targets are boxes: for each sample what each cell has to find, then the boxes themselves.
 *
 * @example
 * const boxes = images.boxes.map((box) => [box]);
 * console.log(boxedDataset({ images: images.dataset, boxes, classes: ["disc"], strides: [8] }).target.kind); // boxes
 */
export function boxedDataset({ images, boxes, classes, strides }: BoxedParts): Dataset {
  const [, height = 1, width = 1] = images.sampleShape;
  const mostBoxes = boxes.reduce((most, { length }) => Math.max(most, length), 1);
  const target: BoxTarget = { kind: "boxes", classes, height, width, strides, mostBoxes };
  const cells = cellsOf(target);
  const start = cells.length * cellNumbers;
  const length = targetLengthOf(target);
  const boxed: Dataset = {
    ...images,
    target,
    readBatch(indices, into, draw) {
      checkBatch(boxed, indices, into);
      const numbers = makeTargets(images.target, indices.length);
      images.readBatch(indices, { samples: into.samples, targets: numbers }, draw);
      for (let position = 0; position < indices.length; position++) {
        const own = boxes[numbers[position] ?? 0] ?? [];
        const row = new Float32Array(length).fill(emptyCell, start);
        assignBoxes(own, cells, target, row);
        for (const [box, { corners, label, isCrowd }] of own.entries()) {
          row.set([...corners, label, Number(isCrowd)], start + box * boxNumbers);
        }
        into.targets.set(row, position * length);
      }
    },
  };
  return boxed;
}

/** Returns the boxes in a sample's targets. */
export function boxesIn(targets: ArrayLike<number>, sample: number, target: BoxTarget): readonly LabelledBox[] {
  const start = cellCount(target) * cellNumbers;
  const first = sample * targetLengthOf(target) + start;
  const at = (place: number) => targets[place] ?? 0;
  return Array.from({ length: target.mostBoxes }, (_, box) => first + box * boxNumbers)
    .filter((place) => at(place + 4) >= 0)
    .map((place) => ({
      corners: [at(place), at(place + 1), at(place + 2), at(place + 3)],
      label: at(place + 4),
      isCrowd: at(place + 5) === 1,
    }));
}
