/** Detects the kind of data at a path by names, or reports why it is unclear. */

import { stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { defined } from "../../base/defined.ts";
import { ConfigError, FileFormatError, InputOutputError } from "../../errors.ts";
import { describeSystemError } from "../../io/system-error.ts";
import { roleOfName } from "../formats/arrays/names.ts";
import { hasRecordings } from "../formats/audio/dataset.ts";
import { findCifar } from "../formats/cifar.ts";
import { findAnnotations } from "../formats/coco/layout.ts";
import { isIdxName } from "../formats/idx/folder.ts";
import { areMaskFolders } from "../formats/masks/layout.ts";
import { isImage, listFolder, shortList } from "../images/list-folder.ts";
import { foreignFormatError, isPickledCifar, pickledCifarFolder } from "./foreign-formats.ts";
import type { DatasetKind } from "./loaded-data.ts";
import { partOfName } from "./part-names.ts";

/** The recognized kind of data, with its files in the folder. */
export interface Recognized {
  readonly kind: DatasetKind;
  readonly folder: string;
  /** Names in the folder; empty where the kind looks for its files itself. */
  readonly files: readonly string[];
}

const expected =
  "Expected a folder of images (a folder for each class, or train/ and val/ with them), CIFAR-10 or CIFAR-100 (binary), " +
  "IDX files (train-images-idx3-ubyte.gz …), x_train.npy and y_train.npy, or a file .npz, .npy, .csv or .jsonl.";

/** Whether a file has the name of JSON lines. */
function isText(file: string): boolean {
  return /\.(jsonl|ndjson)$/i.test(file);
}

/** Whether a file has the name of a table, packed by gzip or not. */
function isTable(file: string): boolean {
  return /\.(csv|tsv)(\.gz)?$/i.test(file);
}

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
  const own: DatasetKind | undefined = isTable(file)
    ? "csv"
    : ending === ".npz"
      ? "npz"
      : ending === ".npy"
        ? "npy"
        : isText(file)
          ? "text"
          : undefined;
  const chosen = kind ?? own;
  if (chosen === "csv" || chosen === "npz" || chosen === "npy" || chosen === "text")
    return { kind: chosen, folder, files: [file] };
  const isPart = isIdxName(file) || ending === ".bin" || isImage(file);
  if (!isPart) throw foreignFormatError([file], path) ?? unknownFile(path, expected);
  throw unknownFile(path, `It seems to be a part of a data set: give its folder, ${folder}.`);
}

function unknownFile(where: string, remedy: string): FileFormatError {
  return new FileFormatError("the format of this file is unknown", { where, remedy });
}

async function recognizeFolder(folder: string, kind: DatasetKind | undefined): Promise<Recognized> {
  const { folders, files } = await listFolder(folder);
  const ending = (...endings: string[]) => files.filter((file) => endings.includes(extname(file).toLowerCase()));
  const found = new Map<DatasetKind, readonly string[]>();
  const idx = files.filter(isIdxName);
  for (const version of ["cifar10", "cifar100"] as const) {
    if ((await findCifar(folder, version)) !== undefined) found.set(version, []);
  }
  if (idx.length > 0) found.set("idx", idx);
  if (ending(".npz").length > 0) found.set("npz", ending(".npz"));
  if (ending(".npy").length > 0) found.set("npy", ending(".npy"));
  const tables = files.filter(isTable);
  if (tables.length > 0) found.set("csv", tables);
  if (files.some(isText)) found.set("text", files.filter(isText));
  // Folders next to arrays or tables are no classes: only where there is nothing else.
  const pickled = pickledCifarFolder(folders);
  if (found.size === 0 && kind === undefined && pickled !== undefined)
    return recognizeFolder(join(folder, pickled), kind);
  if (files.some(isImage) || (found.size === 0 && folders.length > 0 && !isPickledCifar(files)))
    found.set("images", []);
  const isOther = [...found.keys()].some((one) => one !== "images");
  if ((kind === undefined && !isOther) || kind === "coco") {
    if ((await findAnnotations(folder)).length > 0) return { kind: "coco", folder, files: [] };
  }
  if (kind === "audio" || (kind === undefined && !isOther && !files.some(isImage) && (await hasRecordings(folder)))) {
    return { kind: "audio", folder, files: [] };
  }
  if (found.has("images") && found.size === 1 && (kind === undefined || kind === "masks") && (await hasMasks(folder))) {
    return { kind: "masks", folder, files: [] };
  }
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
  if (chosen === "npz" && chosenFiles.length > 1 && !chosenFiles.every(saysRole)) {
    throw new ConfigError(`there are several NPZ files here: ${shortList(chosenFiles)}`, {
      where: folder,
      remedy: "Give the path of one of them.",
    });
  }
  return { kind: chosen, folder, files: chosenFiles };
}

/** Whether a folder, or the folder of a part in it, has images/ and masks/. */
async function hasMasks(folder: string): Promise<boolean> {
  const { folders } = await listFolder(folder);
  if (areMaskFolders(folders)) return true;
  const parts = folders.filter((name) => partOfName(name) !== undefined);
  for (const name of parts) if (areMaskFolders((await listFolder(join(folder, name))).folders)) return true;
  return false;
}

/** Whether the name of an archive says what its only array is for: `kmnist-train-imgs.npz`. */
function saysRole(file: string): boolean {
  return roleOfName(file.replace(/\.npz$/i, ""))?.isWeak === false;
}

function nothingKnown(folder: string, kind: DatasetKind | undefined, names: readonly string[]): FileFormatError {
  const found = names.length === 0 ? "the folder is empty" : `found ${shortList(names)}`;
  const foreign = foreignFormatError(names, folder);
  if (foreign !== undefined) return foreign;
  return new FileFormatError(
    `there is no data of ${kind === undefined ? "a known kind" : `the kind ${kind}`} here: ${found}`,
    {
      where: folder,
      remedy: expected,
    },
  );
}
