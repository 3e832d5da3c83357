/**
 * Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv:1708.07747): 28x28 grey images of ten kinds of clothing, 60,000 to train
 * on and 10,000 to test on.
 *
 * A part of it (the first 12,000 and 2,000, see data/fashion-mnist/README.md) comes with the package, so that the first
 * training run needs no network; the full set is read from a folder or fetched.
 */

import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { defined } from "../../base/defined.ts";
import { InterruptedError } from "../../errors.ts";
import { makeWritableFolder } from "../../io/atomic-file.ts";
import { type DownloadProgress, downloadVerified } from "../../io/download.ts";
import { type DatasetSplits, firstSamples } from "../dataset/dataset.ts";
import type { Normalization } from "../normalization/normalization.ts";
import { findIdxFile, readIdxDataset } from "./idx/dataset.ts";
import { encodeIdx, readIdx } from "./idx/idx.ts";

/** The names of the labels 0..9. */
export const fashionMnistClasses: readonly string[] = [
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
];

/**
 * Mean and standard deviation of the 60,000 training images, used for every part, so that a network trained on one part
 * of the data can be evaluated on another.
 */
export const fashionMnistNormalization: Normalization = {
  scale: 1 / 255,
  mean: [0.2860405969887955],
  std: [0.35302424451492254],
};

/** The folder with the part that comes with the package. */
export const embeddedFashionMnistFolder: string = fileURLToPath(
  new URL("../../../data/fashion-mnist/", import.meta.url),
);

/** One of the four files of the full set. */
export interface FashionMnistFile {
  /** Without `.gz`. */
  readonly name: string;
  /** Of the unpacked contents: the official and Debian's packed files differ in their gzip headers alone. */
  readonly sha256: string;
  /** Of the official packed file. */
  readonly packedBytes: number;
}

/** The full set; the contents were checked against the MD5 sums in the official README. */
export const fashionMnistFiles: readonly FashionMnistFile[] = [
  {
    name: "train-images-idx3-ubyte",
    sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    packedBytes: 26_421_880,
  },
  {
    name: "train-labels-idx1-ubyte",
    sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    packedBytes: 29_515,
  },
  {
    name: "t10k-images-idx3-ubyte",
    sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    packedBytes: 4_422_102,
  },
  {
    name: "t10k-labels-idx1-ubyte",
    sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    packedBytes: 5_148,
  },
];

/** URLs of the full set, tried in this order. */
export const fashionMnistSources: readonly string[] = [
  "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
  "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
];

/** Describes how to install the files without a download. */
function byHand(folder: string): string {
  const names = fashionMnistFiles.map(({ name }) => `${name}.gz`).join(", ");
  return (
    `put the four files (${names}) in ${resolve(folder)} by hand, ` +
    "or use the folder of Debian's package dataset-fashion-mnist, /usr/share/datasets/fashion-mnist."
  );
}

/** What to load; by default all of the embedded part. */
export interface FashionMnistOptions {
  /** A folder with the four files, packed or plain; the embedded part when not given. */
  readonly folder?: string;
  /** Number of training images to load, the first ones; default: all. */
  readonly trainCount?: number;
  /** Number of test images to load, the first ones; default: all. */
  readonly testCount?: number;
}

/**
 * Loads Fashion-MNIST into memory: samples [1, 28, 28] of bytes, ten classes.
 *
 * @throws FileFormatError naming a missing or damaged file; ConfigError when a count exceeds what there is.
 *
 * @example
 * const { train, test } = await loadFashionMnist({ trainCount: 64, testCount: 32 });
 * console.log(train.sampleShape, test.count); // [1, 28, 28] 32
 */
