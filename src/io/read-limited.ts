/**
 * Files that are read whole, up to a stated size. A path may name a device that never ends, or a file that is nothing of
 * the kind that it is taken for.
 */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { FileFormatError } from "../errors.ts";

const chunkBytes = 2 ** 20;

/**
 * Reads a text file of at most `limit` bytes.
 *
 * @throws FileFormatError for more, or a device; whatever the system throws where it cannot be read.
 */
export async function readTextLimited(path: string, limit: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const stats = await file.stat();
    checkKind(path, stats, limit);
    const parts: Buffer[] = [];
    let length = 0;
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, null);
      if (bytesRead === 0) return Buffer.concat(parts).toString("utf8");
      length += bytesRead;
      if (length > limit) throw tooLong(path, limit);
      parts.push(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

/**
 * Reads a file that is as large as it is.
 *
 * @throws FileFormatError for a device; whatever the system throws where it cannot be read.
 */
export async function readWhole(path: string): Promise<Buffer> {
  checkKind(path, await stat(path), Number.POSITIVE_INFINITY);
  return readFile(path);
}

/** Reads bytes that may come through a pipe; as `readTextLimited` does. */
export function readLimitedSync(path: string, limit: number): Uint8Array {
  const file = openSync(path, "r");
  try {
    checkKind(path, fstatSync(file), limit);
    const parts: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const part = new Uint8Array(chunkBytes);
      const read = readSync(file, part, 0, chunkBytes, null);
      if (read === 0) return Buffer.concat(parts);
      length += read;
      if (length > limit) throw tooLong(path, limit);
      parts.push(part.subarray(0, read));
    }
  } finally {
    closeSync(file);
  }
}

interface Kind {
  readonly size: number;
  isFile(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isDirectory(): boolean;
}

/** Pipes may be given in place of files; a folder is left to the system's own error. */
function checkKind(path: string, kind: Kind, limit: number): void {
  if (kind.isFile() && kind.size > limit) throw tooLong(path, limit);
  if (kind.isFile() || kind.isFIFO() || kind.isSocket() || kind.isDirectory()) return;
  throw new FileFormatError("it is a device, not a file", { where: path, remedy: "Give the path of a file." });
}

function tooLong(path: string, limit: number): FileFormatError {
  const most = limit >= 2 ** 30 ? `${limit / 2 ** 30} GB` : `${limit / 2 ** 20} MB`;
  return new FileFormatError(`it holds more than ${most}, the limit for files of this kind`, {
    where: path,
    remedy: "Check that the path names the right file.",
  });
}
