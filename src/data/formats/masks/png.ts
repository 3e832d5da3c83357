/**
 * The stored numbers of PNG files: grey values, entries of a palette, or colours.
 *
 * Image libraries turn a palette into colours, but the entry is the class number of a mask. Layout: PNG (Portable Network Graphics)
 * Specification, third edition (W3C, 2025), sections 7 (pixels), 9 (filters) and 11 (chunks).
 */
import { crc32, inflateSync } from "node:zlib";
import { FileFormatError } from "../../../errors.ts";

/** The numbers of a PNG file, row by row. */
export interface StoredNumbers {
  readonly width: number;
  readonly height: number;
  /** Grey or palette: the stored number; colours: 65536 red + 256 green + blue. */
  readonly values: Uint32Array;
  readonly isColour: boolean;
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const mostPixels = 2 ** 27;
/** Numbers of a pixel for each colour type. */
const channelsOf: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [2, 3],
  [3, 1],
  [4, 2],
  [6, 4],
]);

interface Header {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly type: number;
}

/**
 * Returns the stored numbers of a PNG file.
 *
 * @throws FileFormatError for another format, an interlaced file, colours of 16 bits, and a damaged or truncated file.
 */
export function decodeStoredNumbers(file: Uint8Array, where: string): StoredNumbers {
  const { header, packed } = readChunks(file, where);
  const { width, height, bits, type } = header;
  const channels = channelsOf.get(type) ?? 1;
  const rowBytes = Math.ceil((width * channels * bits) / 8);
  const length = height * (rowBytes + 1);
  const raw = inflate(packed, length, where);
  if (raw.length !== length) throw damaged("its pixels are not as many as its header states", where);
  const pixelBytes = Math.max(1, (channels * bits) / 8);
  let before: Uint8Array = new Uint8Array(rowBytes);
  const values = new Uint32Array(width * height);
  const isColour = type === 2 || type === 6;
  for (let row = 0; row < height; row++) {
    const start = row * (rowBytes + 1);
    const line = raw.subarray(start + 1, start + 1 + rowBytes);
    unfilter(raw[start] ?? 0, line, before, pixelBytes, where);
    before = line;
    for (let x = 0; x < width; x++) {
      const at = (channel: number) => numberAt(line, x * channels + channel, bits);
      values[row * width + x] = isColour ? at(0) * 65_536 + at(1) * 256 + at(2) : at(0);
    }
  }
  return { width, height, values, isColour };
}

function readChunks(file: Uint8Array, where: string): { readonly header: Header; readonly packed: Uint8Array } {
  if (signature.some((byte, i) => file[i] !== byte)) {
    throw new FileFormatError("a mask has to be a PNG file, its first bytes are those of another format", {
      where,
      remedy: "Save it as PNG: formats that lose information change the class numbers.",
    });
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const data: Uint8Array[] = [];
  let header: Header | undefined;
  for (let at = signature.length; ; ) {
    if (at + 12 > file.length) throw damaged("it ends before its last chunk", where);
    const length = view.getUint32(at);
    const end = at + 8 + length;
    if (end + 4 > file.length) throw damaged("it ends within a chunk", where);
    if (crc32(file.subarray(at + 4, end)) !== view.getUint32(end)) throw damaged("a checksum is wrong", where);
    const name = String.fromCharCode(...file.subarray(at + 4, at + 8));
    const content = file.subarray(at + 8, end);
    if (header === undefined) {
      if (name !== "IHDR" || length !== 13) throw damaged("it does not begin with a header", where);
      header = readHeader(content, where);
    }
    if (name === "IDAT") data.push(content);
    if (name === "IEND") return { header, packed: Buffer.concat(data) };
    at = end + 4;
  }
}

function readHeader(content: Uint8Array, where: string): Header {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const [width, height, bits, type] = [view.getUint32(0), view.getUint32(4), view.getUint8(8), view.getUint8(9)];
  if (width === 0 || height === 0 || !channelsOf.has(type) || ![1, 2, 4, 8, 16].includes(bits)) {
    throw damaged(`its header states ${width}x${height} pixels of type ${type} with ${bits} bits`, where);
  }
  if (width * height > mostPixels) throw damaged(`${width}x${height} pixels are too many`, where);
  if (view.getUint8(12) !== 0) {
    throw new FileFormatError("the PNG file is interlaced", { where, remedy: "Save the mask without interlacing." });
  }
  if (bits === 16 && (type === 2 || type === 6)) {
    throw new FileFormatError("a mask of colours has 16 bits for each", { where, remedy: "Save it with 8 bits." });
  }
  return { width, height, bits, type };
}

function inflate(packed: Uint8Array, length: number, where: string): Uint8Array {
  try {
    return inflateSync(packed, { maxOutputLength: length });
  } catch (cause) {
    throw damaged(`its pixels cannot be unpacked: ${cause instanceof Error ? cause.message : "unknown"}`, where);
  }
}

/** Reverses the filter of a row in place. */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, pixelBytes: number, where: string): void {
  if (filter > 4) throw damaged(`a row has the filter ${filter}, which does not exist`, where);
  if (filter === 0) return;
  for (let i = 0; i < line.length; i++) {
    const left = i < pixelBytes ? 0 : (line[i - pixelBytes] ?? 0);
    const up = above[i] ?? 0;
    const corner = i < pixelBytes ? 0 : (above[i - pixelBytes] ?? 0);
    line[i] = (line[i] ?? 0) + predicted(filter, left, up, corner);
  }
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const estimate = left + up - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

function numberAt(line: Uint8Array, index: number, bits: number): number {
  if (bits === 8) return line[index] ?? 0;
  if (bits === 16) return (line[2 * index] ?? 0) * 256 + (line[2 * index + 1] ?? 0);
  const bit = index * bits;
  return ((line[bit >> 3] ?? 0) >> (8 - bits - (bit & 7))) & (2 ** bits - 1);
}

function damaged(reason: string, where: string): FileFormatError {
  return new FileFormatError(`the PNG file is damaged: ${reason}`, { where, remedy: "Write the mask again." });
}
