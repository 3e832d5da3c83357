/**
 * Gzip (RFC 1952): reading checks everything, down to bytes after the end; writing gives the same bytes on every machine.
 */

import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { gzipSync } from "fflate";
import { FileFormatError } from "../errors.ts";
import { fileChunks, fileSize, readRange } from "./file-bytes.ts";
import { describeSystemError } from "./system-error.ts";

/** Gzip at level 9 without a name and a time: the same bytes on every machine (fflate is plain JavaScript). */
export function pack(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 9, mtime: 0 });
}

/**
 * The bytes of a file in pieces, unpacked when they begin as gzip does. Nothing is read beyond what is asked for.
 *
 * @throws FileFormatError naming a file that cannot be read, is damaged, or has bytes after the gzip data.
 */
export async function* maybePackedChunks(path: string): AsyncGenerator<Uint8Array> {
  const size = await fileSize(path);
  const raw = fileChunks(path, 0, size);
  if (!(await contentSize(path)).isPacked) {
    yield* raw;
    return;
  }
  const source = Readable.from(copies(raw), { objectMode: false });
  const stream = createGunzip();
  source.on("error", (error) => stream.destroy(error));
  try {
    yield* source.pipe(stream);
    checkRest(size - stream.bytesWritten, path);
  } catch (cause) {
    throw cause instanceof FileFormatError ? cause : damaged(path, cause);
  } finally {
    source.destroy();
    stream.destroy();
  }
}

/** Deflate cannot pack better than this. */
const largestRatio = 1032;

/** Returns the size of a file's contents: exactly of one that is not packed, else the most that it may unpack to. */
export async function contentSize(path: string): Promise<{ readonly isPacked: boolean; readonly bytes: number }> {
  const size = await fileSize(path);
  const isPacked = isGzip(await readRange(path, 0, Math.min(2, size)));
  return { isPacked, bytes: isPacked ? size * largestRatio : size };
}

/** Whether the bytes begin as a gzip file does (RFC 1952, section 2.3.1). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Unpacked bytes of one download: far beyond every data set that is fetched. */
const mostUnpacked = 2 ** 30;

/** Unpacks gzip and checks that nothing follows it. @throws FileFormatError naming `where` when it is damaged. */
export async function unpack(packed: Uint8Array, where: string): Promise<Uint8Array> {
  const stream = createGunzip({ chunkSize: 1 << 20 });
  const parts: Uint8Array[] = [];
  let length = 0;
  stream.end(packed);
  try {
    for await (const part of stream) {
      parts.push(part);
      length += part.length;
      if (length > mostUnpacked) throw new FileFormatError(`it unpacks to more than ${mostUnpacked} bytes`, { where });
    }
  } catch (cause) {
    throw cause instanceof FileFormatError ? cause : damaged(where, cause);
  }
  checkRest(packed.length - stream.bytesWritten, where);
  return Buffer.concat(parts);
}

const remedy = "Replace the file with an undamaged copy.";

function damaged(where: string, cause: unknown): FileFormatError {
  return new FileFormatError(`the gzip data is damaged: ${describeSystemError(cause).reason}`, {
    where,
    remedy,
    cause,
  });
}

function checkRest(bytes: number, where: string): void {
  if (bytes > 0) throw new FileFormatError(`${bytes} bytes follow the gzip data`, { where, remedy });
}

async function* copies(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  // The stream reads ahead, while a piece is only valid until the next one.
  for await (const chunk of chunks) yield Uint8Array.from(chunk);
}
