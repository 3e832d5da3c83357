/** Notes on data that can be read but is probably not what was intended: classes without samples, values of another range. */
import { shortList } from "../images/list-folder.ts";
import type { Normalization } from "../normalization/normalization.ts";
import { allocateBatch, type Dataset } from "./dataset.ts";
import type { LabelledDataset } from "./subset.ts";

/** Samples that a range is measured from. */
const inspectedSamples = 64;
/** Normalized values beyond this, or closer together than 1 / this, come from statistics of another range. */
const farthest = 20;

/** Returns notes on classes that no sample has. */
export function emptyClassNotes({ dataset, labels }: LabelledDataset): readonly string[] {
  const { target } = dataset;
  if (target.kind !== "classes" || labels === undefined) return [];
  const seen = new Uint8Array(target.classes.length);
  for (const label of labels) seen[label] = 1;
  const empty = target.classes.filter((_, label) => seen[label] === 0);
  if (empty.length === 0) return [];
  const isFromOne = empty.length === 1 && seen[0] === 0 && target.classes.every((name, label) => name === `${label}`);
  if (isFromOne) return ["class 0 has no sample: the labels begin at 1; subtract 1 from them to leave it out"];
  const what = empty.length === 1 ? "class has no sample" : "classes have no sample";
  return [`${empty.length} of ${target.classes.length} ${what} to train on: ${shortList(empty)}`];
}

/** Returns a note where a given normalization does not fit the range of the first samples. */
export async function rangeNotes(
  dataset: Dataset,
  { scale, mean, std }: Normalization,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  // Whole numbers and several inputs have none.
  if (mean.length === 0) return [];
  const count = Math.min(inspectedSamples, dataset.count);
  const batch = allocateBatch(dataset, count);
  const chosen = Int32Array.from({ length: count }, (_, i) => i);
  await dataset.prefetch?.(chosen, signal);
  dataset.readBatch(chosen, batch);
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of batch.samples) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const normalized = mean.flatMap((average, channel) =>
    [least, most].map((value) => (value * scale - average) / (std[channel] ?? 1)),
  );
  const range = `the samples reach from ${round(least * scale)} to ${round(most * scale)}`;
  const isFar = normalized.some((value) => Math.abs(value) > farthest);
  const isNarrow = most > least && mean.every((_, i) => ((most - least) * scale) / (std[i] ?? 1) < 1 / farthest);
  if (!isFar && !isNarrow) return [];
  const outcome = `${round(Math.min(...normalized))} to ${round(Math.max(...normalized))}`;
  return [
    `${range}, which mean ${shortList(mean.map(round))} and std ${shortList(std.map(round))} map to ${outcome}: ` +
      "they seem to be of another range (0..1 or 0..255); scale the samples, or measure the normalization",
  ];
}

function round(value: number): string {
  return `${Number(value.toPrecision(4))}`;
}
