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
import { allocateBytes, checkMemory, fileSize, readRange } from "../../io/file-bytes.ts";
import { readNames } from "../../io/read-bytes.ts";
import { type Dataset, inMemoryDataset } from "../dataset/dataset.ts";
import type { LoadedData } from "../dataset/loaded-data.ts";
import { defaultMemoryBytes } from "../dataset/streamed-dataset.ts";
import type { LabelledDataset } from "../dataset/subset.ts";
import { noNormalization } from "../normalization/normalization.ts";

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
/** Records read at the same time. */
const recordsAtOnce = 256;

/** The names of a CIFAR-10 without its file of names. */
const cifar10Names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

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
 * @param memoryBytes Limit of that memory for each part.
 * @throws FileFormatError naming a file that is missing, truncated, or holds a label out of range.
 */
export async function loadCifar(
  kind: "cifar10" | "cifar100",
  folder: string,
  memoryBytes: number = defaultMemoryBytes,
): Promise<LoadedData> {
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
    readPart(version, `${version.title} ${part}`, found.folder, files, classes, memoryBytes);
  return {
    kind,
    train: await read("train", version.trainFiles),
    test: await read("test", [version.testFile]),
    notes: [
      `${version.title}, binary version`,
      ...(names === undefined || names === classes
        ? []
        : [`${version.namesFile} has ${names.length} names, not ${version.classCount}: it is not used`]),
    ],
  };
}

async function readPart(
  version: CifarVersion,
  name: string,
  folder: string,
  files: readonly string[],
  classes: readonly string[],
  memoryBytes: number,
): Promise<LabelledDataset> {
  const recordBytes = version.labelBytes + imageBytes;
  const counts: number[] = [];
  for (const file of files) {
    const path = join(folder, file);
    if (!(await exists(path))) {
      throw new FileFormatError(`there is no ${file}, which ${version.title} has`, {
        where: folder,
        remedy: `Unpack ${version.archive} again, or give the images of a part as NPZ: x and y.`,
      });
    }
    const bytes = await fileSize(path);
    if (bytes === 0 || bytes % recordBytes !== 0) {
      throw new FileFormatError(
        `${bytes} bytes are not a whole number of records of ${recordBytes} bytes; the file is truncated or damaged`,
        { where: path, remedy: `Unpack ${version.archive} again.` },
      );
    }
    counts.push(bytes / recordBytes);
  }
  const count = counts.reduce((sum, records) => sum + records, 0);
  checkMemory(count * imageBytes, memoryBytes, folder, "Set data.memoryBytes to more, or remove files of records.");
  const samples = allocateBytes(count * imageBytes, folder);
  const labels = new Int32Array(count);
  let sample = 0;
  for (const [number, file] of files.entries()) {
    const path = join(folder, file);
    for (let record = 0; record < (counts[number] ?? 0); record += recordsAtOnce) {
      const records = Math.min(recordsAtOnce, (counts[number] ?? 0) - record);
      const bytes = await readRange(path, record * recordBytes, records * recordBytes);
      for (let start = 0; start < bytes.length; start += recordBytes, sample++) {
        const label = bytes[start + version.labelBytes - 1] ?? 0;
        if (label >= version.classCount) throw wrongLabel(version, label, record + start / recordBytes, path);
        labels[sample] = label;
        samples.set(bytes.subarray(start + version.labelBytes, start + recordBytes), sample * imageBytes);
      }
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

function wrongLabel(version: CifarVersion, label: number, record: number, path: string): FileFormatError {
  return new FileFormatError(
    `record ${record} has the label ${label}; ${version.title} has labels from 0 to ${version.classCount - 1}`,
    { where: path, remedy: `Unpack ${version.archive} again, and check that it is ${version.title}.` },
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
