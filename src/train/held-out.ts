/** The test samples of a run, by name, where they were held out of the only part of its data. */
import type { Dataset } from "../data/dataset/dataset.ts";
import { writeFileAtomic } from "../io/atomic-file.ts";
import type { RunPaths } from "../runs/folder.ts";

/** Characters that would make more than one line of a name, or hide it. */
const unprintable = /\p{Cc}|\p{Zl}|\p{Zp}/u;

/** Writes the names, one a line; one with control characters as a JSON text. Nothing where the data has a test part of its own. */
export async function keepTestSamples(paths: Pick<RunPaths, "testSamples">, test: Dataset): Promise<void> {
  const { sampleName } = test;
  if (test.isHeldOut !== true || sampleName === undefined) return;
  const names = Array.from({ length: test.count }, (_, index) => sampleName(index));
  const lines = names.map((name) => (unprintable.test(name) ? JSON.stringify(name) : name));
  await writeFileAtomic(paths.testSamples, `${lines.join("\n")}\n`);
}
