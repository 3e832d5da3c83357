/** Detects the kind of data at a path by names, or reports why it is unclear. */

import { stat } from "node:fs/promises";
import { basename, dirname, extname } from "node:path";
import { defined } from "../../base/defined.ts";
import { ConfigError, FileFormatError, InputOutputError } from "../../errors.ts";
import { describeSystemError } from "../../io/system-error.ts";
import { findCifar, pickledCifarFiles } from "../formats/cifar.ts";
import { isIdxName } from "../formats/idx/folder.ts";
import { isImage, listFolder, shortList } from "../images/list-folder.ts";
import type { DatasetKind } from "./loaded-data.ts";

/** The recognized kind of data, with its files in the folder. */
export interface Recognized {
  readonly kind: DatasetKind;
  readonly folder: string;
  /** Names in the folder; empty where the kind looks for its files itself. */
  readonly files: readonly string[];
}

const expected =
  "Expected a folder of images (a folder for each class, or train/ and val/ with them), CIFAR-10 or CIFAR-100 (binary), " +
  "IDX files (train-images-idx3-ubyte.gz …), x_train.npy and y_train.npy, or a file .npz, .npy or .csv.";

const tableEndings = [".csv", ".tsv"];

/**
 * Recognises a file or folder.
 *
 * @param kind What it must be; recognised when not given.
 * @throws InputOutputError when there is nothing; FileFormatError or ConfigError saying what was found and expected.
 */
export async function recognize(path: string, kind?: DatasetKind): Promise<Recognized> {
  const entry = await stat(path).catch((cause: unknown) => {
    const { reason, remedy } = describeSystemError(cause);
    throw new InputOutputError(`the data cannot be read: ${reason}`, {
      where: path,
      ...defined({ remedy }),
      cause,
    });
  });
  if (entry.isDirectory()) return recognizeFolder(path, kind);
  if (entry.isFile()) return recognizeFile(path, kind);
  throw new FileFormatError("it is neither a file nor a folder", { where: path, remedy: expected });
}

function recognizeFile(path: string, kind: DatasetKind | undefined): Recognized {
  const [folder, file] = [dirname(path), basename(path)];
  const ending = extname(file).toLowerCase();
  const own: DatasetKind | undefined = tableEndings.includes(ending)
    ? "csv"
    : ending === ".npz"
      ? "npz"
      : ending === ".npy"
        ? "npy"
        : undefined;
  const chosen = kind ?? own;
  if (chosen === "csv" || chosen === "npz" || chosen === "npy") return { kind: chosen, folder, files: [file] };
  const isPart = isIdxName(file) || ending === ".bin" || isImage(file);
  const isArchive = /\.(zip|tar|tgz|gz|bz2|xz|7z|rar)$/i.test(file) && !isIdxName(file);
  throw new FileFormatError("the format of this file is unknown", {
    where: path,
    remedy: isPart
      ? `It seems to be a part of a data set: give its folder, ${folder}.`
      : isArchive
        ? "Unpack the archive and give the folder."
        : expected,
  });
}

async function recognizeFolder(folder: string, kind: DatasetKind | undefined): Promise<Recognized> {
  const { folders, files } = await listFolder(folder);
  const ending = (...endings: string[]) => files.filter((file) => endings.includes(extname(file).toLowerCase()));
  const cifar = await findCifar(folder);
  const found = new Map<DatasetKind, readonly string[]>();
  const idx = files.filter(isIdxName);
  if (cifar !== undefined) found.set(cifar.kind, []);
  if (idx.length > 0) found.set("idx", idx);
  if (ending(".npz").length > 0) found.set("npz", ending(".npz"));
  if (ending(".npy").length > 0) found.set("npy", ending(".npy"));
  if (ending(...tableEndings).length > 0) found.set("csv", ending(...tableEndings));
  // Folders next to arrays or tables are no classes: only where there is nothing else.
  if (files.some(isImage) || (found.size === 0 && folders.length > 0 && !isPickledCifar(files)))
    found.set("images", []);
  if (kind === "images" || kind === "fashion-mnist") return { kind, folder, files: [] };
  const chosen = kind ?? [...found.keys()][0];
  const chosenFiles = chosen === undefined ? undefined : found.get(chosen);
  if (chosen === undefined || chosenFiles === undefined) throw nothingKnown(folder, kind, [...folders, ...files]);
  if (kind === undefined && found.size > 1) {
    throw new ConfigError(`there are several kinds of data here: ${[...found.keys()].join(", ")}`, {
      where: folder,
      remedy: `Choose one with data.kind, for example data.kind=${chosen}, or give the path of a file.`,
    });
  }
  if (chosen === "npz" && chosenFiles.length > 1) {
    throw new ConfigError(`there are several NPZ files here: ${shortList(chosenFiles)}`, {
      where: folder,
      remedy: "Give the path of one of them.",
    });
  }
  return { kind: chosen, folder, files: chosenFiles };
}

function isPickledCifar(files: readonly string[]): boolean {
  return pickledCifarFiles.some((name) => files.includes(name));
}

function nothingKnown(folder: string, kind: DatasetKind | undefined, names: readonly string[]): FileFormatError {
  const found = names.length === 0 ? "the folder is empty" : `found ${shortList(names)}`;
  if (isPickledCifar(names)) {
    return new FileFormatError("this is the pickled Python version of CIFAR, which is not supported", {
      where: folder,
      remedy: "Unpack the binary version: cifar-10-binary.tar.gz or cifar-100-binary.tar.gz.",
    });
  }
  return new FileFormatError(
    `there is no data of ${kind === undefined ? "a known kind" : `the kind ${kind}`} here: ${found}`,
    {
      where: folder,
      remedy: expected,
    },
  );
}
