/**
 * What a data set is: numbered samples of one shape with their targets, copied on request into buffers of the caller.
 *
 * The rest of subbyte sees only {@link Dataset}: `readBatch` is synchronous so that a training step never waits in
 * JavaScript, and a data set that is larger than memory implements `prefetch`, which the training loop awaits for the
 * coming batch while the present step runs. Samples stay raw (bytes stay bytes); the network's graph normalizes them.
 */
import { defined } from "../../base/defined.ts";
import type { InputPart } from "../../compile/build/input.ts";
import { ConfigError } from "../../errors.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { measureNormalization, type Normalization, wholeNumbers } from "../normalization/normalization.ts";
import { allocateSamples, type SampleArray, type SampleType, typeOfSamples } from "./sample-type.ts";

export type { SampleArray } from "./sample-type.ts";

/**
 * Class numbers [N] or [N, ...shape] (Int32Array), or regression values [N, ...shape] (Float32Array; empty where there are no
 * labels).
 */
export type TargetArray = Int32Array | Float32Array;

/** What the classes of positions stand for, which chooses the metric. */
export type DenseMeaning = "tokens" | "regions" | "masked tokens" | "next tokens";

/**
 * What a network learns to give for a sample: one of the named classes, values of a shape ([] for one number), a class for each
 * position of a shape, the sample itself, or nothing that the data says (`none`), where a teacher says it.
 */
export type LabelType =
  | { readonly kind: "classes"; readonly classes: readonly string[] }
  | { readonly kind: "values"; readonly shape: Shape }
  /** Positions with {@link ignoredLabel} count in neither the loss nor the metric. No class is named where tokens are the classes. */
  | {
      readonly kind: "dense";
      readonly shape: Shape;
      readonly classes: readonly string[];
      readonly meaning: DenseMeaning;
    }
  /** Whether each sample has a label, 0 for a normal one and 1 for an anomaly, which the metric alone sees. */
  | { readonly kind: "input"; readonly hasAnomalies: boolean }
  /** Boxes in an image of this size, of which each cell of the strides' grids finds one or none: see tasks/boxes.ts. */
  | {
      readonly kind: "boxes";
      readonly classes: readonly string[];
      readonly height: number;
      readonly width: number;
      readonly strides: readonly number[];
      /** Boxes that a sample has at most. */
      readonly mostBoxes: number;
    }
  | { readonly kind: "none" };

/** The class number of a position that does not count. */
export const ignoredLabel = -1;

/** What a batch of training data that differ by epoch depends on. */
export interface BatchDraw {
  readonly seed: number;
  readonly epoch: number;
}

/** Buffers for one batch, made once by {@link allocateBatch} and filled again and again. */
export interface Batch {
  readonly samples: SampleArray;
  readonly targets: TargetArray;
}

/** Samples by number, wherever they are kept. */
export interface Dataset {
  /** For messages: `fashion-mnist train`. */
  readonly name: string;
  readonly count: number;
  /** Shape of one sample: [C, H, W] or [F]; the first dimension is the channel that is normalized. */
  readonly sampleShape: Shape;
  readonly sampleType: SampleType;
  /** The network's inputs that a sample holds one after another, where there are several; absent: a sample is one input. */
  readonly inputs?: readonly InputPart[];
  readonly target: LabelType;
  readonly normalization: Normalization;
  /**
   * Copies the samples with these numbers (0..count-1, repeats allowed) to the start of the buffers, in this order.
   *
   * @param draw Of a training batch; absent: for evaluation, where samples are the same each time.
   * @throws ConfigError when a number is out of range or the buffers are too short or of another element type.
   */
  readBatch(indices: Int32Array, into: Batch, draw?: BatchDraw): void;
  /** Makes the samples ready for a coming `readBatch`; absent when they always are. */
  readonly prefetch?: (indices: Int32Array, signal?: AbortSignal) => Promise<void>;
  /** The same samples with what lies around them, for random crops of the samples' own size; absent when nothing does. */
  readonly wide?: WideSamples;
  /** Where a sample lies: `dogs/12.jpg`, or `digits.npz, sample 7`, counted from 0. */
  readonly sampleName?: (index: number) => string;
  /** Names of the columns of a table, in the order of the features. */
  readonly columns?: readonly string[];
  /** Whether these samples were taken out of the only part that there is, at random. */
  readonly isHeldOut?: boolean;
  /** The samples skipped so far because they could not be read, with the reason; absent where that cannot happen. */
  readonly skipped?: () => readonly SkippedSample[];
}

/** Samples before they are cropped. */
export interface WideSamples {
  /** [C, H, W] with H and W at least those of `sampleShape`. */
  readonly shape: Shape;
  /** As the data set's own `readBatch`, and after the same `prefetch`. */
  readBatch(indices: Int32Array, into: Batch): void;
}

