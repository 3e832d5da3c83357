/** What several tests of this room need: a folder of their own, a small data set, an error to look at. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type Dataset, inMemoryDataset } from "../../src/data/dataset/dataset.ts";
import { SubbyteError } from "../../src/errors.ts";

/** A fresh folder that is removed when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "subbyte-data-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Images whose bytes follow from their positions: (sample·31 + offset·7) mod 251 + 1, never 0; label = sample mod 10. */
export function patternedImages(count: number, sampleShape: readonly [number, number, number] = [1, 4, 5]): Dataset {
  const length = sampleShape[0] * sampleShape[1] * sampleShape[2];
  const samples = Uint8Array.from(
    { length: count * length },
    (_, i) => ((Math.floor(i / length) * 31 + (i % length) * 7) % 251) + 1,
  );
  return inMemoryDataset({
    name: "pattern",
    samples,
    sampleShape,
    targets: Int32Array.from({ length: count }, (_, i) => i % 10),
    target: { kind: "classes", classes: Array.from({ length: 10 }, (_, i) => `class ${i}`) },
  });
}

/** A data set of one number per sample, its own index, so that a batch shows which samples it holds. */
export function numberedSamples(count: number): Dataset {
  return inMemoryDataset({
    name: "numbered",
    samples: Float32Array.from({ length: count }, (_, i) => i),
    sampleShape: [1],
    targets: Int32Array.from({ length: count }, (_, i) => i % 3),
    target: { kind: "classes", classes: ["a", "b", "c"] },
  });
}

/** The deliberate error that this throws or rejects with; fails when there is none or it is another kind of error. */
export async function errorOf(action: () => unknown): Promise<SubbyteError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof SubbyteError) return error;
    throw error;
  }
  throw new Error("expected an error");
}
