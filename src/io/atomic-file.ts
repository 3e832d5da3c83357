/**
 * Files that are either wholly there or not at all.
 *
 * The data goes to a temporary file in the same folder (a rename is atomic only within one file system), is flushed to
 * the disk, and then takes the name of the old file. A run that is killed in between leaves the old file as it was, and the
 * temporary file, which {@link removeTemporaries} removes later.
 */

import { randomUUID } from "node:crypto";
import { access, constants, type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { defined } from "../base/defined.ts";
import { InputOutputError } from "../errors.ts";
import { isAlive } from "./processes.ts";
import { describeSystemError } from "./system-error.ts";

/** The content of a file: a text, bytes, or chunks of bytes, so that a large file need not be assembled in memory. */
export type FileContent =
  | string
  | Uint8Array
  | Iterable<Uint8Array>
  | (() => AsyncIterable<Uint8Array> | Iterable<Uint8Array>);

/** The system calls, replaceable where a test needs a disk that is full. */
export interface AtomicFileSystem {
  readonly open: (path: string, flags: string) => Promise<Pick<FileHandle, "writeFile" | "sync" | "close">>;
  readonly rename: (from: string, to: string) => Promise<void>;
}

/** Describes a failed write: the file, the reason, that no partial file is left, and the remedy. */
export function describeWriteFailure(file: string, cause: unknown): InputOutputError {
  return writeError(file, "cannot write", "; no partial file was left behind", cause);
}

/**
 * Writes a file so that it is never seen half-written; on failure the old file stays and the temporary one is removed.
 * Its folder must be there: a run whose folder was taken away does not come back in pieces.
 *
 * @param content Pieces that an async function makes are written as they come; what it throws is thrown on as it is.
 * @throws InputOutputError naming the file when it cannot be written.
 */
export async function writeFileAtomic(
  file: string,
  content: FileContent,
  system: AtomicFileSystem = { open, rename },
): Promise<void> {
  const folder = dirname(file);
  const temporary = temporaryName(file);
  try {
    await writeTemporary(temporary, content, system);
    await system.rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if (cause instanceof ContentError) throw cause.cause;
    throw describeWriteFailure(file, cause);
  }
  await syncFolder(folder);
}

/** The name of a temporary file: `.metrics.jsonl.4711.0b1c….part`, with the number of the process that writes it. */
const temporaryPattern = /^\..+\.(\d+)\.[\da-f-]{36}\.part$/s;

/** Makes a name for what is to become a file, in the same folder. */
export function temporaryName(file: string): string {
  return join(dirname(file), `.${basename(file)}.${process.pid}.${randomUUID()}.part`);
}

/** Whether a file of this name is a temporary one. */
export function isTemporary(name: string): boolean {
  return temporaryPattern.test(name);
}

/** Whether a file of this name is a temporary one whose process is gone, so that nobody will finish it. */
export function isAbandoned(name: string): boolean {
  const [, pid] = temporaryPattern.exec(name) ?? [];
  return pid !== undefined && !isAlive(Number(pid));
}

/**
 * Removes the temporary files that processes which were killed left in a folder. What cannot be read or removed stays: it
 * costs space, nothing else.
 *
 * @param options.recursive Whether to look into the folders in it too.
 */
export async function removeTemporaries(folder: string, options: { readonly recursive?: boolean } = {}): Promise<void> {
  const { recursive = false } = options;
  const entries = await readdir(folder, { withFileTypes: true, recursive }).catch(() => []);
  const abandoned = entries.filter((entry) => entry.isFile() && isAbandoned(entry.name));
  await Promise.all(abandoned.map(({ parentPath, name }) => rm(join(parentPath, name)).catch(() => undefined)));
}

/** As {@link writeFileAtomic}, and makes the folder where needed. */
export async function writeFileWithFolder(file: string, content: FileContent): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
  } catch (cause) {
    throw describeWriteFailure(file, cause);
  }
  await writeFileAtomic(file, content);
}

/** Makes a folder and those around it where needed. @throws InputOutputError naming the folder. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    throw writeError(folder, "cannot make the folder", "", cause);
  }
}

/** Removes a file where there is one. @throws InputOutputError naming the file. */
export async function removeFile(file: string): Promise<void> {
  try {
    await rm(file, { force: true });
  } catch (cause) {
    throw writeError(file, "cannot remove", "", cause);
  }
}

/**
 * Makes a folder where needed and checks that files can be put there, before work is spent on them.
 *
 * @throws InputOutputError naming the folder.
 */
export async function makeWritableFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (cause) {
    throw writeError(folder, "files cannot be written to this folder", "", cause);
  }
}

/** An error of the code that produces the content, as opposed to one of the disk. */
class ContentError extends Error {}

async function writeTemporary(path: string, content: FileContent, system: AtomicFileSystem): Promise<void> {
  // "wx" refuses to follow or to overwrite anything that already has the temporary name.
  const handle = await system.open(path, "wx");
  try {
    if (typeof content === "string" || content instanceof Uint8Array) await handle.writeFile(content);
    else if (typeof content !== "function") for (const piece of content) await handle.writeFile(piece);
    else for await (const piece of guarded(content)) await handle.writeFile(piece);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function* guarded(make: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* make();
  } catch (cause) {
    throw new ContentError("the content could not be produced", { cause });
  }
}

function writeError(path: string, what: string, after: string, cause: unknown): InputOutputError {
  const { reason, remedy } = describeSystemError(cause);
  return new InputOutputError(`${what}: ${reason}${after}`, {
    where: path,
    ...defined({ remedy }),
    cause,
  });
}

/** Makes the rename itself last through a power cut; not every system can flush a folder, and then it is skipped. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Windows refuses to open folders; the data itself is on the disk by now.
  }
}
