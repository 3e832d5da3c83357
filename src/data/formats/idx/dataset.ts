/**
 * A classification data set from a pair of IDX files, as MNIST, Fashion-MNIST, KMNIST and EMNIST are published:
 * images [N, H, W] and labels [N].
 */

import { access } from "node:fs/promises";
import { join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { FileFormatError } from "../../../errors.ts";
import { type Dataset, inMemoryDataset } from "../../dataset/dataset.ts";
import { defaultMemoryBytes } from "../../dataset/streamed-dataset.ts";
import type { Normalization } from "../../normalization/normalization.ts";
import { readIdx, readIdxLabels, readIdxShape } from "./idx.ts";

/** Where the pair lies and what it holds. */
export interface IdxPair {
  /** For messages: `fashion-mnist train`. */
  readonly name: string;
  readonly imagesPath: string;
  readonly labelsPath: string;
  readonly classes: readonly string[];
  /** Measured from these images when not given. */
  readonly normalization?: Normalization;
  /** Limit of the memory for the images; default 1 GiB. */
  readonly memoryBytes?: number;
}

/**
 * Reads both files into memory, after their headers were compared; samples become [1, H, W].
 *
 * @throws FileFormatError naming the file that is missing, damaged, of another rank, or contradicts the other one.
 */
export async function readIdxDataset(pair: IdxPair): Promise<Dataset> {
  const { name, imagesPath, labelsPath, classes, normalization } = pair;
  const [shape, labelShape] = [await readIdxShape(imagesPath), await readIdxShape(labelsPath)];
  const [count, height, width] = shape;
  if (shape.length !== 3 || !count || !height || !width) {
    throw new FileFormatError(`expected images [count, height, width], got the shape [${shape.join(", ")}]`, {
      where: imagesPath,
      remedy: "Give a file of images, such as train-images-idx3-ubyte.gz.",
    });
  }
  if (labelShape[0] !== count) {
    throw new FileFormatError(`${labelShape[0]} labels do not fit the ${count} images in ${imagesPath}`, {
      where: labelsPath,
      remedy: "Give labels and images of the same part.",
    });
  }
  const labels = await readIdxLabels(labelsPath);
  const images = await readIdx(imagesPath, pair.memoryBytes ?? defaultMemoryBytes);
  const wrong = labels.findIndex((label) => label < 0 || label >= classes.length);
  if (wrong >= 0) {
    throw new FileFormatError(
      `label ${labels[wrong]} of image ${wrong} is not one of the ${classes.length} classes (0..${classes.length - 1})`,
      { where: labelsPath, remedy: "Replace the file with an undamaged copy." },
    );
  }
  return inMemoryDataset({
    name,
    samples: images.data,
    sampleShape: [1, height, width],
    targets: labels,
    target: { kind: "classes", classes },
    ...defined({ normalization }),
  });
}

/**
 * The path of an IDX file in a folder, packed (`NAME.gz`) or plain (`NAME`), packed first.
 *
 * @throws FileFormatError when there is neither, with this remedy.
 */
export async function findIdxFile(folder: string, name: string, remedy: string): Promise<string> {
  const candidates = [join(folder, `${name}.gz`), join(folder, name)];
  for (const candidate of candidates) {
    if (await exists(candidate)) return candidate;
  }
  throw new FileFormatError(`there is no file ${name}.gz, nor an unpacked ${name}`, { where: folder, remedy });
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
