/** Data as the readers of each kind return it to openDataset, before it is split, limited and normalized. */
import type { Normalization } from "../normalization/normalization.ts";
import type { MaskingOptions } from "../tasks/masked-tokens.ts";
import type { LabelledDataset } from "./subset.ts";

/** The data sets that have names; `fashion-mnist-part` comes with subbyte. */
export const namedDatasets = ["fashion-mnist-part", "fashion-mnist"] as const;

/** Meanings of the dimensions of an array's samples: see ArrayOptions. */
export const arrayLayouts = ["auto", "chw", "hwc", "asIs"] as const;
/** The meaning of the axes of an array. */
export type ArrayLayout = (typeof arrayLayouts)[number];

/** The kinds of data that are read. */
export const datasetKinds = [
  "fashion-mnist",
  "idx",
  "cifar10",
  "cifar100",
  "images",
  "masks",
  "coco",
  "audio",
  "npy",
  "npz",
  "csv",
  "text",
] as const;
/** A format of data on disk. */
export type DatasetKind = (typeof datasetKinds)[number];

/**
 * The learning task: detected from the data (`auto`), class numbers, values to approximate, the sample itself, a class for each
 * token or pixel, boxes in images, tokens that were masked, the token after each, or none.
 */
export const taskNames = [
  "auto",
  "classification",
  "regression",
  "autoencoder",
  "tokenClassification",
  "segmentation",
  "detection",
  "maskedTokens",
  "nextToken",
  "none",
] as const;
/** The learning task of the data. */
export type Task = (typeof taskNames)[number];

/** Whether a task takes its targets from the samples, or none. */
export function isMadeOfSamples(task: Task): boolean {
  return task === "none" || task === "maskedTokens" || task === "nextToken";
}

/** The names that `--task` takes. */
export const taskChoices = [
  "classification",
  "regression",
  "autoencoder",
  "token-classification",
  "segmentation",
  "detection",
  "masked-tokens",
  "next-token",
  "distillation",
] as const;

/** The task of the data for each `--task`. */
export const taskOfChoice: Readonly<Record<(typeof taskChoices)[number], Task>> = {
  classification: "classification",
  regression: "regression",
  autoencoder: "autoencoder",
  "token-classification": "tokenClassification",
  segmentation: "segmentation",
  detection: "detection",
  "masked-tokens": "maskedTokens",
  "next-token": "nextToken",
  distillation: "none",
};

/** Data as stored on disk. */
export interface LoadedData {
  readonly kind: DatasetKind;
  readonly train: LabelledDataset;
  /** Absent when there is one part only, which is then split. */
  readonly test?: LabelledDataset;
  /** The normalization that everyone uses with it, where there is one. */
  readonly normalization?: Normalization;
  /** Whether the samples are stored in random order, so that the first ones are as good as any; default: no. */
  readonly inRandomOrder?: boolean;
  /** What a tokenizer says of masked tokens, where the data has one. */
  readonly masking?: MaskingOptions;
  /** Notes on the data and on decisions about it, for the user. */
  readonly notes: readonly string[];
}
