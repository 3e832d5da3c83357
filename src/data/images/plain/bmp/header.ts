/** The headers of Windows and OS/2 bitmaps: sizes, colours and where the pixels lie. See bmp.ts. */
import { FileFormatError } from "../../../../errors.ts";
import { checkSize, type ImageSource } from "../source.ts";

/** One colour in the bits of a pixel: (pixel >> shift) & largest. */
export interface ColourBits {
  readonly shift: number;
  readonly largest: number;
}

/** The header of a bitmap. */
export interface BmpHeader {
  readonly width: number;
  readonly height: number;
  readonly bits: 1 | 4 | 8 | 16 | 24 | 32;
  readonly isTopDown: boolean;
  /** Whether runs of equal pixels are packed: bits of a pixel in the runs, 4 or 8. */
  readonly runBits?: 4 | 8;
  /** Red, green and blue in a pixel of 16 to 32 bits. */
  readonly colours: readonly ColourBits[];
  /** Red, green and blue of each number of a pixel of 1 to 8 bits. */
  readonly palette: Uint8Array;
  /** Whether all colours of the palette are greys. */
  readonly isGrey: boolean;
  /** Where the pixels begin. */
  readonly start: number;
}

/** Bytes before the header: the letters BM, the size of the file, where the pixels begin. */
const fileHeaderBytes = 14;
/** The header of OS/2 1.x, with sizes of 16 bits and colours of three bytes. */
const coreHeaderBytes = 12;
const headerBytes: readonly number[] = [coreHeaderBytes, 40, 52, 56, 64, 108, 124];
const bitCounts = [1, 4, 8, 16, 24, 32] as const;
const compressions = { none: 0, runsOf8: 1, runsOf4: 2, bitFields: 3 } as const;
/** Masks of red, green and blue where the header has none. */
const usualMasks: ReadonlyMap<number, readonly number[]> = new Map([
  [16, [0x7c00, 0x03e0, 0x001f]],
  [24, [0xff0000, 0xff00, 0xff]],
  [32, [0xff0000, 0xff00, 0xff]],
]);

/** Reads the header and the palette. @throws FileFormatError for what is broken or not known. */
export async function readBmpHeader(source: ImageSource): Promise<BmpHeader> {
  const fail = (message: string) => new FileFormatError(message, { where: source.path });
  const view = new DataView(source.head.buffer, source.head.byteOffset, source.head.byteLength);
  const length = source.size < fileHeaderBytes + 4 ? 0 : view.getUint32(fileHeaderBytes, true);
  if (!headerBytes.includes(length)) throw fail(`a bitmap with a header of ${length} bytes is not known`);
  const end = fileHeaderBytes + length;
  if (source.size < end) throw fail("the file is truncated in its header");
  const isCore = length === coreHeaderBytes;
  const stated = isCore ? view.getUint16(20, true) : view.getInt32(22, true);
  const width = isCore ? view.getUint16(18, true) : view.getUint32(18, true);
  const height = Math.abs(stated);
  checkSize(source, width, height);
  const bitCount = view.getUint16(isCore ? 24 : 28, true);
  const bits = bitCounts.find((known) => known === bitCount);
  if (bits === undefined) throw fail(`${bitCount} bits for each pixel are not known`);
  const compression = isCore ? compressions.none : view.getUint32(30, true);
  const hasRuns = compression === compressions.runsOf8 || compression === compressions.runsOf4;
  const hasFields = compression === compressions.bitFields;
  if ((hasRuns && bits > 8) || (hasFields && bits <= 8) || compression > compressions.bitFields) {
    throw fail(`bitmaps of ${bits} bits with compression ${compression} are not read`);
  }
  // In the shortest header with masks they follow it.
  const maskBytes = hasFields && length === 40 ? 12 : 0;
  if (source.size < end + maskBytes) throw fail("the file is truncated in its header");
  const masks = hasFields ? [54, 58, 62].map((at) => view.getUint32(at, true)) : [];
  const isStated = masks.some((mask) => mask !== 0);
  const colours = (isStated ? masks : (usualMasks.get(bits) ?? [])).map((mask) => colourBits(mask));
  if (colours.some((colour) => colour === undefined)) throw fail("its bit masks are no ranges of bits");
  const stride = isCore ? 3 : 4;
  const colourCount = (isCore ? 0 : view.getUint32(46, true)) || 2 ** bits;
  if (bits <= 8 && colourCount > 256) throw fail(`a palette of ${colourCount} colours is too long`);
  const paletteBytes = bits <= 8 ? colourCount * stride : 0;
  const colourTable = await source.range(end, Math.min(paletteBytes, source.size - end));
  const { palette, isGrey } = paletteOf(colourTable, stride, bits);
  const stateStart = view.getUint32(10, true);
  // Some programs leave the palette out of the position of the pixels, or state none.
  const afterHeader = end + paletteBytes + maskBytes;
  const start = stateStart === 0 || (stateStart === end && bits <= 8) ? afterHeader : stateStart;
  return {
    width,
    height,
    bits,
    isTopDown: stated < 0,
    ...(hasRuns ? { runBits: compression === compressions.runsOf4 ? 4 : 8 } : {}),
    colours: colours.flatMap((colour) => colour ?? []),
    palette,
    isGrey: bits <= 8 && isGrey,
    start,
  };
}

/** A mask of bits without gaps as a shift and the largest value; undefined for another one. */
function colourBits(mask: number): ColourBits | undefined {
  if (mask === 0) return undefined;
  const shift = 31 - Math.clz32(mask & -mask);
  const largest = mask >>> shift;
  return (largest & (largest + 1)) === 0 ? { shift, largest } : undefined;
}

/** The colours of 256 numbers: black where the file has none. */
function paletteOf(table: Uint8Array, stride: number, bits: number) {
  const palette = new Uint8Array(3 * 256);
  const count = Math.min(256, Math.floor(table.length / stride));
  let [isGrey, isRamp] = [true, bits === 8];
  for (let number = 0; number < count; number++) {
    const [blue = 0, green = 0, red = 0] = table.subarray(number * stride);
    palette.set([red, green, blue], 3 * number);
    isGrey &&= red === green && green === blue;
    isRamp &&= isGrey && red === number;
  }
  // As in Pillow, a palette that gives each number its own grey is none: the numbers beyond it are greys as well.
  if (isRamp && count > 2) for (let i = 3 * count; i < palette.length; i++) palette[i] = Math.floor(i / 3);
  if (bits === 1 && count === 1 && isGrey && palette[0] === 0) palette.fill(255, 3, 6);
  return { palette, isGrey };
}
