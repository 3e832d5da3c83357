/** A fingerprint of a part of data: whether its samples and labels are still those that a run was trained on. */
import { createHash } from "node:crypto";
import { allocateBatch, type Dataset, type SampleArray, type TargetArray } from "../../data/dataset/dataset.ts";
import { elementCount } from "../../ir/types.ts";

/** The number of samples of a part, and the SHA-256 of what was read of them. */
export interface Fingerprint {
  readonly count: number;
  readonly sha256: string;
}

/** Bytes that are read of samples in memory, and of samples that have to be decoded. */
const mostBytes = { memory: 2 ** 28, streamed: 2 ** 25 };
/** Samples that are decoded at most; of all others the name alone counts. */
const mostDecoded = 1024;
const chunk = 64;

/**
 * Returns the fingerprint of a part. Samples in memory count with their values and labels up to 256 MiB, spread evenly
 * beyond. Of samples that are read when they are needed, at most 1,024 or 32 MiB count so, and all others by their names, which
 * tell the class where it is a folder.
 *
 * @throws what the data set throws when its samples cannot be read.
 *
 * @example
 * const before = await fingerprintOf(data.test);
 * console.log(before.count, before.sha256.length); // 100 64
 */
export async function fingerprintOf(dataset: Dataset): Promise<Fingerprint> {
  const { count, sampleShape, sampleType, target } = dataset;
  const hash = createHash("sha256").update(JSON.stringify([count, sampleShape, sampleType, target]));
  await readEvenly(dataset, (samples, targets) => {
    for (const part of [samples, targets]) hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  });
  const { sampleName } = dataset;
  if (dataset.prefetch !== undefined && sampleName !== undefined) {
    for (let index = 0; index < count; index++) hash.update(`${sampleName(index)}\n`);
  }
  return { count, sha256: hash.digest("hex") };
}

/**
 * Reads samples of a part, spread evenly over it: all in memory up to 256 MiB, and at most 1,024 or 32 MiB of those that are read
 * when they are needed.
 *
 * @param visit Gets some samples with their targets, and how many they are; the arrays are filled again afterwards.
 */
export async function readEvenly(
  dataset: Dataset,
  visit: (samples: SampleArray, targets: TargetArray, count: number) => void,
): Promise<void> {
  const { count, sampleShape, sampleType } = dataset;
  const isStreamed = dataset.prefetch !== undefined;
  const sampleBytes = elementCount(sampleShape) * (sampleType === "uint8" ? 1 : 4);
  const affordable = Math.max(1, Math.floor(mostBytes[isStreamed ? "streamed" : "memory"] / sampleBytes));
  const numbers = evenlySpread(count, Math.min(count, affordable, isStreamed ? mostDecoded : count));
  const size = Math.min(chunk, count);
  const batch = allocateBatch(dataset, size);
  for (let start = 0; start < numbers.length; start += chunk) {
    const chosen = numbers.subarray(start, start + chunk);
    await dataset.prefetch?.(chosen);
    dataset.readBatch(chosen, batch);
    const { samples, targets } = batch;
    visit(
      samples.subarray(0, (samples.length / size) * chosen.length),
      targets.subarray(0, (targets.length / size) * chosen.length),
      chosen.length,
    );
  }
}

/** The numbers of `chosen` of `count` samples, in rising order. */
function evenlySpread(count: number, chosen: number): Int32Array {
  return Int32Array.from({ length: chosen }, (_, index) => Math.floor((index * count) / chosen));
}