export async function loadFashionMnist(options: FashionMnistOptions = {}): Promise<DatasetSplits> {
  const folder = options.folder ?? embeddedFashionMnistFolder;
  const load = async (part: "train" | "test", prefix: "train" | "t10k", count: number | undefined) => {
    const remedy =
      options.folder === undefined
        ? "Install subbyte again: the part that comes with it is incomplete."
        : `Fetch the files with \`subbyte data fetch fashion-mnist\`, or ${byHand(options.folder)}`;
    const [imagesPath, labelsPath] = await Promise.all([
      findIdxFile(folder, `${prefix}-images-idx3-ubyte`, remedy),
      findIdxFile(folder, `${prefix}-labels-idx1-ubyte`, remedy),
    ]);
    const whole = await readIdxDataset({
      name: `fashion-mnist ${part}`,
      imagesPath,
      labelsPath,
      classes: fashionMnistClasses,
      normalization: fashionMnistNormalization,
    });
    return count === undefined ? whole : firstSamples(whole, count);
  };
  const [train, test] = await Promise.all([
    load("train", "train", options.trainCount),
    load("test", "t10k", options.testCount),
  ]);
  return { train, test };
}

/** Progress of a download. */
export interface FashionMnistProgress extends DownloadProgress {
  /** `train-images-idx3-ubyte.gz` */
  readonly file: string;
  /** 0..fileCount-1 */
  readonly fileIndex: number;
  readonly fileCount: number;
}

/** Options of a download. */
export interface FashionMnistFetchOptions {
  readonly onProgress?: (progress: FashionMnistProgress) => void;
  readonly signal?: AbortSignal;
  /** Base URLs instead of {@link fashionMnistSources}. */
  readonly sources?: readonly string[];
}

/** The result for one file. */
export interface FetchedFile {
  readonly path: string;
  /** False when the intact file was there already. */
  readonly downloaded: boolean;
}

/**
 * Downloads the full set into a folder. Intact files are kept. Any other file is downloaded, checked against its SHA-256
 * and only then given its name, so a partial file never remains.
 *
 * @throws InputOutputError naming every URL that failed and why, or the file that cannot be written;
 *   InterruptedError when the signal aborts.
 *
 * @example
 * const fetch = () => fetchFashionMnist("data/fashion-mnist"); // downloads four files; needs a network
 * console.log(typeof fetch); // function
 */
export async function fetchFashionMnist(
  folder: string,
  options: FashionMnistFetchOptions = {},
): Promise<readonly FetchedFile[]> {
  const { onProgress, signal, sources = fashionMnistSources } = options;
  await makeWritableFolder(folder);
  const fetched: FetchedFile[] = [];
  for (const [fileIndex, file] of fashionMnistFiles.entries()) {
    if (signal?.aborted) throw new InterruptedError("the download was stopped");
    const present = await findRightFile(folder, file);
    if (present !== undefined) {
      fetched.push({ path: present, downloaded: false });
      continue;
    }
    const path = join(folder, `${file.name}.gz`);
    await downloadVerified({
      urls: sources.map((source) => `${source.replace(/\/*$/, "/")}${file.name}.gz`),
      path,
      sha256: file.sha256,
      expectedBytes: file.packedBytes,
      remedy: `Try again with a network connection, or ${byHand(folder)}`,
      ...defined({ signal }),
      ...(onProgress === undefined
        ? {}
        : {
            onProgress: (progress: DownloadProgress) =>
              onProgress({ ...progress, file: `${file.name}.gz`, fileIndex, fileCount: fashionMnistFiles.length }),
          }),
    });
    fetched.push({ path, downloaded: true });
  }
  return fetched;
}

/** Returns the path of this file in the folder, packed or plain, when its contents are intact. */
async function findRightFile(folder: string, file: FashionMnistFile): Promise<string | undefined> {
  try {
    const path = await findIdxFile(folder, file.name, "");
    const contents = encodeIdx(await readIdx(path));
    return createHash("sha256").update(contents).digest("hex") === file.sha256 ? path : undefined;
  } catch {
    // Missing or damaged: it is fetched again.
    return undefined;
  }
}
