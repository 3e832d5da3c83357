/** A folder with pairs of IDX files as MNIST, KMNIST, EMNIST and QMNIST name them, with or without gzip. */
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { defined } from "../../../base/defined.ts";
import { ConfigError, FileFormatError } from "../../../errors.ts";
import { readNames } from "../../../io/read-bytes.ts";
import type { LoadedData } from "../../dataset/loaded-data.ts";
import type { LabelledDataset } from "../../dataset/subset.ts";
import { mostClasses } from "../../dataset/targets.ts";
import { noNormalization } from "../../normalization/normalization.ts";
import { embeddedFashionMnistFolder, fashionMnistFiles, loadFashionMnist } from "../fashion-mnist.ts";
import { readIdxDataset } from "./dataset.ts";
import { encodeIdx, readIdx, readIdxLabels } from "./idx.ts";

/** `emnist-letters-train-images-idx3-ubyte.gz`, `t10k-labels.idx1-ubyte`, `qmnist-train-labels-idx2-int.gz` */
const namePattern = /^(.*?)[-_.]?(train|t10k|test)[-_](images|labels)[-.](?:idx[13][-.]ubyte|idx2-int)(\.gz)?$/i;

interface IdxFile {
  readonly prefix: string;
  readonly part: "train" | "test";
  readonly role: "images" | "labels";
  readonly file: string;
}

/** Returns whether a file has the name of one of a pair of IDX files. */
export function isIdxName(file: string): boolean {
  return namePattern.test(file);
}

/**
 * Loads the pairs in a folder.
 *
 * @param files Names of the files in the folder.
 * @param classes Names of the classes; `classes.txt`, else the numbers, when not given.
 * @param memoryBytes Limit of the memory for the images of a part.
 * @throws FileFormatError when an image or label file is missing, or ConfigError when there are several data sets.
 */
export async function loadIdxFolder(
  folder: string,
  files: readonly string[],
  classes?: readonly string[],
  memoryBytes?: number,
): Promise<LoadedData> {
  const found = files.flatMap((file) => describeName(file));
  const prefixes = [...new Set(found.map(({ prefix }) => prefix))];
  if (prefixes.length > 1) {
    throw new ConfigError(`the folder holds several data sets of IDX files: ${prefixes.join(", ")}`, {
      where: folder,
      remedy: "Put each in a folder of its own.",
    });
  }
  if (await isFashionMnist(folder, found)) {
    const { train, test } = await loadFashionMnist({ folder });
    return {
      kind: "fashion-mnist",
      train: { dataset: train },
      test: { dataset: test },
      normalization: train.normalization,
      notes: ["Fashion-MNIST, identified by the checksum of its labels"],
    };
  }
  const pairs = new Map<string, { readonly images: string; readonly labels: string }>();
  for (const part of ["train", "test"] as const) {
    const fileOf = (role: string) => found.find((file) => file.part === part && file.role === role)?.file;
    const [images, labels] = [fileOf("images"), fileOf("labels")];
    if (images === undefined && labels === undefined) continue;
    if (images === undefined || labels === undefined) {
      throw new FileFormatError(
        `${images ?? labels} has no matching file of ${images === undefined ? "images" : "labels"}`,
        {
          where: folder,
          remedy: "Put both files of the pair in the folder.",
        },
      );
    }
    pairs.set(part, { images: join(folder, images), labels: join(folder, labels) });
  }
  const names = classes ?? (await readNames(join(folder, "classes.txt"))) ?? (await numbersOf([...pairs.values()]));
  const load = async (part: string): Promise<LabelledDataset | undefined> => {
    const pair = pairs.get(part);
    if (pair === undefined) return undefined;
    const dataset = await readIdxDataset({
      name: `${folder} ${part}`,
      imagesPath: pair.images,
      labelsPath: pair.labels,
      classes: names,
      normalization: noNormalization([1], "uint8"),
      ...defined({ memoryBytes }),
    });
    return { dataset, labels: await readIdxLabels(pair.labels) };
  };
  const [train, test] = [await load("train"), await load("test")];
  const only = train ?? test;
  if (only === undefined) throw new FileFormatError("the folder holds no pair of IDX files", { where: folder });
  const both = train !== undefined && test !== undefined;
  const notes = [`IDX files, ${names.length} classes`];
  // torchvision reads them so too, and most models for EMNIST were trained on them.
  if (/emnist/i.test(prefixes[0] ?? ""))
    notes.push("the images of EMNIST are stored transposed and are read as they are");
  return { kind: "idx", train: only, ...(both ? { test } : {}), notes };
}

function describeName(file: string): IdxFile[] {
  const [, prefix, part, role] = namePattern.exec(file) ?? [];
  if (prefix === undefined || part === undefined || role === undefined) return [];
  return [
    {
      prefix,
      part: part.toLowerCase() === "train" ? "train" : "test",
      role: role.toLowerCase() === "images" ? "images" : "labels",
      file,
    },
  ];
}

/** The classes `0`, `1` and so on, up to the largest label of all parts. */
async function numbersOf(pairs: readonly { readonly labels: string }[]): Promise<readonly string[]> {
  let largest = 0;
  for (const { labels } of pairs) for (const label of await readIdxLabels(labels)) largest = Math.max(largest, label);
  if (largest < mostClasses) return Array.from({ length: largest + 1 }, (_, label) => `${label}`);
  throw new FileFormatError(`a label is ${largest}, class numbers are below ${mostClasses}`, {
    ...defined({ where: pairs[0]?.labels }),
    remedy: "Number the classes from 0.",
  });
}

/** MNIST's relatives share its file names, so the contents decide. */
async function isFashionMnist(folder: string, files: readonly IdxFile[]): Promise<boolean> {
  if (resolve(folder) === resolve(embeddedFashionMnistFolder)) return true;
  const labels = files.find(({ part, role, prefix }) => part === "test" && role === "labels" && prefix === "");
  if (labels === undefined || files.length < 4) return false;
  const known = fashionMnistFiles.find(({ name }) => name.startsWith("t10k-labels"));
  const array = await readIdx(join(folder, labels.file)).catch(() => undefined);
  if (array === undefined || array.shape.length !== 1) return false;
  return createHash("sha256").update(encodeIdx(array)).digest("hex") === known?.sha256;
}
