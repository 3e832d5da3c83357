/**
 * Finds the images in a folder, and their classes and parts by the names of their folders.
 *
 * Three layouts are known: `train/` and `val/` (or `test/`), each with a folder per class; a folder per class; and images
 * without class folders, which have no labels. Names are sorted by code units, as torchvision's ImageFolder sorts them,
 * so that class numbers agree.
 */

import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { defined } from "../../base/defined.ts";
import { FileFormatError, InputOutputError } from "../../errors.ts";
import { describeSystemError } from "../../io/system-error.ts";
import { imageEndings } from "./decoder.ts";

/** The images of one part. */
export interface ImageList {
  readonly folder: string;
  /** Paths below the folder. */
  readonly files: readonly string[];
  /** Sorted names of the class folders; absent where there are none. */
  readonly classes?: readonly string[];
  /** For each file the number of its class; all 0 without classes. */
  readonly labels: Int32Array;
  /** Files left out because their names are not those of images, or because they lie outside of the class folders. */
  readonly otherFiles: number;
}

/** The parts of a folder of images. */
export interface ImageParts {
  readonly train: ImageList;
  readonly test?: ImageList;
  /** Names of the folders that the parts come from, where they do. */
  readonly partFolders: readonly string[];
}

const trainNames: readonly string[] = ["train", "training"];
/** Names of the test part, in order of preference. */
const testNames: readonly string[] = ["val", "valid", "validation", "dev", "test", "testing"];
const deepest = 16;

/** The direct contents of a folder, without hidden files and leftovers of archive programs. */
export interface FolderContents {
  readonly folders: readonly string[];
  readonly files: readonly string[];
}

/** Lists a folder, sorted. @throws InputOutputError naming it. */
export async function listFolder(folder: string): Promise<FolderContents> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    const { reason, remedy } = describeSystemError(cause);
    throw new InputOutputError(`the folder cannot be read: ${reason}`, {
      where: folder,
      ...defined({ remedy }),
      cause,
    });
  });
  const folders: string[] = [];
  const files: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".") || entry.name === "__MACOSX") continue;
    const kind = await kindOf(folder, entry);
    if (kind === "folder") folders.push(entry.name);
    if (kind === "file") files.push(entry.name);
  }
  return { folders: folders.sort(), files: files.sort() };
}

async function kindOf(folder: string, entry: Dirent): Promise<"folder" | "file" | undefined> {
  if (entry.isDirectory()) return "folder";
  if (entry.isFile()) return "file";
  if (!entry.isSymbolicLink()) return undefined;
  const target = await stat(join(folder, entry.name)).catch(() => undefined);
  if (target?.isDirectory() === true) return "folder";
  return target?.isFile() === true ? "file" : undefined;
}

/** Returns whether a file has the name of an image. */
export function isImage(name: string): boolean {
  return imageEndings.includes(extname(name).toLowerCase());
}

/**
 * Finds the images of a folder.
 *
 * @throws FileFormatError when there is none, or when a class folder has none.
 */
export async function findImages(folder: string): Promise<ImageParts> {
  const { folders } = await listFolder(folder);
  const named = (names: readonly string[]) =>
    names.flatMap((name) => folders.filter((found) => found.toLowerCase() === name))[0];
  const [train, test] = [named(trainNames), named(testNames)];
  if (train === undefined) return { train: await listImages(folder), partFolders: [] };
  const trainPart = await listImages(join(folder, train));
  if (test === undefined) return { train: trainPart, partFolders: [train] };
  const testPart = await listImages(join(folder, test), trainPart.classes ?? null);
  return { train: trainPart, test: testPart, partFolders: [train, test] };
}

/**
 * The images of one part.
 *
 * @param known The classes of the training part: other ones are refused, some may be missing. null: it has none.
 */
async function listImages(folder: string, known?: readonly string[] | null): Promise<ImageList> {
  const contents = await listFolder(folder);
  const direct = contents.files.filter(isImage);
  const isFlat = known === null || (known === undefined && contents.folders.length === 0);
  if (isFlat) {
    const found =
      known === null
        ? await collect(folder, "", 0, new Set())
        : { files: direct, other: contents.files.length - direct.length };
    if (found.files.length === 0) throw nothingFound(folder);
    return { folder, files: found.files, labels: new Int32Array(found.files.length), otherFiles: found.other };
  }
  const classes = known ?? contents.folders;
  const unknown = contents.folders.find((name) => !classes.includes(name));
  if (unknown !== undefined) {
    throw new FileFormatError(`the class folder ${unknown} has no counterpart in the training part`, {
      where: folder,
      remedy: `The classes there are ${shortList(classes)}. Add ${unknown} there, or remove it here.`,
    });
  }
  const files: string[] = [];
  const labels: number[] = [];
  let otherFiles = contents.files.length;
  for (const [label, name] of classes.entries()) {
    if (!contents.folders.includes(name)) continue;
    const found = await collect(join(folder, name), name, 0, new Set());
    if (found.files.length === 0) {
      throw new FileFormatError("the class folder has no images", {
        where: join(folder, name),
        remedy: `Put images in it (${imageEndings.join(" ")}) or remove the folder: each folder is a class.`,
      });
    }
    otherFiles += found.other;
    for (const file of found.files) {
      files.push(file);
      labels.push(label);
    }
  }
  if (files.length === 0) throw nothingFound(folder);
  return { folder, files, classes, labels: Int32Array.from(labels), otherFiles };
}

interface Collected {
  readonly files: readonly string[];
  readonly other: number;
}

/** Returns all images in a folder and below it. A folder that links lead back to is visited once. */
async function collect(folder: string, prefix: string, depth: number, seen: Set<string>): Promise<Collected> {
  const real = await realpath(folder);
  if (seen.has(real) || depth > deepest) return { files: [], other: 0 };
  seen.add(real);
  const contents = await listFolder(folder);
  const files = contents.files.filter(isImage).map((name) => join(prefix, name));
  let other = contents.files.length - files.length;
  for (const name of contents.folders) {
    const below = await collect(join(folder, name), join(prefix, name), depth + 1, seen);
    // Not spread into push: a folder may hold more files than a call takes arguments.
    for (const file of below.files) files.push(file);
    other += below.other;
  }
  return { files, other };
}

function nothingFound(folder: string): FileFormatError {
  return new FileFormatError("there are no images in this folder", {
    where: folder,
    remedy: `Expected a folder for each class with ${imageEndings.join(" ")} in it, or such images.`,
  });
}

/** Returns the first names of a list and the number of the others. */
export function shortList(names: readonly string[], most = 8): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/**
 * Returns the error for images none of which can be read. It names the first of the list, because images are decoded
 * concurrently and fail in no fixed order.
 *
 * @param skipped Position in the list → the reason why that image cannot be read.
 */
export function noneReadable(
  { folder, files }: ImageList,
  count: number,
  skipped: ReadonlyMap<number, string>,
): FileFormatError {
  const [place = 0, ...others] = skipped.keys();
  const first = others.reduce((least, other) => Math.min(least, other), place);
  return new FileFormatError(`none of ${count} images can be read; the first: ${skipped.get(first) ?? "unknown"}`, {
    where: join(folder, files[first] ?? ""),
    remedy: "Check that the contents of the files match their names.",
  });
}
