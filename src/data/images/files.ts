/**
 * Finds the images in a folder, and their classes and parts by the names of their folders.
 *
 * Three layouts are known: folders of parts (part-folders.ts), each with a folder per class; a folder per class; and
 * images without class folders, which have no labels. Names are sorted by code points, as torchvision's ImageFolder sorts them,
 * so that class numbers agree.
 */

import { realpath } from "node:fs/promises";
import { join } from "node:path";
import { FileFormatError } from "../../errors.ts";
import { imageEndings } from "./decoder.ts";
import { isImage, listFolder, shortList } from "./list-folder.ts";
import { findPartFolders } from "./part-folders.ts";

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
  /** Notes on folders that are not used, and on layouts that look like a mistake. */
  readonly notes: readonly string[];
}

const deepest = 16;

/**
 * Finds the images of a folder.
 *
 * @throws FileFormatError when there is none, when a class folder has none, or when its parts are unclear.
 */
export async function findImages(folder: string): Promise<ImageParts> {
  const layout = await findPartFolders(folder);
  const notes = [...layout.notes];
  const partFolders = [layout.train, layout.test].flatMap((name) => name ?? []);
  const trainPart = await listImages(join(layout.root, layout.train ?? ""));
  const held = layout.test === undefined ? undefined : join(layout.root, layout.test);
  if (held === undefined) return { train: trainPart, partFolders, notes };
  if (trainPart.classes !== undefined && (await listFolder(held)).folders.length === 0) {
    notes.push(`${layout.test}/ has no class folders, so no labels: it is not used`);
    return { train: trainPart, partFolders: partFolders.slice(0, 1), notes };
  }
  return { train: trainPart, test: await listImages(held, trainPart.classes ?? null), partFolders, notes };
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
