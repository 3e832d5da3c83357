/**
 * CIFAR-10 and CIFAR-100 in their binary version (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
 * 2009; layout: the page of the data set, "Binary version"): records of one label byte (CIFAR-100: a coarse and a fine
 * one), then 3072 bytes, three planes of 32x32.
 *
 * By hand: the records have no header at all.
 */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { FileFormatError } from "../../errors.ts";
import { readBytes, readNames } from "../../io/read-bytes.ts";
import { type Dataset, inMemoryDataset } from "../dataset/dataset.ts";
import type { LoadedData } from "../dataset/loaded-data.ts";
import { noNormalization } from "../dataset/normalization.ts";
import type { LabelledDataset } from "../dataset/subset.ts";

interface CifarVersion {
  readonly kind: "cifar10" | "cifar100";
  readonly title: string;
  readonly trainFiles: readonly string[];
  readonly testFile: string;
  /** Label bytes of a record; the last one counts. */
  readonly labelBytes: number;
  readonly classCount: number;
  readonly namesFile: string;
  readonly archive: string;
  /** The folder in the archive. */
  readonly folder: string;
}

const versions: readonly CifarVersion[] = [
  {
    kind: "cifar10",
    title: "CIFAR-10",
    trainFiles: [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`),
    testFile: "test_batch.bin",
    labelBytes: 1,
    classCount: 10,
    namesFile: "batches.meta.txt",
    archive: "cifar-10-binary.tar.gz",
    folder: "cifar-10-batches-bin",
  },
  {
    kind: "cifar100",
    title: "CIFAR-100",
    trainFiles: ["train.bin"],
    testFile: "test.bin",
    labelBytes: 2,
    classCount: 100,
    namesFile: "fine_label_names.txt",
    archive: "cifar-100-binary.tar.gz",
    folder: "cifar-100-binary",
  },
];

const sampleShape = [3, 32, 32] as const;
const imageBytes = 3 * 32 * 32;

/** The names of a CIFAR-10 without its file of names. */
const cifar10Names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/** Files that mark a folder as the pickled Python version, which is not supported. */
export const pickledCifarFiles: readonly string[] = ["data_batch_1", "test_batch", "batches.meta"];

/** The kind and folder of the CIFAR files in a folder, or in the archive's own folder in it; undefined without any. */
export async function findCifar(
  folder: string,
  kind?: "cifar10" | "cifar100",
): Promise<{ readonly kind: "cifar10" | "cifar100"; readonly folder: string } | undefined> {
  for (const version of versions.filter((candidate) => kind === undefined || candidate.kind === kind)) {
    for (const place of [folder, join(folder, version.folder)]) {
      for (const name of [...version.trainFiles, version.testFile]) {
        if (await exists(join(place, name))) return { kind: version.kind, folder: place };
      }
    }
  }
  return undefined;
}

/**
 * Loads the binary version from a folder into memory: samples [3, 32, 32] of bytes.
 *
 * @throws FileFormatError naming a file that is missing, truncated, or holds a label out of range.
 */
export async function loadCifar(kind: "cifar10" | "cifar100", folder: string): Promise<LoadedData> {
  const found = await findCifar(folder, kind);
  const version = versions.find((candidate) => candidate.kind === kind);
  if (found === undefined || version === undefined) {
    throw new FileFormatError(`there are no files of ${version?.title ?? kind} here`, {
      where: folder,
      remedy: `Unpack ${version?.archive} and name the folder ${version?.folder}.`,
    });
  }
  const names = await readNames(join(found.folder, version.namesFile));
  const numbers = Array.from({ length: version.classCount }, (_, label) => `${label}`);
  const fallback = kind === "cifar10" ? cifar10Names : numbers;
  const classes = names?.length === version.classCount ? names : fallback;
  const read = (part: string, files: readonly string[]) =>
    readPart(version, `${version.title} ${part}`, found.folder, files, classes);
  return {
    kind,
    train: await read("train", version.trainFiles),
    test: await read("test", [version.testFile]),
    notes: [`${version.title}, binary version`],
  };
}

async function readPart(
  version: CifarVersion,
  name: string,
  folder: string,
  files: readonly string[],
  classes: readonly string[],
): Promise<LabelledDataset> {
  const recordBytes = version.labelBytes + imageBytes;
  const parts: Uint8Array[] = [];
  for (const file of files) {
    const path = join(folder, file);
    const bytes = await readBytes(path);
    if (bytes.length === 0 || bytes.length % recordBytes !== 0) {
      throw new FileFormatError(
        `${bytes.length} bytes are not a whole number of records of ${recordBytes} bytes; the file is truncated or damaged`,
        { where: path, remedy: `Unpack ${version.archive} again.` },
      );
    }
    checkLabels(version, bytes, path);
    parts.push(bytes);
  }
  const count = parts.reduce((sum, bytes) => sum + bytes.length / recordBytes, 0);
  const samples = new Uint8Array(count * imageBytes);
  const labels = new Int32Array(count);
  let sample = 0;
  for (const bytes of parts) {
    for (let start = 0; start < bytes.length; start += recordBytes, sample++) {
      labels[sample] = bytes[start + version.labelBytes - 1] ?? 0;
      samples.set(bytes.subarray(start + version.labelBytes, start + recordBytes), sample * imageBytes);
    }
  }
  const dataset: Dataset = inMemoryDataset({
    name,
    samples,
    sampleShape,
    targets: labels,
    target: { kind: "classes", classes },
    normalization: noNormalization(sampleShape, "uint8"),
  });
  return { dataset, labels };
}

function checkLabels(version: CifarVersion, bytes: Uint8Array, path: string): void {
  const recordBytes = version.labelBytes + imageBytes;
  for (let start = 0, record = 0; start < bytes.length; start += recordBytes, record++) {
    const label = bytes[start + version.labelBytes - 1] ?? 0;
    if (label < version.classCount) continue;
    throw new FileFormatError(
      `record ${record} has the label ${label}; ${version.title} has labels from 0 to ${version.classCount - 1}`,
      { where: path, remedy: `Unpack ${version.archive} again, and check that it is ${version.title}.` },
    );
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
