/**
 * Windows and OS/2 bitmaps: 1, 4 and 8 bits with a palette, also packed as runs; 16, 24 and 32 bits with or without bit masks
 * (Microsoft, "Bitmap Storage": BITMAPCOREHEADER to BITMAPV5HEADER). Transparency is dropped.
 *
 * Values are those of Pillow's BmpImagePlugin to the last bit: a colour of n bits is value · 255 / (2^n − 1), cut.
 *
 * By hand: of the typed packages, `fast-bmp` 4.0.1 reads neither 4 or 16 bits nor palettes, and `bmp-ts` 1.0.9 misplaces
 * pixels after a jump in runs and knows no OS/2 header; neither compares the size in the header with the file first.
 */
import type { Pixels } from "../../pixels.ts";
import { checkLength, type ImageSource, type PlainImage } from "../source.ts";
import { type BmpHeader, readBmpHeader } from "./header.ts";
import { unpackRuns } from "./runs.ts";

/** Whether the bytes begin as a bitmap does. */
export function isBmp([first, second]: Uint8Array): boolean {
  return first === 0x42 && second === 0x4d;
}

/** Reads the header. @throws FileFormatError where it is broken, or where the file is shorter than it states. */
export async function openBmp(source: ImageSource): Promise<PlainImage> {
  const header = await readBmpHeader(source);
  const { width, height, isGrey, runBits } = header;
  // The padding after the last row may be missing.
  const bytes = runBits === undefined ? (height - 1) * rowBytes(header) + Math.ceil((width * header.bits) / 8) : 2;
  checkLength(source, header.start + bytes);
  const pixels = async (): Promise<Pixels> => {
    const data = await (runBits === undefined ? readRows(source, header) : readRuns(source, header, runBits));
    return { data, width, height, channels: isGrey ? 1 : 3 };
  };
  return { width, height, isGrey, isDeepGrey: false, pixels };
}

/** Bytes of a row: whole words of 32 bits. */
function rowBytes({ width, bits }: BmpHeader): number {
  return 4 * Math.ceil((width * bits) / 32);
}

async function readRows(source: ImageSource, header: BmpHeader): Promise<Uint8Array> {
  const { width, height, bits, isTopDown, isGrey, start } = header;
  const [stride, length] = [rowBytes(header), width * (isGrey ? 1 : 3)];
  const data = new Uint8Array(height * length);
  const write = bits <= 8 ? writePaletteRow : writeColourRow;
  const atOnce = Math.max(1, Math.floor(2 ** 20 / stride));
  for (let row = 0; row < height; row += atOnce) {
    const rows = Math.min(atOnce, height - row);
    const first = start + row * stride;
    const bytes = await source.range(first, Math.min(rows * stride, source.size - first));
    for (let i = 0; i < rows; i++) {
      const y = isTopDown ? row + i : height - 1 - row - i;
      write(bytes.subarray(i * stride, (i + 1) * stride), header, data.subarray(y * length, (y + 1) * length));
    }
  }
  return data;
}

function writePaletteRow(bytes: Uint8Array, { width, bits, palette, isGrey }: BmpHeader, into: Uint8Array): void {
  const perByte = 8 / bits;
  for (let x = 0; x < width; x++) {
    const shift = 8 - bits * (1 + (x % perByte));
    writeNumber(((bytes[Math.floor(x / perByte)] ?? 0) >> shift) & (2 ** bits - 1), palette, isGrey, into, x);
  }
}

function writeNumber(number: number, palette: Uint8Array, isGrey: boolean, into: Uint8Array, x: number): void {
  if (isGrey) into[x] = palette[3 * number] ?? 0;
  else for (let channel = 0; channel < 3; channel++) into[3 * x + channel] = palette[3 * number + channel] ?? 0;
}

function writeColourRow(bytes: Uint8Array, { width, bits, colours }: BmpHeader, into: Uint8Array): void {
  const pixelBytes = bits / 8;
  for (const [channel, { shift, largest }] of colours.entries()) {
    if (largest === 255 && shift % 8 === 0) {
      for (let x = 0, from = shift / 8; x < width; x++, from += pixelBytes) into[3 * x + channel] = bytes[from] ?? 0;
      continue;
    }
    for (let x = 0; x < width; x++) {
      let pixel = 0;
      for (let byte = pixelBytes - 1; byte >= 0; byte--) pixel = (pixel << 8) | (bytes[x * pixelBytes + byte] ?? 0);
      into[3 * x + channel] = Math.floor((((pixel >>> shift) & largest) * 255) / largest);
    }
  }
}

async function readRuns(source: ImageSource, header: BmpHeader, runBits: 4 | 8): Promise<Uint8Array> {
  const { width, height, palette, isTopDown, isGrey, start } = header;
  // Two bytes pack one pixel at worst, and two more end each row.
  const most = 4 * (width + 1) * height + 2 ** 16;
  const bytes = await source.range(start, Math.min(most, source.size - start));
  const numbers = unpackRuns(bytes, start, runBits, width, height, source.path);
  const length = width * (isGrey ? 1 : 3);
  const data = new Uint8Array(height * length);
  for (let row = 0; row < height; row++) {
    const y = isTopDown ? row : height - 1 - row;
    const into = data.subarray(y * length, (y + 1) * length);
    for (let x = 0; x < width; x++) writeNumber(numbers[row * width + x] ?? 0, palette, isGrey, into, x);
  }
  return data;
}
