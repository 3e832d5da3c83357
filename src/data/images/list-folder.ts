/** The contents of folders, and lists of names in messages. */

import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { defined } from "../../base/defined.ts";
import { InputOutputError } from "../../errors.ts";
import { describeSystemError } from "../../io/system-error.ts";
import { imageEndings } from "./decoder.ts";

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
  return { folders: folders.sort(byCodePoints), files: files.sort(byCodePoints) };
}

/** Orders names as Python does; JavaScript's own order differs beyond 16 bits. */
function byCodePoints(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a.charCodeAt(i) === b.charCodeAt(i)) continue;
    return (a.codePointAt(i) ?? 0) - (b.codePointAt(i) ?? 0);
  }
  return a.length - b.length;
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

/** Returns the first names of a list and the number of the others. */
export function shortList(names: readonly string[], most = 8): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