/** A sample that could not be read. */
export interface SkippedSample {
  /** Where it lies: `dogs/12.jpg`. */
  readonly name: string;
  readonly reason: string;
}

/** The training part and the test part of a data set. */
export interface DatasetSplits {
  readonly train: Dataset;
  readonly test: Dataset;
}

/** The input of {@link inMemoryDataset}; `count` follows from the lengths. */
export interface InMemoryParts {
  readonly name: string;
  readonly samples: SampleArray;
  readonly sampleShape: Shape;
  readonly targets: TargetArray;
  readonly target: LabelType;
  readonly inputs?: readonly InputPart[];
  /** Measured from these samples when not given; a test part must be given that of its training part. */
  readonly normalization?: Normalization;
}

/**
 * A data set whose samples lie in one array, which is kept and not copied.
 *
 * @throws ConfigError when the lengths contradict, or when a class number is outside the classes.
 *
 * @example
 * const two = inMemoryDataset({
 *   name: "two",
 *   samples: Float32Array.of(0, 1, 2, 3),
 *   sampleShape: [2],
 *   targets: Int32Array.of(0, 1),
 *   target: { kind: "classes", classes: ["low", "high"] },
 * });
 * console.log(two.count); // 2
 */
export function inMemoryDataset(parts: InMemoryParts): Dataset {
  const { name, samples, sampleShape, targets, target } = parts;
  const sampleLength = elementCount(sampleShape);
  const targetLength = targetLengthOf(target);
  const count = sampleLength === 0 ? 0 : samples.length / sampleLength;
  if (count === 0 || !Number.isInteger(count)) {
    throw new ConfigError(
      `${samples.length} elements are not one or more samples of shape [${sampleShape.join(", ")}]`,
      { where: `data set "${name}"` },
    );
  }
  if (targets.length !== count * targetLength) {
    throw new ConfigError(`${count} samples need ${count * targetLength} targets, got ${targets.length}`, {
      where: `data set "${name}"`,
      remedy: "Give as many labels as samples, in the same order.",
    });
  }
  checkTargets(name, targets, target);
  const normalization =
    parts.normalization ?? (samples instanceof Int32Array ? wholeNumbers : measureNormalization(samples, sampleShape));
  const dataset: Dataset = {
    name,
    count,
    sampleShape,
    sampleType: typeOfSamples(samples),
    ...defined({ inputs: parts.inputs }),
    target,
    normalization,
    sampleName: (index) => `${name}, sample ${index}`,
    readBatch(indices, into) {
      checkBatch(dataset, indices, into);
      for (let position = 0; position < indices.length; position++) {
        const index = indices[position] ?? 0;
        const start = index * sampleLength;
        into.samples.set(samples.subarray(start, start + sampleLength), position * sampleLength);
        for (let i = 0; i < targetLength; i++) {
          into.targets[position * targetLength + i] = targets[index * targetLength + i] ?? 0;
        }
      }
    },
  };
  return dataset;
}

/**
 * Buffers for `size` samples of this data set with their targets, zero-filled.
 *
 * @example
 * const batch = allocateBatch(data.train, 8);
 * console.log(batch.samples.length); // 8·28·28 bytes
 */
export function allocateBatch(dataset: Dataset, size: number): Batch {
  return {
    samples: allocateSamples(dataset.sampleType, size * elementCount(dataset.sampleShape)),
    targets: makeTargets(dataset.target, size),
  };
}

/**
 * The first `count` samples as a data set of its own, with the same normalization.
 *
 * @throws ConfigError when it has fewer.
 *
 * @example
 * console.log(firstSamples(data.train, 16).count); // 16
 */
export function firstSamples(dataset: Dataset, count: number): Dataset {
  if (!Number.isInteger(count) || count < 1 || count > dataset.count) {
    throw new ConfigError(`${count} samples were requested, there are ${dataset.count}`, {
      where: `data set "${dataset.name}"`,
      remedy: `Request 1 to ${dataset.count} samples.`,
    });
  }
  if (count === dataset.count) return dataset;
  const part: Dataset = {
    ...dataset,
    count,
    readBatch(indices, into, draw) {
      checkBatch(part, indices, into);
      dataset.readBatch(indices, into, draw);
    },
  };
  return part;
}

/** Returns what a data set has as targets, for messages. */
export function describeTarget({ kind }: LabelType): string {
  const words = {
    classes: "classes",
    values: "values to predict",
    dense: "a class for each position",
    input: "its samples as targets",
    boxes: "boxes to find",
    none: "no labels",
  } as const;
  return words[kind];
}

/** The classes of a classification data set. @throws ConfigError when its targets are others. */
export function classesOf(dataset: Dataset): readonly string[] {
  if (dataset.target.kind === "classes") return dataset.target.classes;
  throw new ConfigError(`this needs classes, but the data has ${describeTarget(dataset.target)}`, {
    where: `data set "${dataset.name}"`,
  });
}

