/** Files of the kinds that are read, made in memory: NPY, NPZ, CIFAR, images. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { zipSync } from "fflate";
import sharp from "sharp";
import {
  checkNpyLength,
  decodeElements,
  decodeNpyHeader,
  type ElementArray,
  type NpyHeader,
} from "../../src/data/formats/arrays/npy.ts";

/** The header of a whole file and the bytes after it. */
export function decodeNpy(file: Uint8Array, where: string): NpyHeader & { readonly bytes: Uint8Array } {
  const header = decodeNpyHeader(file, where);
  checkNpyLength(header, file.length, where);
  return { ...header, bytes: file.subarray(header.dataOffset) };
}

/** The elements in C order, given in pieces of so many bytes. */
export async function elementsOf<T extends ElementArray>(
  array: NpyHeader & { readonly bytes: Uint8Array },
  into: T,
  piece: number = array.bytes.length,
): Promise<T> {
  const pieces = Array.from({ length: Math.ceil(array.bytes.length / Math.max(1, piece)) }, (_, i) =>
    array.bytes.subarray(i * piece, (i + 1) * piece),
  );
  await decodeElements(pieces, array, into);
  return into;
}

/** An NPY file with a header as numpy writes it. */
export function npy(
  descr: string,
  shape: readonly number[],
  bytes: Uint8Array,
  order: "True" | "False" = "False",
): Uint8Array {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${tuple}), }`;
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const head = Buffer.alloc(10);
  head.write("\x93NUMPY\x01\x00", "latin1");
  head.writeUInt16LE(padded.length, 8);
  return Buffer.concat([head, Buffer.from(padded, "latin1"), bytes]);
}

/** The bytes of a typed array. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Float32 samples or targets as NPY. */
export function floats(shape: readonly number[], value: (i: number) => number): Uint8Array {
  const length = shape.reduce((product, size) => product * size, 1);
  return npy("<f4", shape, bytesOf(Float32Array.from({ length }, (_, i) => value(i))));
}

/** Bytes as NPY. */
export function bytes(shape: readonly number[], value: (i: number) => number): Uint8Array {
  const length = shape.reduce((product, size) => product * size, 1);
  return npy(
    "|u1",
    shape,
    Uint8Array.from({ length }, (_, i) => value(i)),
  );
}

/** Labels as int64, as numpy has them. */
export function labels(count: number, value: (i: number) => number): Uint8Array {
  return npy("<i8", [count], bytesOf(BigInt64Array.from({ length: count }, (_, i) => BigInt(value(i)))));
}

/** An archive of arrays, deflated or stored. */
export function npz(arrays: Readonly<Record<string, Uint8Array>>, level: 0 | 6 = 6): Uint8Array {
  return zipSync(Object.fromEntries(Object.entries(arrays).map(([name, data]) => [`${name}.npy`, data])), { level });
}

/** Records of CIFAR: each image is filled with its own number. */
export function cifar(count: number, labelBytes: 1 | 2, label: (i: number) => number): Uint8Array {
  const record = labelBytes + 3072;
  const file = new Uint8Array(count * record);
  for (let i = 0; i < count; i++) {
    file.fill(i % 256, i * record, (i + 1) * record);
    file[i * record + labelBytes - 1] = label(i);
  }
  return file;
}

/** An image of one colour; grey where red, green and blue are one number. */
export function image(
  width: number,
  height: number,
  colour: readonly [number, number, number] | number,
  format: "png" | "jpeg" | "webp" | "gif" | "tiff" = "png",
): Promise<Buffer> {
  const values = typeof colour === "number" ? [colour] : colour;
  const pixels = Buffer.alloc(width * height * values.length, Buffer.from(values));
  const channels = values.length === 1 ? 1 : 3;
  const image = sharp(pixels, { raw: { width, height, channels } });
  return image
    .toColourspace(channels === 1 ? "b-w" : "srgb")
    .toFormat(format)
    .toBuffer();
}

/** Writes files below a folder. */
export async function put(folder: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  for (const [name, contents] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), contents);
  }
  return folder;
}
