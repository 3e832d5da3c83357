/**
 * Files that are either wholly there or not at all.
 *
 * The data goes to a temporary file in the same folder (a rename is atomic only within one file system), is flushed to
 * the disk, and then takes the name of the old file. A run that is killed in between leaves the old file as it was.
 */

import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describeSystemError } from "../data/system-error.ts";
import { InputOutputError } from "../errors.ts";

/** What can be written: a text, bytes, or bytes in pieces, so that a large file need not be put together in memory. */
export type FileContent = string | Uint8Array | readonly Uint8Array[];

/** The system calls, replaceable where a test needs a disk that is full. */
export interface AtomicFileSystem {
  readonly open: (path: string, flags: string) => Promise<Pick<FileHandle, "writeFile" | "sync" | "close">>;
  readonly rename: (from: string, to: string) => Promise<void>;
}

/** What a failed write means: the file, why, that nothing half-written is left, and what to do. */
export function describeWriteFailure(file: string, cause: unknown): InputOutputError {
  const { reason, remedy } = describeSystemError(cause);
  return new InputOutputError(`cannot write: ${reason}; nothing half-written was left behind`, {
    where: file,
    cause,
    ...(remedy === undefined ? {} : { remedy }),
  });
}

/** Makes the folder's own entry of a renamed file last through a power cut; not every system can, and then it is skipped. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Windows cannot open a folder. The data itself is on the disk by now.
  }
}

async function writeTemporary(path: string, content: FileContent, system: AtomicFileSystem): Promise<void> {
  // "wx" refuses to follow or to overwrite anything that already has the temporary name.
  const handle = await system.open(path, "wx");
  try {
    const pieces = typeof content === "string" || content instanceof Uint8Array ? [content] : content;
    for (const piece of pieces) await handle.writeFile(piece);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes a file so that it is never seen half-written; on failure the old file stays and the temporary one is removed. */
export async function writeFileAtomic(
  file: string,
  content: FileContent,
  system: AtomicFileSystem = { open, rename },
): Promise<void> {
  const folder = dirname(file);
  const temporary = join(folder, `.${basename(file)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    await writeTemporary(temporary, content, system);
    await system.rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw describeWriteFailure(file, cause);
  }
  await syncFolder(folder);
}
