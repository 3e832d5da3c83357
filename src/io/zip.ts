/**
 * ZIP archives as numpy.savez writes them (PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12, 4.3.16): stored or deflated files.
 *
 * Only what the central directory lists is read, each file on demand, checked against its length and CRC-32,
 * and never unpacked to more than the directory says and deflate can hold.
 *
 * By hand, because fflate's unzip does neither: it hands no checksum out, checks none, and allocates what a header claims.
 */
import { crc32, inflateRawSync } from "node:zlib";
import { FileFormatError } from "../errors.ts";

/** A file in an archive. */
export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  /** The unpacked bytes. @throws FileFormatError naming the archive and the file. */
  read(): Uint8Array;
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

/** The files of an archive. @throws FileFormatError naming `where` when it is no ZIP archive or a damaged one. */
export function readZip(archive: Uint8Array, where: string): readonly ZipEntry[] {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  const end = findEnd(view);
  if (end === undefined) {
    throw new FileFormatError("it is not a ZIP archive, or it is truncated: its end is missing", { where, remedy });
  }
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (count === 0xffff || at === 0xffff_ffff) {
    throw new FileFormatError("archives of more than 4 GiB (ZIP64) are not supported", {
      where,
      remedy: "Save each array with numpy.save instead; .npy files may be of any size.",
    });
  }
  const entries: ZipEntry[] = [];
  for (let number = 0; number < count; number++) {
    if (at + entryLength > end || view.getUint32(at, true) !== entrySignature) {
      throw new FileFormatError(`the directory of the archive is damaged at entry ${number}`, { where, remedy });
    }
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const next = at + entryLength + (nameLength ?? 0) + (extraLength ?? 0) + (commentLength ?? 0);
    const nameStart = at + entryLength;
    const name = new TextDecoder().decode(archive.subarray(nameStart, nameStart + (nameLength ?? 0)));
    const place: Place = {
      where: `${where}, ${name}`,
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    };
    entries.push({ name, size: place.size, read: () => unpackEntry(archive, view, place) });
    at = next;
  }
  return entries;
}

interface Place {
  readonly where: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  /** Of the local header. */
  readonly offset: number;
}

function findEnd(view: DataView): number | undefined {
  const last = view.byteLength - endLength;
  for (let at = last; at >= Math.max(0, last - longestComment); at--) {
    if (view.getUint32(at, true) === endSignature) return at;
  }
  return undefined;
}

function unpackEntry(archive: Uint8Array, view: DataView, place: Place): Uint8Array {
  const { where, packed, size, offset } = place;
  const fail = (message: string, cause?: unknown) => new FileFormatError(message, { where, remedy, cause });
  if ((place.flags & 1) !== 0) throw fail("it is encrypted");
  if (offset + localLength > archive.length || view.getUint32(offset, true) !== localSignature) {
    throw fail("its local header is damaged");
  }
  const start = offset + localLength + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  if (start + packed > archive.length) throw fail("it is truncated");
  const bytes = archive.subarray(start, start + packed);
  let plain: Uint8Array;
  if (place.method === 0) plain = bytes;
  else if (place.method !== 8)
    throw fail(`it is packed by method ${place.method}; only stored and deflated files are read`);
  else if (size > packed * largestRatio + largestRatio) throw fail(`${packed} bytes cannot unpack to ${size}`);
  else plain = inflate(bytes, size, fail);
  if (plain.length !== size) throw fail(`it has ${plain.length} bytes, the directory says ${size}`);
  if (crc32(plain) !== place.crc) throw fail("its checksum is wrong");
  return plain;
}

function inflate(
  bytes: Uint8Array,
  size: number,
  fail: (message: string, cause?: unknown) => FileFormatError,
): Uint8Array {
  try {
    return inflateRawSync(bytes, { maxOutputLength: Math.max(1, size) });
  } catch (cause) {
    throw fail(`the packed data is damaged: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}