/** Outputs that a network for this data has. @throws ConfigError when the data has no labels that could tell. */
export function outputCountOf(dataset: Dataset): number {
  const { target } = dataset;
  if (target.kind === "input") return elementCount(dataset.sampleShape);
  return target.kind === "values" ? elementCount(target.shape) : classesOf(dataset).length;
}

/** Targets for `count` samples, zero-filled. */
export function makeTargets(target: LabelType, count: number): TargetArray {
  const length = count * targetLengthOf(target);
  return hasWholeTargets(target) ? new Int32Array(length) : new Float32Array(length);
}

/** Whether targets are class numbers, an Int32Array. */
export function hasWholeTargets({ kind }: LabelType): boolean {
  return kind === "classes" || kind === "dense" || kind === "input";
}

/** Elements that each sample has in a target array: 0 where there are no labels. */
export function targetLengthOf(target: LabelType): number {
  if (target.kind === "none") return 0;
  if (target.kind === "input") return target.hasAnomalies ? 1 : 0;
  if (target.kind === "boxes") return boxTargetLength(target);
  return target.kind === "classes" ? 1 : elementCount(target.shape);
}

/** Numbers of each cell (class and four distances) and of each box (corners, class, crowd) in the targets of boxes. */
export const [cellNumbers, boxNumbers] = [5, 6] as const;

/** Returns the number of cells of a detector: of each stride a grid. */
export function cellCount({
  height,
  width,
  strides,
}: {
  readonly height: number;
  readonly width: number;
  readonly strides: readonly number[];
}): number {
  return strides.reduce((sum, stride) => sum + Math.ceil(height / stride) * Math.ceil(width / stride), 0);
}

/** Returns the length of the targets of a sample with boxes. */
function boxTargetLength(target: LabelType & { readonly kind: "boxes" }): number {
  return cellCount(target) * cellNumbers + target.mostBoxes * boxNumbers;
}

/**
 * Checks what every `readBatch` promises to check; for those who write a {@link Dataset} of their own.
 *
 * @param shape That of the samples in the buffer, where it is not the data set's.
 * @throws ConfigError when a number is out of range or the buffers are too short or of another element type.
 */
export function checkBatch(
  dataset: Dataset,
  indices: Int32Array,
  into: Batch,
  shape: Shape = dataset.sampleShape,
): void {
  const where = `data set "${dataset.name}"`;
  const sampleElements = indices.length * elementCount(shape);
  const targetElements = indices.length * targetLengthOf(dataset.target);
  if (typeOfSamples(into.samples) !== dataset.sampleType) {
    throw new ConfigError(`the samples are ${dataset.sampleType}, the buffer for them is not`, { where });
  }
  if (into.targets instanceof Int32Array !== hasWholeTargets(dataset.target)) {
    throw new ConfigError(`the targets are ${dataset.target.kind}, the buffer for them has another element type`, {
      where,
    });
  }
  if (into.samples.length < sampleElements || into.targets.length < targetElements) {
    throw new ConfigError(
      `${indices.length} samples need buffers of ${sampleElements} and ${targetElements} elements, got ${into.samples.length} and ${into.targets.length}`,
      { where, remedy: "Make the buffers with allocateBatch." },
    );
  }
  for (const index of indices) {
    if (index < 0 || index >= dataset.count) {
      throw new ConfigError(`there is no sample ${index}, the last is ${dataset.count - 1}`, { where });
    }
  }
}

function checkTargets(name: string, targets: TargetArray, target: LabelType): void {
  const where = `data set "${name}"`;
  if (targets instanceof Int32Array !== hasWholeTargets(target)) {
    throw new ConfigError("classes come as Int32Array, values as Float32Array", { where });
  }
  if (target.kind === "dense") checkPositions(where, targets, target);
  if (target.kind !== "classes") return;
  const wrong = targets.findIndex((label) => label < 0 || label >= target.classes.length);
  if (wrong >= 0) {
    throw new ConfigError(
      `sample ${wrong} has the label ${targets[wrong]}, there are ${target.classes.length} classes (0..${target.classes.length - 1})`,
      { where },
    );
  }
}

function checkPositions(
  where: string,
  labels: TargetArray,
  { classes, shape }: LabelType & { readonly kind: "dense" },
): void {
  const end = classes.length === 0 ? Number.POSITIVE_INFINITY : classes.length;
  const wrong = labels.findIndex((label) => label !== ignoredLabel && (label < 0 || label >= end));
  if (wrong < 0) return;
  const length = elementCount(shape);
  throw new ConfigError(
    `sample ${Math.floor(wrong / length)}, position ${wrong % length} has the class ${labels[wrong]}, there are ${classes.length} classes`,
    { where },
  );
}
