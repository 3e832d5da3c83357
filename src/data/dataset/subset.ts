/** Subsets of data sets, and the split into a training and a validation part. */

import { type RandomStream, randomStream } from "../../base/random.ts";
import { ConfigError } from "../../errors.ts";
import type { Shape } from "../../ir/types.ts";
import { type Batch, checkBatch, type Dataset, makeTargets } from "./dataset.ts";

/** A data set with the labels of its classes, where they are known without reading the samples. */
export interface LabelledDataset {
  readonly dataset: Dataset;
  readonly labels?: Int32Array;
}

/** Returns the samples with these numbers, in this order, as a data set. Copies nothing. */
export function subset(whole: LabelledDataset, chosen: Int32Array, name: string): LabelledDataset {
  const { dataset, labels } = whole;
  const mapped = (indices: Int32Array) => indices.map((index) => chosen[index] ?? 0);
  const { prefetch, wide, sampleName } = dataset;
  const part: Dataset = {
    ...dataset,
    name,
    count: chosen.length,
    readBatch(indices, into, draw) {
      checkBatch(part, indices, into);
      dataset.readBatch(mapped(indices), into, draw);
    },
    ...(prefetch === undefined
      ? {}
      : { prefetch: (indices: Int32Array, signal?: AbortSignal) => prefetch(mapped(indices), signal) }),
    ...(sampleName === undefined ? {} : { sampleName: (index: number) => sampleName(chosen[index] ?? 0) }),
    ...(wide === undefined
      ? {}
      : {
          wide: {
            shape: wide.shape,
            readBatch(indices: Int32Array, into: Batch) {
              checkBatch(part, indices, into, wide.shape);
              wide.readBatch(mapped(indices), into);
            },
          },
        }),
  };
  return { dataset: part, ...(labels === undefined ? {} : { labels: labelsOf(labels, chosen) }) };
}

/** Returns the same samples without targets: for distillation, or to measure the value of labels. */
export function withoutLabels(dataset: Dataset): Dataset {
  const { wide } = dataset;
  const unlabelled = (readBatch: Dataset["readBatch"], shape?: Shape) => (indices: Int32Array, into: Batch) => {
    checkBatch(part, indices, into, shape);
    readBatch(indices, { samples: into.samples, targets: makeTargets(dataset.target, indices.length) });
  };
  const part: Dataset = {
    ...dataset,
    target: { kind: "none" },
    readBatch: unlabelled(dataset.readBatch),
    ...(wide === undefined ? {} : { wide: { ...wide, readBatch: unlabelled(wide.readBatch, wide.shape) } }),
  };
  return part;
}

function labelsOf(labels: Int32Array, chosen: Int32Array): Int32Array {
  return chosen.map((index) => labels[index] ?? 0);
}

/**
 * Holds out a random share of the samples for validation, the same for the same seed. Each class gives the same share,
 * rounded to whole samples, and keeps at least one sample for training.
 *
 * @param fraction Above 0 and below 1.
 * @throws ConfigError when a part would be empty.
 */
export function splitForValidation(
  whole: LabelledDataset,
  fraction: number,
  seed: number,
): { readonly train: LabelledDataset; readonly test: LabelledDataset } {
  const { dataset, labels } = whole;
  const { count, name } = dataset;
  if (!(fraction > 0 && fraction < 1)) {
    throw new ConfigError(`a validation split of ${fraction} is not possible`, {
      remedy: "Give a share above 0 and below 1, for example 0.2, or 0 to validate on the training samples.",
    });
  }
  const isValidation = new Uint8Array(count);
  if (labels === undefined) {
    markShare(
      isValidation,
      Int32Array.from({ length: count }, (_, i) => i),
      fraction,
      randomStream(seed, "validation"),
    );
  } else {
    for (const [label, members] of membersOf(labels)) {
      markShare(isValidation, members, fraction, randomStream(seed, "validation", label));
    }
  }
  // Where every class is too small for its share, at least one sample must still be held out.
  if (!isValidation.includes(1) && count > 1) {
    const chosen = Math.max(1, Math.round(count * fraction));
    for (const index of randomStream(seed, "validation").permutation(count).subarray(0, chosen))
      isValidation[index] = 1;
  }
  const numbers = (part: number) =>
    Int32Array.from(isValidation.keys()).filter((index) => (isValidation[index] ?? 0) === part);
  const [train, test] = [numbers(0), numbers(1)];
  if (train.length === 0 || test.length === 0) {
    throw new ConfigError(`${count} samples are too few to hold out a share of ${fraction} for validation`, {
      where: `data set "${name}"`,
      remedy: "Add samples, provide a separate validation part, or choose another share.",
    });
  }
  const held = subset(whole, test, `${name} validation`);
  return {
    train: subset(whole, train, `${name} train`),
    test: { ...held, dataset: { ...held.dataset, isHeldOut: true } },
  };
}

/** Returns `count` random samples in their original order, the same for the same seed. */
export function randomSubset(whole: LabelledDataset, count: number, seed: number): LabelledDataset {
  const { dataset } = whole;
  if (!Number.isInteger(count) || count < 1 || count > dataset.count) {
    throw new ConfigError(`${count} samples were requested, there are ${dataset.count}`, {
      where: `data set "${dataset.name}"`,
      remedy: `Request 1 to ${dataset.count} samples.`,
    });
  }
  if (count === dataset.count) return whole;
  const chosen = randomStream(seed, "limit").permutation(dataset.count).slice(0, count).sort();
  return subset(whole, chosen, dataset.name);
}

/** Returns the numbers of the samples of each class. */
function membersOf(labels: Int32Array): Map<number, Int32Array> {
  const lists = new Map<number, number[]>();
  labels.forEach((label, index) => {
    const list = lists.get(label);
    if (list === undefined) lists.set(label, [index]);
    else list.push(index);
  });
  return new Map([...lists].map(([label, list]) => [label, Int32Array.from(list)]));
}

function markShare(marks: Uint8Array, members: Int32Array, fraction: number, stream: RandomStream): void {
  const wanted = Math.min(members.length - 1, Math.max(Math.round(members.length * fraction), 0));
  for (const index of stream.shuffle(members).subarray(0, Math.max(0, wanted))) marks[index] = 1;
}
