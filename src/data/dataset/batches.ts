/**
 * The order in which samples are seen.
 *
 * A training batch is a pure function of (seed, epoch, step): nothing is carried from batch to batch, so a run resumed at
 * any step sees what an uninterrupted run would have seen. Evaluation goes through the samples in order.
 */

import { randomStream } from "../../base/random.ts";
import { ConfigError } from "../../errors.ts";
import { makeTensor, type Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import { type Augmentation, augmentSamples, checkAugmentation, cropSamples, isAugmenting } from "../augment.ts";
import { normalize } from "../normalization/normalization.ts";
import { allocateBatch, type Batch, type Dataset, type TargetArray } from "./dataset.ts";
import { allocateSamples, typeOfSamples } from "./sample-type.ts";

/** Batches beyond the one asked for that a data set that streams reads meanwhile. */
const lookAhead = 2;

/** How training batches are made. */
export interface TrainingBatchOptions extends Augmentation {
  readonly seed: number;
  readonly batchSize: number;
}

/** The training batches of every epoch, in any order of asking. */
export interface TrainingBatches {
  readonly batchSize: number;
  /** ⌊count / batchSize⌋: the samples that do not fill a batch sit out this epoch, others the next. */
  readonly stepsPerEpoch: number;
  /** The numbers of the samples in a batch: a view that the next epochs leave alone. @throws ConfigError as `read`. */
  indices(epoch: number, step: number): Int32Array;
  /**
   * Fills the buffers with batch `step` (0..stepsPerEpoch-1) of `epoch` (0 upward), augmented.
   *
   * @throws ConfigError when there is no such batch or the buffers do not fit.
   */
  read(epoch: number, step: number, into: Batch): void;
  /**
   * Prepares the next `read` where the data set streams, and starts to read the batches after it; resolves at once where
   * it does not stream.
   */
  prefetch(epoch: number, step: number, signal?: AbortSignal): Promise<void>;
}

/** The batches that show every sample once, in order. */
export interface EvaluationBatches {
  readonly batchSize: number;
  /** ⌈count / batchSize⌉ */
  readonly stepCount: number;
  /**
   * Fills the buffers with batch `step` (0..stepCount-1), and returns how many of its samples count. The last batch is
   * filled up with its own last sample, whose values an observer has seen anyway.
   *
   * @throws ConfigError when there is no such batch or the buffers do not fit.
   */
  read(step: number, into: Batch): number;
  /** As that of {@link TrainingBatches}. */
  prefetch(step: number, signal?: AbortSignal): Promise<void>;
}

/**
 * Shuffled, augmented batches; the last ones that would not be full are dropped.
 *
 * @example
 * const batches = trainingBatches(data.train, { seed: 1, batchSize: 32, cropPadding: 4, horizontalFlip: true });
 * const buffers = allocateBatch(data.train, batches.batchSize);
 * await batches.read(0, 0, buffers); // epoch 0, step 0
 * console.log(buffers.targets);
 * @throws ConfigError when the batch is larger than the data, or the augmentation does not fit the samples.
 */
export function trainingBatches(dataset: Dataset, options: TrainingBatchOptions): TrainingBatches {
  const { seed, batchSize } = options;
  const where = `data set "${dataset.name}"`;
  checkBatchSize(batchSize, where);
  if (batchSize > dataset.count) {
    throw new ConfigError(`a batch of ${batchSize} is larger than the data, which has ${dataset.count} samples`, {
      where,
      remedy: `Set the batch size to ${dataset.count} or less, or load more data.`,
    });
  }
  checkAugmentation(options, dataset.sampleShape);
  const stepsPerEpoch = Math.floor(dataset.count / batchSize);
  const orderOf = recentOrders(dataset.count, seed);
  // Images that are larger than the samples are cropped themselves; the others are padded first.
  const wide = (options.cropPadding ?? 0) > 0 ? dataset.wide : undefined;
  const original = isAugmenting(options)
    ? allocateBatch(wide === undefined ? dataset : { ...dataset, sampleShape: wide.shape }, batchSize)
    : undefined;

  const indices = (epoch: number, step: number) => {
    checkPosition("epoch", epoch, Number.MAX_SAFE_INTEGER, where);
    checkPosition("step", step, stepsPerEpoch, where);
    return orderOf(epoch).subarray(step * batchSize, (step + 1) * batchSize);
  };
  return {
    batchSize,
    stepsPerEpoch,
    indices,
    read(epoch, step, into) {
      const chosen = indices(epoch, step);
      if (original === undefined) {
        dataset.readBatch(chosen, into, { seed, epoch });
        return;
      }
      const raw: Batch = { samples: original.samples, targets: into.targets };
      checkBuffer(dataset, batchSize, into, where);
      const streams = {
        crop: randomStream(seed, "crop", epoch, step),
        flip: randomStream(seed, "flip", epoch, step),
      };
      if (wide !== undefined) {
        wide.readBatch(chosen, raw);
        cropSamples(raw.samples, wide.shape, into.samples, batchSize, dataset.sampleShape, options, streams);
        return;
      }
      dataset.readBatch(chosen, raw, { seed, epoch });
      augmentSamples(raw.samples, into.samples, batchSize, dataset.sampleShape, options, streams);
    },
    async prefetch(epoch, step, signal) {
      await readAhead(dataset, indices(epoch, step), signal, function* () {
        for (let next = step + 1; next <= step + lookAhead; next++) {
          yield indices(epoch + Math.floor(next / stepsPerEpoch), next % stepsPerEpoch);
        }
      });
    },
  };
}

/** Batches in order, the last one filled up. @throws ConfigError when the batch size is not a positive integer. */
export function evaluationBatches(dataset: Dataset, batchSize: number): EvaluationBatches {
  const where = `data set "${dataset.name}"`;
  checkBatchSize(batchSize, where);
  const stepCount = Math.ceil(dataset.count / batchSize);
  const indices = (step: number) => {
    checkPosition("step", step, stepCount, where);
    return Int32Array.from({ length: batchSize }, (_, i) => Math.min(step * batchSize + i, dataset.count - 1));
  };
  return {
    batchSize,
    stepCount,
    read(step, into) {
      dataset.readBatch(indices(step), into);
      return Math.min(batchSize, dataset.count - step * batchSize);
    },
    async prefetch(step, signal) {
      await readAhead(dataset, indices(step), signal, function* () {
        for (let next = step + 1; next <= step + lookAhead && next < stepCount; next++) yield indices(next);
      });
    },
  };
}

/** A batch of an evaluation. The next one overwrites its buffers. */
export interface EvaluationBatch extends Batch {
  /** The samples as a tensor: [batch, …sampleShape]. */
  readonly data: Tensor;
  readonly step: number;
  /** How many of its samples count. */
  readonly valid: number;
  /** Where the samples are their own targets, which `targets` holds as they enter the network: what is known of each. */
  readonly labels?: TargetArray;
}

/** Reads the batches of an evaluation one after another. @throws ConfigError as evaluationBatches. */
export async function* eachBatch(dataset: Dataset, batchSize: number): AsyncGenerator<EvaluationBatch> {
  const batches = evaluationBatches(dataset, batchSize);
  const batch = allocateBatch(dataset, batchSize);
  const data = makeTensor(dataset.sampleType, [batchSize, ...dataset.sampleShape], batch.samples);
  const reconstruction = dataset.target.kind === "input" ? new Float32Array(batch.samples.length) : undefined;
  for (let step = 0; step < batches.stepCount; step++) {
    await batches.prefetch(step);
    const valid = batches.read(step, batch);
    if (reconstruction === undefined) yield { ...batch, data, step, valid };
    else {
      normalize(batch.samples, dataset.sampleShape, dataset.normalization, reconstruction);
      yield { samples: batch.samples, targets: reconstruction, labels: batch.targets, data, step, valid };
    }
  }
}

/** Permutations by epoch; two are kept, as the end of one epoch already prefetches the start of the next. */
function recentOrders(count: number, seed: number): (epoch: number) => Int32Array {
  const kept = new Map<number, Int32Array>();
  return (epoch) => {
    let order = kept.get(epoch);
    if (order === undefined) {
      order = randomStream(seed, "shuffle", epoch).permutation(count);
      for (const oldest of kept.keys()) {
        if (kept.size < 2) break;
        kept.delete(oldest);
      }
      kept.set(epoch, order);
    }
    return order;
  };
}

function checkBatchSize(batchSize: number, where: string): void {
  if (Number.isSafeInteger(batchSize) && batchSize > 0) return;
  throw new ConfigError(`a batch size of ${batchSize} is not possible`, {
    where,
    remedy: "Set the batch size to a whole number above 0.",
  });
}

function checkPosition(what: string, value: number, end: number, where: string): void {
  if (Number.isSafeInteger(value) && value >= 0 && value < end) return;
  throw new ConfigError(`there is no ${what} ${value}: it must be a whole number from 0 to ${end - 1}`, { where });
}

/** Waits for one batch and leaves those that follow to be read in the background. */
async function readAhead(
  dataset: Dataset,
  present: Int32Array,
  signal: AbortSignal | undefined,
  following: () => Iterable<Int32Array>,
): Promise<void> {
  if (dataset.prefetch === undefined) return;
  const ready = dataset.prefetch(present, signal);
  // What goes wrong with a batch ahead goes wrong again, and is heard of, when that batch is asked for.
  for (const indices of following()) dataset.prefetch(indices, signal).catch(() => undefined);
  await ready;
}

/** The data set checks the buffer that it fills; this is for the one that the augmented samples go to. */
function checkBuffer(dataset: Dataset, batchSize: number, into: Batch, where: string): void {
  const length = batchSize * elementCount(dataset.sampleShape);
  const isOfType = typeOfSamples(into.samples) === dataset.sampleType;
  if (isOfType && into.samples.length >= length) return;
  throw new ConfigError(
    `a batch needs a ${allocateSamples(dataset.sampleType, 0).constructor.name} of ${length} elements, got a ${into.samples.constructor.name} of ${into.samples.length}`,
    { where, remedy: "Make the buffers with allocateBatch." },
  );
}
