/** Samples of the test part that lie in the training part too: accuracy on them says little. */
import { createHash } from "node:crypto";
import type { Dataset, DatasetSplits } from "../../data/dataset/dataset.ts";
import { readEvenly } from "./fingerprint.ts";

/** Fewer repeated samples are usual: small tables, and blank images. */
const notedShare = 0.1;
const fewestRepeated = 5;

/**
 * Returns a note where a tenth of the test samples, and five at least, also lie in the training part, value by value. Of data in memory all
 * samples are compared up to 256 MiB, of images up to 1,024 of each part.
 *
 * @throws what the data set throws when its samples cannot be read.
 */
export async function notesOnOverlap({ train, test }: DatasetSplits): Promise<string[]> {
  const known = new Set(await hashesOf(train));
  const tested = await hashesOf(test);
  const repeated = tested.filter((hash) => known.has(hash)).length;
  if (repeated < Math.max(fewestRepeated, notedShare * tested.length)) return [];
  const all = repeated === tested.length ? "all" : `${repeated} of`;
  return [
    `${all} ${tested.length} test samples ${tested.length < test.count ? "that were compared " : ""}also lie in the training part: ` +
      "the test accuracy is too good",
  ];
}

async function hashesOf(dataset: Dataset): Promise<string[]> {
  const hashes: string[] = [];
  await readEvenly(dataset, (samples, _targets, count) => {
    const length = samples.length / count;
    for (let index = 0; index < count; index++) {
      const sample = samples.subarray(index * length, (index + 1) * length);
      hashes.push(
        createHash("sha256")
          .update(new Uint8Array(sample.buffer, sample.byteOffset, sample.byteLength))
          .digest("base64"),
      );
    }
  });
  return hashes;
}
