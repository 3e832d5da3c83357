/** Tokens to be filled in, masked again in every epoch; in evaluation always the same. */
import { randomStream } from "../../base/random.ts";
import { ConfigError } from "../../errors.ts";
import { elementCount } from "../../ir/types.ts";
import { allocateBatch, checkBatch, type Dataset, makeTargets } from "../dataset/dataset.ts";
import { type Masking, maskTokens } from "./masking.ts";
import { tokenPlaces } from "./token-part.ts";

/** What masking needs to know of the tokens. */
export interface MaskingOptions {
  readonly maskToken?: number;
  /** Default: the largest token of the training part, or the mask token, and one more. */
  readonly vocabulary?: number;
  readonly specialTokens?: readonly number[];
  /** Default 0.15. */
  readonly maskShare?: number;
}

const usualShare = 0.15;
const readAtOnce = 256;

/**
 * Returns the masking of a data set's tokens.
 *
 * @throws ConfigError without a mask token.
 */
export async function maskingOf(dataset: Dataset, options: MaskingOptions): Promise<Masking> {
  const { maskToken, specialTokens = [], maskShare = usualShare } = options;
  if (maskToken === undefined) {
    throw new ConfigError("the task maskedTokens needs the number of the mask token", {
      where: "data.maskToken",
      remedy: "Give it (103 for BERT's English vocabulary), or a tokenizer's file with data.tokenizer.",
    });
  }
  const vocabulary = options.vocabulary ?? Math.max(maskToken, await largestToken(dataset)) + 1;
  return { maskToken, vocabulary, special: new Set([maskToken, ...specialTokens]), share: maskShare };
}

async function largestToken(dataset: Dataset): Promise<number> {
  const { tokens } = tokenPlaces(dataset, "maskedTokens");
  const [length, size] = [elementCount(dataset.sampleShape), Math.min(readAtOnce, dataset.count)];
  const batch = allocateBatch(dataset, size);
  let largest = 0;
  for (let first = 0; first < dataset.count; first += size) {
    const indices = Int32Array.from({ length: Math.min(size, dataset.count - first) }, (_, i) => first + i);
    await dataset.prefetch?.(indices);
    dataset.readBatch(indices, batch);
    for (let sample = 0; sample < indices.length; sample++) {
      const start = sample * length + tokens.start;
      for (let i = start; i < start + elementCount(tokens.shape); i++)
        largest = Math.max(largest, batch.samples[i] ?? 0);
    }
  }
  return largest;
}

/**
 * Returns the data set with masked tokens as samples and the tokens themselves as targets. A sample of a training batch is masked by
 * the seed, the epoch and its number, whatever batch it is in; in evaluation by its number alone.
 *
 * @throws ConfigError where the samples hold no tokens.
 */
export function maskedTokens(dataset: Dataset, masking: Masking): Dataset {
  const { tokens, attention } = tokenPlaces(dataset, "maskedTokens");
  const [length, count] = [elementCount(dataset.sampleShape), elementCount(tokens.shape)];
  const masked: Dataset = {
    ...dataset,
    target: { kind: "dense", shape: tokens.shape, classes: [], meaning: "masked tokens" },
    readBatch(indices, into, draw) {
      checkBatch(masked, indices, into);
      dataset.readBatch(indices, { samples: into.samples, targets: makeTargets(dataset.target, indices.length) }, draw);
      const labels = new Int32Array(count);
      indices.forEach((index, position) => {
        const row = position * length;
        const place = (part: { readonly start: number }) =>
          into.samples.subarray(row + part.start, row + part.start + count);
        const random =
          draw === undefined
            ? randomStream(0, "masked evaluation", index)
            : randomStream(draw.seed, "masked", draw.epoch, index);
        maskTokens(place(tokens), labels, masking, random, attention && place(attention));
        into.targets.set(labels, position * count);
      });
    },
  };
  return masked;
}
