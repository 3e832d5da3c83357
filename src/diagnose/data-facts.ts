/** Facts about the data of a run: what enters the network, and how the classes are distributed. */

import { allocateBatch, type Dataset, type DatasetSplits, type SampleArray } from "../data/dataset/dataset.ts";
import { type Normalization, toChannelAffine } from "../data/normalization/normalization.ts";
import { spacedSamples } from "./sample-choice.ts";

/** What enters the network from one part of the data, after normalization. */
export interface PartFacts {
  readonly count: number;
  /** Mean and standard deviation over all channels, without samples that are {@link outlierFactor} times as large as the others. */
  readonly mean: number;
  readonly deviation: number;
  /** Largest magnitude over all channels. */
  readonly largest: number;
  /** Median over the samples of a sample's own largest magnitude. */
  readonly typicalLargest: number;
  /** Share of the samples that are far larger than the others; absent in what an earlier version measured. */
  readonly outlierShare?: number;
  /** Share of the samples of each class; absent where the data has no classes, or too many for the samples that were looked at. */
  readonly shares?: readonly number[];
  /** Share of the samples that lie in the training part too; of the test part alone. */
  readonly repeated?: number;
}

/** Facts about both parts of the data. */
export interface DataFacts {
  readonly train: PartFacts;
  readonly test: PartFacts;
  /** Mean and deviation of each channel that samples are normalized with; absent in what an earlier version measured. */
  readonly normalization?: Pick<Normalization, "mean" | "std">;
  /** Present where samples enter as they are, being whole numbers or several inputs: their size says nothing. */
  readonly areUnscaled?: true;
}

/** A sample whose largest magnitude is this multiple of the median sample's is an outlier; in ordinary data the ratio is 2 to 4. */
export const outlierFactor = 8;

/** Samples looked at for labels and repetitions where samples lie in memory; others are read for it, images decoded. */
const labelSamples = 4096;
/** Samples looked at for values at least, and values looked at beyond them. */
const valueSamples = 256;
const mostValues = 2 ** 23;
/** Samples of a class that must be expected before a class without any counts as missing: by chance, e^-30 of them would. */
const samplesOfClass = 30;
const readAtOnce = 64;

/** Measures what enters the network on some samples of both parts. */
export async function dataFactsOf({ train, test }: DatasetSplits): Promise<DataFacts> {
  const seen = new Set<string>();
  const trainFacts = await partFacts(train, (digest) => {
    seen.add(digest);
    return false;
  });
  const testFacts = await partFacts(test, (digest) => seen.has(digest));
  const { repeated: _, ...rest } = trainFacts;
  const { mean, std } = train.normalization;
  const areUnscaled = train.sampleType === "int32" || train.inputs !== undefined;
  return { train: rest, test: testFacts, normalization: { mean, std }, ...(areUnscaled ? { areUnscaled } : {}) };
}

async function partFacts(dataset: Dataset, isRepeated: (digest: string) => boolean): Promise<PartFacts> {
  const { multiplier, offset } = toChannelAffine(dataset.normalization);
  const part = spacedSamples(dataset, dataset.prefetch === undefined ? labelSamples : valueSamples);
  const sampleLength = dataset.sampleShape.reduce((product, size) => product * size, 1);
  const valueCount = Math.max(valueSamples, Math.floor(mostValues / sampleLength));
  const valueStride = Math.max(1, Math.floor(part.count / valueCount));
  const { target } = dataset;
  const classes = target.kind === "classes" ? target.classes : [];
  const isCounted = part.count === dataset.count || part.count >= samplesOfClass * classes.length;
  const counts = target.kind === "classes" && isCounted ? classes.map(() => 0) : undefined;
  const seen: { readonly sum: number; readonly squares: number; readonly largest: number }[] = [];
  let repeated = 0;
  for (let start = 0; start < part.count; start += readAtOnce) {
    const size = Math.min(readAtOnce, part.count - start);
    const indices = Int32Array.from({ length: size }, (_, i) => start + i);
    const batch = allocateBatch(part, size);
    await part.prefetch?.(indices);
    part.readBatch(indices, batch);
    const length = batch.samples.length / size;
    const inChannel = length / multiplier.length;
    for (let i = 0; i < size; i++) {
      const label = batch.targets[i] ?? 0;
      if (counts !== undefined) counts[label] = (counts[label] ?? 0) + 1;
      const sample = batch.samples.subarray(i * length, (i + 1) * length);
      if (isRepeated(digestOf(sample))) repeated++;
      if ((start + i) % valueStride !== 0) continue;
      let [sum, squares, largest] = [0, 0, 0];
      sample.forEach((raw, place) => {
        const channel = Math.floor(place / inChannel);
        const value = raw * (multiplier[channel] ?? 1) + (offset[channel] ?? 0);
        sum += value;
        squares += value * value;
        largest = Math.max(largest, Math.abs(value));
      });
      seen.push({ sum, squares, largest });
    }
  }
  const sorted = seen.map(({ largest }) => largest).sort((a, b) => a - b);
  const typicalLargest = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const usual = seen.filter(({ largest }) => !(largest > outlierFactor * typicalLargest));
  const values = usual.length * sampleLength;
  const total = (key: "sum" | "squares") => usual.reduce((all, each) => all + each[key], 0);
  const mean = total("sum") / values;
  return {
    count: dataset.count,
    mean,
    deviation: Math.sqrt(Math.max(0, total("squares") / values - mean * mean)),
    largest: sorted.at(-1) ?? Number.NaN,
    typicalLargest,
    outlierShare: (seen.length - usual.length) / seen.length,
    ...(counts === undefined ? {} : { shares: counts.map((count) => count / part.count) }),
    repeated: repeated / part.count,
  };
}

/** FNV-1a over the bytes, with the length: only equal samples share it, not similar ones. */
function digestOf(sample: SampleArray): string {
  const bytes = new Uint8Array(sample.buffer, sample.byteOffset, sample.byteLength);
  let [a, b] = [0x811c9dc5, 0x9747b28c];
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x5bd1e995) ^ (b >>> 15);
  }
  return `${bytes.length}:${a >>> 0}:${b >>> 0}`;
}
