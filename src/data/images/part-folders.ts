/**
 * Finds the folders of the training, validation and test part by their names: `train/` and `val/`, but also
 * `training_set/` and `test_set/`, or `images_train/` and `images_valid/`.
 *
 * A class may be called `train` too (next to `bus` and `car`). So a folder is a part where its counterpart lies next to
 * it or where it has folders of its own; else it is a class like the others.
 */
import { join } from "node:path";
import { defined } from "../../base/defined.ts";
import { FileFormatError } from "../../errors.ts";
import { isOnlyPartName, type PartName, partOfName } from "../dataset/part-names.ts";
import { isImage, listFolder, shortList } from "./list-folder.ts";

/** Where the parts of a folder of images lie. */
export interface PartLayout {
  /** The folder itself, or the only folder in it. */
  readonly root: string;
  /** Name of the folder of the training part; undefined where the root is the only part. */
  readonly train?: string;
  readonly test?: string;
  readonly notes: readonly string[];
}

interface Child {
  readonly name: string;
  readonly part: PartName | undefined;
  /** Whether images lie directly in it. */
  readonly hasImages: boolean;
  /** Names of the folders in it. */
  readonly folders: readonly string[];
}

/** Folders beyond this number are not looked into, unless they are called like a part: they are classes. */
const mostFolders = 64;

/** Finds the parts of a folder. @throws FileFormatError when several folders may be the same part. */
export async function findPartFolders(folder: string): Promise<PartLayout> {
  const { folders, files } = await listFolder(folder);
  const children = await Promise.all(folders.map((name, number) => look(folder, name, number < mostFolders)));
  const [only] = children;
  if (only !== undefined && children.length === 1 && only.part === undefined && !files.some(isImage)) {
    const inner = await lookInside(folder, only);
    if (inner !== undefined) return inner;
  }
  return layoutOf(folder, children);
}

async function look(folder: string, name: string, isNear: boolean): Promise<Child> {
  const part = partOfName(name);
  if (part === undefined && !isNear) return { name, part, hasImages: true, folders: [] };
  const { folders, files } = await listFolder(join(folder, name));
  return { name, part, hasImages: files.some(isImage), folders };
}

/** A single folder that holds several is what an archive was unpacked to, not a class. */
async function lookInside(folder: string, only: Child): Promise<PartLayout | undefined> {
  if (only.hasImages || only.folders.length < 2) return undefined;
  const inner = await findPartFolders(join(folder, only.name));
  return { ...inner, notes: [`${only.name}/ is the only folder in ${folder}: it is read instead`, ...inner.notes] };
}

function layoutOf(root: string, children: readonly Child[]): PartLayout {
  const filled = children.filter(({ hasImages, folders }) => hasImages || folders.length > 0);
  const ofPart = (part: PartName) => filled.filter((child) => child.part === part);
  const [trains, validations, tests] = [ofPart("train"), ofPart("validation"), ofPart("test")];
  const held = validations.length > 0 ? validations : tests;
  const others = filled.filter(({ part }) => part === undefined);
  const named = [...trains, ...validations, ...tests];
  const haveClasses = named.some(({ folders }) => folders.length > 0);
  const sayOnlyParts = named.every(({ name }) => isOnlyPartName(name));
  if (trains.length === 0 && named.length > 0 && others.length === 0 && haveClasses) return onlyHeldOut(root, named);
  const areParts = held.length > 0 ? haveClasses || sayOnlyParts : sayOnlyParts && (haveClasses || others.length === 0);
  if (trains.length === 0 || !areParts) return { root, notes: suspicions(root, filled, named, others) };
  const train = chosen(root, "training", trains);
  const test = held.length === 0 ? undefined : chosen(root, "held-out", held);
  const unused = filled.filter((child) => child !== train && child !== test);
  const use = test === undefined ? `${train.name}/ is the training part` : `the parts are ${folderList([train, test])}`;
  const notes = unused.length === 0 ? [] : [`${use}; not used: ${folderList(unused)}`];
  return { root, train: train.name, ...defined({ test: test?.name }), notes };
}

/** The layout of parts among which there is none to train on: one of them is taken, several are refused. */
function onlyHeldOut(root: string, named: readonly Child[]): PartLayout {
  const [first, second] = named;
  if (first !== undefined && second === undefined) return { root, train: first.name, notes: [] };
  throw new FileFormatError(`there is no training part next to ${folderList(named)}`, {
    where: root,
    remedy: "Call its folder train, or give the path of the folder to train on.",
  });
}

/** The folder of a part: the only one, or the only one whose name says nothing else. */
function chosen(root: string, part: string, candidates: readonly Child[]): Child {
  const exact = candidates.filter(({ name }) => isOnlyPartName(name));
  const [child, second] = exact.length > 0 ? exact : candidates;
  if (child !== undefined && second === undefined) return child;
  throw new FileFormatError(`several folders look like the ${part} part: ${folderList(candidates)}`, {
    where: root,
    remedy: "Leave one folder for each part: train/ and val/, each with a folder for each class.",
  });
}

/** Notes on folders that are taken for classes though they may be something else. */
function suspicions(
  root: string,
  children: readonly Child[],
  named: readonly Child[],
  others: readonly Child[],
): readonly string[] {
  const notes: string[] = [];
  if (named.length > 0) {
    const kind = named.length === 1 ? "is taken for a class" : "are taken for classes";
    const next = others.length > 0 ? ` next to ${folderList(others)}` : "; call one train/ if they are parts";
    notes.push(`${folderList(named)} ${kind}${next}`);
  }
  const [first] = children;
  const shared = first?.folders.filter((name) => children.every(({ folders }) => folders.includes(name))) ?? [];
  if (children.length < 2 || shared.length < 2) return notes;
  const inner = shortList(shared.map((name) => `${name}/`));
  notes.push(
    shared.every((name) => partOfName(name) !== undefined)
      ? `every class folder holds ${inner}, which look like parts: their images are taken together`
      : `every class folder holds ${inner}, which look like the classes; then give the path of one, ${join(root, first?.name ?? "")}`,
  );
  return notes;
}

function folderList(children: readonly Child[]): string {
  return shortList(children.map(({ name }) => `${name}/`));
}
