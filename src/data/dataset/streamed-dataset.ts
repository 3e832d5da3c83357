/** A data set that reads its samples when a batch needs them: images that are decoded, arrays larger than memory. */
import { availableParallelism } from "node:os";
import { elementCount, type Shape } from "../../ir/types.ts";
import { centerCrop, copyCrop } from "../crop.ts";
import { type Batch, checkBatch, type Dataset, type TargetArray, targetLengthOf } from "./dataset.ts";
import { type SampleSource, SampleStore } from "./sample-store.ts";

/** Memory that the samples of a part may take when nothing is said: 1 GiB. */
export const defaultMemoryBytes: number = 2 ** 30;

/** The input of {@link streamedDataset}. */
export interface StreamedParts extends Pick<Dataset, "name" | "sampleType" | "target" | "normalization"> {
  readonly source: SampleSource;
  /** Shape of what the source loads. */
  readonly storedShape: Shape;
  /** Shape of a sample: that which is loaded, or a smaller [C, H, W] that is cropped from it. */
  readonly sampleShape: Shape;
  readonly targets: TargetArray;
  /** Samples known not to be readable, by number. */
  readonly skipped?: ReadonlyMap<number, string>;
  readonly memoryBytes?: number;
  /** Samples read at the same time; the number of processor cores when not given. */
  readonly concurrency?: number;
}

/**
 * A data set over a source. `prefetch` must be awaited before `readBatch`, as the batches of batches.ts do.
 *
 * Evaluation and training without random crops see the middle of each stored sample; `wide` gives the whole.
 */
export function streamedDataset(parts: StreamedParts): Dataset {
  const { name, source, sampleType, storedShape, sampleShape, targets, target, normalization } = parts;
  const store = new SampleStore(source, {
    memoryBytes: parts.memoryBytes ?? defaultMemoryBytes,
    concurrency: parts.concurrency ?? Math.max(2, availableParallelism()),
  });
  for (const [index, reason] of parts.skipped ?? []) store.skip(index, reason);
  const targetLength = targetLengthOf(target);
  const storedLength = elementCount(storedShape);
  const sampleLength = elementCount(sampleShape);
  const place = centerCrop(storedShape, sampleShape);
  const isCropped = storedLength !== sampleLength;

  const copyTargets = (from: number, position: number, into: Batch) => {
    for (let i = 0; i < targetLength; i++) {
      into.targets[position * targetLength + i] = targets[from * targetLength + i] ?? 0;
    }
  };
  const readWhole = (indices: Int32Array, into: Batch) => {
    checkBatch(dataset, indices, into, storedShape);
    indices.forEach((number, position) => {
      const { samples, index } = store.get(number);
      into.samples.set(samples, position * storedLength);
      copyTargets(index, position, into);
    });
  };
  const readMiddle = (indices: Int32Array, into: Batch) => {
    checkBatch(dataset, indices, into);
    indices.forEach((number, position) => {
      const { samples, index } = store.get(number);
      const to = { samples: into.samples, shape: sampleShape, start: position * sampleLength };
      copyCrop({ samples, shape: storedShape, start: 0 }, to, place);
      copyTargets(index, position, into);
    });
  };
  const dataset: Dataset = {
    name,
    count: source.count,
    sampleShape,
    sampleType,
    target,
    normalization,
    readBatch: isCropped ? readMiddle : readWhole,
    prefetch: (indices, signal) => store.prefetch(indices, signal),
    skipped: () => store.skipped(),
    sampleName: (index) => source.name(index),
    ...(isCropped ? { wide: { shape: storedShape, readBatch: readWhole } } : {}),
  };
  return dataset;
}
