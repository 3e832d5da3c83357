/**
 * Gzip (RFC 1952): reading checks everything, down to bytes after the end; writing gives the same bytes on every machine.
 */

import { readFile } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { gzipSync } from "fflate";
import { defined } from "../base/defined.ts";
import { FileFormatError } from "../errors.ts";
import { describeSystemError } from "./system-error.ts";

/** Gzip at level 9 without a name and a time: the same bytes on every machine (fflate is plain JavaScript). */
export function pack(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 9, mtime: 0 });
}

/** The bytes of a file, unpacked when they begin as gzip does. @throws FileFormatError naming the file. */
export async function readMaybePacked(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const { reason, remedy } = describeSystemError(cause);
    throw new FileFormatError(`the file cannot be read: ${reason}`, {
      where: path,
      ...defined({ remedy }),
      cause,
    });
  }
  return isGzip(bytes) ? unpack(bytes, path) : bytes;
}

/** Whether the bytes begin as a gzip file does (RFC 1952, section 2.3.1). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Unpacks gzip and checks that nothing follows it. @throws FileFormatError naming `where` when it is damaged. */
export async function unpack(packed: Uint8Array, where: string): Promise<Uint8Array> {
  const remedy = "Replace the file with an undamaged copy.";
  const stream = createGunzip({ chunkSize: 1 << 20 });
  const parts: Uint8Array[] = [];
  stream.end(packed);
  try {
    for await (const part of stream) parts.push(part);
  } catch (cause) {
    const { reason } = describeSystemError(cause);
    throw new FileFormatError(`the gzip data is damaged: ${reason}`, { where, remedy, cause });
  }
  if (stream.bytesWritten < packed.length) {
    throw new FileFormatError(`${packed.length - stream.bytesWritten} bytes follow the gzip data`, { where, remedy });
  }
  return Buffer.concat(parts);
}
