/**
 * ZIP archives as numpy.savez writes them (PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12, 4.3.16): stored or deflated files.
 *
 * Only the directory is read at first; each file is read on demand, piece by piece, checked against its length and
 * CRC-32, and never unpacked to more than the directory says and deflate can hold. Files that share bytes are refused.
 *
 * By hand, because fflate's unzip does neither: it hands no checksum out, checks none, and allocates what a header claims.
 */
import { Readable } from "node:stream";
import { crc32, createInflateRaw } from "node:zlib";
import { FileFormatError } from "../errors.ts";
import { type ByteChunks, fileChunks, fileSize, readRange } from "./file-bytes.ts";

/** A file in an archive. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes when unpacked. */
  readonly size: number;
  /** Whether it lies unpacked in the archive. */
  readonly isStored: boolean;
  /** Where its bytes begin in the archive. @throws FileFormatError naming the archive and the file. */
  start(): Promise<number>;
  /** The unpacked bytes. @throws FileFormatError naming the archive and the file. */
  chunks(): ByteChunks;
}

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;
const endLength = 22;
const entryLength = 46;
const localLength = 30;
const longestComment = 0xffff;
/** Deflate cannot pack better than this. */
const largestRatio = 1032;
const remedy = "Save it again with numpy.savez.";

/** The files of an archive. @throws FileFormatError naming the path when it is no ZIP archive or a damaged one. */
export async function openZip(path: string): Promise<readonly ZipEntry[]> {
  const fail = (message: string, advice = remedy) => new FileFormatError(message, { where: path, remedy: advice });
  const size = await fileSize(path);
  const tailStart = Math.max(0, size - endLength - longestComment);
  const tail = viewOf(await readRange(path, tailStart, size - tailStart));
  const end = findEnd(tail);
  if (end === undefined) throw fail("it is not a ZIP archive, or it is truncated: its end is missing");
  const count = tail.getUint16(end + 10, true);
  const start = tail.getUint32(end + 16, true);
  if (count === 0xffff || start === 0xffff_ffff) {
    throw fail(
      "archives of more than 4 GiB (ZIP64) are not supported",
      "Save each array with numpy.save instead; .npy files may be of any size.",
    );
  }
  const directoryEnd = tailStart + end;
  if (start > directoryEnd) throw fail("the directory of the archive is damaged at entry 0");
  const bytes = await readRange(path, start, directoryEnd - start);
  const places = readDirectory(bytes, count, path);
  checkOverlaps(places, start, path);
  return places.map((place) => ({
    name: place.name,
    size: place.size,
    isStored: place.method === 0,
    start: () => dataStart(path, place),
    chunks: () => entryChunks(path, place),
  }));
}

interface Place {
  readonly where: string;
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  /** Of the local header. */
  readonly offset: number;
  /** Bytes of the name, which the local header holds again. */
  readonly nameLength: number;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function findEnd(view: DataView): number | undefined {
  for (let at = view.byteLength - endLength; at >= 0; at--) {
    if (view.getUint32(at, true) === endSignature) return at;
  }
  return undefined;
}

function readDirectory(bytes: Uint8Array, count: number, where: string): readonly Place[] {
  const view = viewOf(bytes);
  const places: Place[] = [];
  for (let number = 0, at = 0; number < count; number++) {
    if (at + entryLength > bytes.length || view.getUint32(at, true) !== entrySignature) {
      throw new FileFormatError(`the directory of the archive is damaged at entry ${number}`, { where, remedy });
    }
    const nameLength = view.getUint16(at + 28, true);
    const nameStart = at + entryLength;
    const name = new TextDecoder().decode(bytes.subarray(nameStart, nameStart + nameLength));
    places.push({
      where: `${where}, ${name}`,
      name,
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
      nameLength,
    });
    at = nameStart + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return places;
}

/** @throws FileFormatError where two files share bytes: a small archive would unpack to any size. */
function checkOverlaps(places: readonly Place[], directoryStart: number, where: string): void {
  const sorted = [...places].sort((a, b) => a.offset - b.offset);
  for (const [i, { name, offset, nameLength, packed }] of sorted.entries()) {
    const next = sorted[i + 1];
    const end = offset + localLength + nameLength + packed;
    if (end <= (next?.offset ?? directoryStart)) continue;
    const other = next === undefined ? "the directory" : next.name;
    throw new FileFormatError(`${name} and ${other} overlap in the archive`, { where, remedy });
  }
}

function failure(place: Place, message: string, cause?: unknown): FileFormatError {
  return new FileFormatError(message, { where: place.where, remedy, cause });
}

async function dataStart(path: string, place: Place): Promise<number> {
  const local = viewOf(await readRange(path, place.offset, localLength));
  if (local.getUint32(0, true) !== localSignature) throw failure(place, "its local header is damaged");
  return place.offset + localLength + local.getUint16(26, true) + local.getUint16(28, true);
}

async function* entryChunks(path: string, place: Place): AsyncGenerator<Uint8Array> {
  const { packed, size, method } = place;
  if ((place.flags & 1) !== 0) throw failure(place, "it is encrypted");
  if (method !== 0 && method !== 8) {
    throw failure(place, `it is packed by method ${method}; only stored and deflated files are read`);
  }
  if (method === 8 && size > packed * largestRatio + largestRatio) {
    throw failure(place, `${packed} bytes cannot unpack to ${size}`);
  }
  const raw = fileChunks(path, await dataStart(path, place), packed);
  let [length, crc] = [0, 0];
  for await (const chunk of method === 0 ? raw : inflated(raw, place)) {
    length += chunk.length;
    if (length > size) throw failure(place, `it has more than the ${size} bytes that the directory says`);
    crc = crc32(chunk, crc);
    yield chunk;
  }
  if (length !== size) throw failure(place, `it has ${length} bytes, the directory says ${size}`);
  if (crc !== place.crc) throw failure(place, "its checksum is wrong");
}

async function* inflated(raw: ByteChunks, place: Place): AsyncGenerator<Uint8Array> {
  // Copied, because the stream reads ahead while a piece is only valid until the next one.
  const source = Readable.from(copies(raw), { objectMode: false });
  const stream = createInflateRaw();
  source.on("error", (error) => stream.destroy(error));
  try {
    yield* source.pipe(stream);
  } catch (cause) {
    if (cause instanceof FileFormatError) throw cause;
    throw failure(
      place,
      `the packed data is damaged: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    );
  } finally {
    source.destroy();
    stream.destroy();
  }
}

async function* copies(chunks: ByteChunks): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Uint8Array.from(chunk);
}
