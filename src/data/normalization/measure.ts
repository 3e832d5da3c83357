/** The normalization of a data set: measured from it, well known, given, or none. */

import { defined } from "../../base/defined.ts";
import { randomStream } from "../../base/random.ts";
import { ConfigError, SubbyteError } from "../../errors.ts";
import { allocateBatch, type Dataset } from "../dataset/dataset.ts";
import { ChannelMoments } from "./moments.ts";
import { imageNetStatistics, type Normalization, noNormalization, wholeNumbers } from "./normalization.ts";

/** Mean and std per channel; of bytes divided by 255, or of floats as they are. */
export interface GivenStatistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** How inputs are normalized: measured from the training samples, ImageNet's numbers, not at all, or as given. */
export type NormalizationChoice = "measure" | "imagenet" | "none" | GivenStatistics;

/** Number of random samples to measure in a streaming data set: enough for three digits. */
export const measuredSamples = 1024;

const chunk = 64;

/** Seed of the random samples, and the signal that stops the measurement. */
export interface MeasureOptions {
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/**
 * Returns the normalization of a data set for a choice.
 *
 * @throws ConfigError when it does not fit the channels or holds a standard deviation that is not above 0.
 */
export async function chooseNormalization(
  choice: NormalizationChoice,
  dataset: Dataset,
  options: MeasureOptions,
): Promise<Normalization> {
  const { sampleShape, sampleType } = dataset;
  if (sampleType === "int32" || dataset.inputs !== undefined) {
    if (choice === "none") return wholeNumbers;
    throw new ConfigError(
      `${sampleType === "int32" ? "whole numbers such as tokens" : "samples of several inputs"} are not normalized`,
      { where: "data.normalization", remedy: "Leave it out, or set it to none." },
    );
  }
  if (choice === "measure") return measureDataset(dataset, options);
  const none = noNormalization(sampleShape, sampleType);
  if (choice === "none") return none;
  const { mean, std } = choice === "imagenet" ? imageNetStatistics : choice;
  const name = choice === "imagenet" ? "ImageNet's normalization" : "the normalization";
  const channels = none.mean.length;
  if (mean.length !== channels || std.length !== channels) {
    throw new ConfigError(
      `${name} has ${mean.length} means and ${std.length} stds, the samples have ${channels} channels`,
      {
        where: `data set "${dataset.name}"`,
        remedy:
          channels === 1 ? "Measure it, or give one mean and one std." : `Give ${channels} of each, or measure it.`,
      },
    );
  }
  if (![...mean, ...std].every(Number.isFinite) || !std.every((value) => value > 0)) {
    throw new ConfigError("means must be numbers and stds numbers above 0", { where: "normalization" });
  }
  return { scale: none.scale, mean: [...mean], std: [...std] };
}

/** Measures all samples of a data set in memory, or {@link measuredSamples} of one that streams. */
export async function measureDataset(dataset: Dataset, options: MeasureOptions): Promise<Normalization> {
  const { count, sampleShape, sampleType } = dataset;
  const moments = new ChannelMoments(sampleShape, sampleType);
  const batch = allocateBatch(dataset, Math.min(chunk, count));
  const isSampled = dataset.prefetch !== undefined && count > measuredSamples;
  const numbers = isSampled
    ? randomStream(options.seed, "normalization").permutation(count).slice(0, measuredSamples).sort()
    : Int32Array.from({ length: count }, (_, index) => index);
  const perSample = batch.samples.length / Math.min(chunk, count);
  for (let start = 0; start < numbers.length; start += chunk) {
    const chosen = numbers.subarray(start, start + chunk);
    await dataset.prefetch?.(chosen, options.signal);
    dataset.readBatch(chosen, batch);
    try {
      moments.add(batch.samples.subarray(0, chosen.length * perSample));
    } catch (error) {
      if (!(error instanceof SubbyteError)) throw error;
      throw new ConfigError(error.message, {
        where: `data set "${dataset.name}", samples ${chosen[0]} to ${chosen[chosen.length - 1]}`,
        ...defined({ remedy: error.remedy }),
        cause: error,
      });
    }
  }
  return moments.normalization();
}
