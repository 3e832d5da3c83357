/** Runs of equal pixels in bitmaps (RLE8, RLE4), unpacked as Pillow's BmpRleDecoder does. See bmp.ts. */
import { FileFormatError } from "../../../../errors.ts";

/** The second byte after a zero: the end of a row, the end of the image, a jump; others count pixels without a run. */
const marks = { endOfRow: 0, endOfImage: 1, jump: 2 } as const;

/**
 * Returns the number of each pixel, rows in the order of the file. Pixels that a jump or the end of a row leaves out are 0.
 *
 * @param start Position of the first byte in its file: pixels without a run end at even positions of the file.
 * @throws FileFormatError naming `where` when pixels are missing at the end.
 */
export function unpackRuns(
  bytes: Uint8Array,
  start: number,
  bits: 4 | 8,
  width: number,
  height: number,
  where: string,
): Uint8Array {
  const pixels = new Uint8Array(width * height);
  let [at, done, x] = [0, 0, 0];
  const numberAt = (first: number, i: number): number => {
    if (bits === 8) return bytes[first + i] ?? 0;
    const pair = bytes[first + (i >> 1)] ?? 0;
    return i % 2 === 0 ? pair >> 4 : pair & 15;
  };
  while (done < pixels.length && at + 1 < bytes.length) {
    const [count = 0, second = 0] = bytes.subarray(at, at + 2);
    at += 2;
    if (count > 0) {
      const length = Math.min(count, Math.max(0, width - x), pixels.length - done);
      for (let i = 0; i < length; i++) pixels[done++] = bits === 8 || i % 2 === 1 ? runEnd(second, bits) : second >> 4;
      x += length;
    } else if (second === marks.endOfRow) {
      done = Math.ceil(done / width) * width;
      x = 0;
    } else if (second === marks.endOfImage) {
      break;
    } else if (second === marks.jump) {
      if (at + 2 > bytes.length) break;
      const [right = 0, up = 0] = bytes.subarray(at, at + 2);
      at += 2;
      done = Math.min(pixels.length, done + right + up * width);
      x = done % width;
    } else {
      const length = Math.min(pixels.length - done, second);
      const byteCount = bits === 8 ? length : Math.ceil(length / 2);
      const available = Math.min(length, (bytes.length - at) * (8 / bits));
      for (let i = 0; i < available; i++) pixels[done++] = numberAt(at, i);
      at += byteCount;
      if (at > bytes.length) break;
      x += second;
      if ((start + at) % 2 !== 0) at++;
    }
  }
  if (done >= pixels.length) return pixels;
  throw new FileFormatError(`the file is truncated: its runs hold ${done} of ${pixels.length} pixels`, { where });
}

/** The number of the pixels of a run of bytes, or of every second one of a run of pairs. */
function runEnd(pair: number, bits: 4 | 8): number {
  return bits === 8 ? pair : pair & 15;
}
