/**
 * Portable bitmaps, greymaps and pixmaps: P1 to P6 of netpbm (its pages pbm(5), pgm(5), ppm(5)). The first image of a file.
 *
 * Values are those of Pillow's PpmImagePlugin to the last bit: value / maxval · 255 (grey with a maxval above 255: · 65535,
 * see {@link SixteenBit}), rounded half to even; a comment separates nothing.
 *
 * By hand: no package in the registry reads all six kinds (`netpbm` starts the programs of that name), and a header of
 * four words is less than a dependency.
 */
import { roundHalfEven } from "../../../base/rounding.ts";
import { FileFormatError } from "../../../errors.ts";
import { fileChunks } from "../../../io/file-bytes.ts";
import type { Pixels, SixteenBit } from "../pixels.ts";
import { checkLength, checkSize, type ImageSource, type PlainImage } from "./source.ts";

/** The header of a file. */
interface PnmHeader {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** 1 for bitmaps. */
  readonly maxval: number;
  readonly isBitmap: boolean;
  /** Whether the values are decimal numbers. */
  readonly isText: boolean;
  /** Where the values begin. */
  readonly start: number;
}

/** Digits of a number, as in Pillow. */
const mostDigits = 10;
const [newline, carriageReturn, hash, zero, nine] = [0x0a, 0x0d, 0x23, 0x30, 0x39];

/** Whether the bytes begin as a file of netpbm does. */
export function isPnm([letter, digit = 0]: Uint8Array): boolean {
  return letter === 0x50 && digit > zero && digit <= zero + 6;
}

/** Reads the header. @throws FileFormatError where it is broken, or where the file is shorter than it states. */
export function openPnm(source: ImageSource): PlainImage {
  const header = readHeader(source);
  const { width, height, channels, maxval, isText } = header;
  checkSize(source, width, height);
  const values = width * height * channels;
  // The shortest text has one digit and one blank for each value; the bits of P1 need no blanks.
  const bytes = isText ? (header.isBitmap ? values : 2 * values - 1) : height * rowBytes(header);
  checkLength(source, header.start + bytes);
  const isDeepGrey = channels === 1 && maxval > 255;
  const pixels = async (sixteenBit: SixteenBit): Promise<Pixels> => {
    const convert = converter(header, sixteenBit);
    const read = isText ? readText : readBytes;
    return { data: await read(source, header, convert), width, height, channels };
  };
  return { width, height, isGrey: channels === 1, isDeepGrey, pixels };
}

function readHeader({ head, path }: ImageSource): PnmHeader {
  const fail = (message: string) => new FileFormatError(message, { where: path });
  const kind = (head[1] ?? 0) - zero;
  if (!isBlank(head[2] ?? 0)) throw fail(`a blank has to follow P${kind}`);
  let at = 3;
  const number = (name: string): number => {
    let text = "";
    for (; at < head.length; at++) {
      const byte = head[at] ?? 0;
      if (byte === hash) at = lineEnd(head, at);
      else if (!isBlank(byte)) text += String.fromCharCode(byte);
      else if (text !== "") break;
      if (text.length > mostDigits) break;
    }
    at++;
    if (/^\d{1,10}$/.test(text)) return Number(text);
    throw fail(text === "" ? `the header ends before its ${name}` : `its ${name} is no number`);
  };
  const [width, height] = [number("width"), number("height")];
  const isBitmap = kind % 3 === 1;
  const maxval = isBitmap ? 1 : number("maxval");
  if (maxval < 1 || maxval > 65_535) throw fail(`its maxval is ${maxval}, not 1 to 65535`);
  return { width, height, channels: kind % 3 === 0 ? 3 : 1, maxval, isBitmap, isText: kind <= 3, start: at };
}

/** The position of the end of the line, or of the bytes. */
function lineEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && !isLineEnd(bytes[at] ?? 0)) at++;
  return at;
}

function isLineEnd(byte: number): boolean {
  return byte === newline || byte === carriageReturn;
}

/** Blank, tab, and the four that end or feed lines. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/** Bytes of a row where the values are bytes, words or bits. */
function rowBytes({ width, channels, maxval, isBitmap }: PnmHeader): number {
  return isBitmap ? Math.ceil(width / 8) : width * channels * (maxval > 255 ? 2 : 1);
}

/** A value of the file as a byte. In bitmaps 1 is black. */
function converter({ channels, maxval, isBitmap }: PnmHeader, sixteenBit: SixteenBit): (value: number) => number {
  if (isBitmap) return (value) => (value === 0 ? 255 : 0);
  const isDeepGrey = channels === 1 && maxval > 255;
  const largest = isDeepGrey ? 65_535 : 255;
  const scaled = (value: number) => Math.min(largest, roundHalfEven((value / maxval) * largest));
  if (!isDeepGrey) return maxval === 255 ? (value) => value : scaled;
  return sixteenBit === "clip" ? (value) => Math.min(255, scaled(value)) : (value) => scaled(value) >> 8;
}

/** P4, P5 and P6: a few rows at a time. */
async function readBytes(source: ImageSource, header: PnmHeader, convert: (value: number) => number) {
  const { width, height, channels, maxval, isBitmap, start } = header;
  const [length, row] = [width * channels, rowBytes(header)];
  const data = new Uint8Array(length * height);
  const atOnce = Math.max(1, Math.floor(2 ** 20 / row));
  for (let y = 0; y < height; y += atOnce) {
    const rows = Math.min(atOnce, height - y);
    const bytes = await source.range(start + y * row, rows * row);
    const into = data.subarray(y * length, (y + rows) * length);
    if (isBitmap) {
      for (let i = 0; i < into.length; i++) {
        const [x, line] = [i % width, Math.floor(i / width)];
        into[i] = convert(((bytes[line * row + (x >> 3)] ?? 0) >> (7 - (x & 7))) & 1);
      }
    } else if (maxval > 255) {
      for (let i = 0; i < into.length; i++) into[i] = convert((bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0));
    } else {
      for (let i = 0; i < into.length; i++) into[i] = convert(bytes[i] ?? 0);
    }
  }
  return data;
}

/** P1, P2 and P3: decimal numbers, of P1 single digits. What follows the last value is ignored, of P1 refused as in Pillow. */
async function readText(source: ImageSource, header: PnmHeader, convert: (value: number) => number) {
  const { width, height, channels, maxval, isBitmap, start } = header;
  const fail = (message: string) => new FileFormatError(message, { where: source.path });
  const data = new Uint8Array(width * height * channels);
  let [filled, value, digits, isComment] = [0, 0, 0, false];
  const end = () => {
    if (value > maxval) throw fail(`value ${filled} is ${value}, above the maxval ${maxval}`);
    if (filled < data.length) data[filled++] = convert(value);
    [value, digits] = [0, 0];
  };
  for await (const chunk of fileChunks(source.path, start, source.size - start)) {
    for (const byte of chunk) {
      if (isComment) {
        isComment = !isLineEnd(byte);
      } else if (byte === hash) {
        isComment = true;
      } else if (isBlank(byte)) {
        if (digits > 0) end();
        if (filled === data.length && !isBitmap) return data;
      } else {
        value = value * 10 + byte - zero;
        digits++;
        if (byte < zero || byte > nine || digits > mostDigits) throw fail(`value ${filled} is no number`);
        if (isBitmap) end();
      }
    }
    if (filled === data.length && digits === 0) return data;
  }
  if (digits > 0) end();
  if (filled === data.length) return data;
  throw fail(`the file is truncated: it has ${filled} of ${data.length} values`);
}
