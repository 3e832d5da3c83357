/** Pieces of files, so that a reader takes the memory of what it keeps and not of the file. */

import { type FileHandle, open, stat } from "node:fs/promises";
import { defined } from "../base/defined.ts";
import { FileFormatError, InputOutputError } from "../errors.ts";
import { describeSystemError } from "./system-error.ts";

/** Bytes in pieces. A piece is valid until the next one is requested. */
export type ByteChunks = AsyncIterable<Uint8Array>;

const chunkBytes = 1 << 20;

/** The size of a file in bytes. @throws FileFormatError naming a file that cannot be read or is no regular file. */
export function fileSize(path: string): Promise<number> {
  return withFile(path, async (handle) => (await handle.stat()).size);
}

/** Reads a range of a file. @throws FileFormatError naming a file that cannot be read or is shorter. */
export function readRange(path: string, start: number, length: number): Promise<Uint8Array> {
  return withFile(path, async (handle) => {
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      const { bytesRead } = await handle.read(bytes, filled, length - filled, start + filled);
      if (bytesRead === 0) throw new FileFormatError(`the file is truncated: ${start + filled} bytes`, { where: path });
      filled += bytesRead;
    }
    return bytes;
  });
}

/** The bytes of a range of a file, in order. @throws FileFormatError naming a file that cannot be read or is shorter. */
export async function* fileChunks(path: string, start: number, length: number): AsyncGenerator<Uint8Array> {
  const handle = await checkRegular(path)
    .then(() => open(path, "r"))
    .catch((cause: unknown) => {
      throw cause instanceof FileFormatError ? cause : readFailure(path, cause);
    });
  try {
    const buffer = new Uint8Array(Math.min(chunkBytes, length));
    for (let done = 0; done < length; ) {
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, length - done), start + done);
      if (bytesRead === 0) throw new FileFormatError(`the file is truncated: ${start + done} bytes`, { where: path });
      done += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** Copies pieces into a buffer that has their length. Returns how many bytes came. Stops one piece after the end. */
export async function fillFrom(chunks: ByteChunks | Iterable<Uint8Array>, into: Uint8Array): Promise<number> {
  let filled = 0;
  for await (const chunk of chunks) {
    if (filled < into.length) into.set(chunk.subarray(0, into.length - filled), filled);
    filled += chunk.length;
    if (filled > into.length) break;
  }
  return filled;
}

/**
 * Checks the memory that a header asks for, before it is taken.
 *
 * @param most Limit in bytes; `key` raises it.
 * @throws FileFormatError naming the file.
 */
export function checkMemory(bytes: number, most: number, where: string, remedy: string): void {
  if (bytes <= most) return;
  throw new FileFormatError(`it needs ${describeBytes(bytes)} of memory, the limit is ${describeBytes(most)}`, {
    where,
    remedy,
  });
}

/** Allocates bytes. @throws InputOutputError naming `where` when there is not enough memory. */
export function allocateBytes(length: number, where: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new InputOutputError(`there is not enough memory for ${describeBytes(length)}`, { where, cause });
  }
}

/** `1.5 GB`, in powers of 1000. */
function describeBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

/** A pipe that nobody writes to would be waited for as soon as it is opened. */
async function checkRegular(path: string): Promise<void> {
  const found = await stat(path);
  if (found.isFile()) return;
  throw new FileFormatError(found.isDirectory() ? "it is a folder, not a file" : "it is not a regular file", {
    where: path,
    remedy: "Give the path of a file.",
  });
}

async function withFile<T>(path: string, action: (handle: FileHandle) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    await checkRegular(path);
    handle = await open(path, "r");
    return await action(handle);
  } catch (cause) {
    throw cause instanceof FileFormatError ? cause : readFailure(path, cause);
  } finally {
    await handle?.close();
  }
}

function readFailure(path: string, cause: unknown): FileFormatError {
  const { reason, remedy } = describeSystemError(cause);
  return new FileFormatError(`the file cannot be read: ${reason}`, { where: path, ...defined({ remedy }), cause });
}
