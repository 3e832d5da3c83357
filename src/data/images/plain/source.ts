/** Bytes of an image file: the first ones in memory, the others read as they are needed. */
import { FileFormatError } from "../../../errors.ts";
import { fileSize, readRange } from "../../../io/file-bytes.ts";
import type { ImageHeader, Pixels, SixteenBit } from "../pixels.ts";

/** Pixels of the largest image that is decoded, as in Pillow: a small file may claim any size. */
export const mostPixels = 178_956_970;

/** Bytes that are read with the header; small images are in them as a whole. */
const headBytes = 2 ** 16;

/** An image file that is open for reading. */
export interface ImageSource {
  readonly path: string;
  readonly size: number;
  /** The first bytes of the file, all of a small one. */
  readonly head: Uint8Array;
  /** The bytes of a range, which must lie in the file. */
  readonly range: (start: number, length: number) => Promise<Uint8Array>;
}

/** An image whose header was read and compared with the size of its file. */
export interface PlainImage extends ImageHeader {
  /** Reads the pixels. @throws FileFormatError. */
  readonly pixels: (sixteenBit: SixteenBit) => Promise<Pixels>;
}

/** Opens an image file. @throws FileFormatError naming a file that cannot be read. */
export async function openSource(path: string): Promise<ImageSource> {
  const size = await fileSize(path);
  const head = await readRange(path, 0, Math.min(headBytes, size));
  const range = async (start: number, length: number) =>
    start + length <= head.length ? head.subarray(start, start + length) : readRange(path, start, length);
  return { path, size, head, range };
}

/** Checks the size that a header states. @throws FileFormatError for one without pixels or beyond {@link mostPixels}. */
export function checkSize({ path }: ImageSource, width: number, height: number): void {
  if (width < 1 || height < 1) throw new FileFormatError(`its size is ${width}x${height}`, { where: path });
  if (width * height <= mostPixels) return;
  throw new FileFormatError(`its size is ${width}x${height}, more than ${mostPixels} pixels`, { where: path });
}

/** Checks that a file is long enough. @throws FileFormatError. */
export function checkLength({ path, size }: ImageSource, needed: number): void {
  if (size >= needed) return;
  throw new FileFormatError(`the file is truncated: its header needs ${needed} bytes, there are ${size}`, {
    where: path,
  });
}
