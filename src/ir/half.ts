/** Narrow and wide floats as float32, which is what subbyte trains in. */

import type { DataBytes } from "./data-bytes.ts";
import { makeTensor, type Tensor } from "./tensor.ts";
import type { DType } from "./types.ts";

/** The number behind the bits of an IEEE 754 half. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Whether a type is a float that is read as float32. */
export function becomesFloat32(dtype: DType): boolean {
  return isHalf(dtype) || dtype === "float64";
}

/** Whether a type is a float of 16 bits. */
export function isHalf(dtype: DType): dtype is "float16" | "bfloat16" {
  return dtype === "float16" || dtype === "bfloat16";
}

/** A float16, bfloat16 or float64 tensor in float32; any other tensor as it is. */
export function inFloat32(tensor: Tensor): Tensor {
  const { dtype, shape, data } = tensor;
  if (dtype === "float64" && data instanceof Float64Array) return makeTensor("float32", shape, Float32Array.from(data));
  if (!(data instanceof Uint16Array) || !isHalf(dtype)) return tensor;
  const wide = new Float32Array(data.length);
  widen(dtype, data, wide);
  return makeTensor("float32", shape, wide);
}

/** Little-endian halves as float32, a piece at a time: holding all halves next to their numbers would take half as much memory again. */
export function widenBytes(dtype: "float16" | "bfloat16", bytes: DataBytes): Float32Array {
  const wide = new Float32Array(bytes.length / 2);
  for (let first = 0; first < wide.length; first += pieceElements) {
    const piece = wide.subarray(first, first + pieceElements);
    const stored = bytes.subarray(2 * first, 2 * (first + piece.length));
    const halves = new Uint16Array(piece.length);
    for (let i = 0; i < halves.length; i++) halves[i] = (stored[2 * i] ?? 0) | ((stored[2 * i + 1] ?? 0) << 8);
    widen(dtype, halves, piece);
  }
  return wide;
}

const pieceElements = 2 ** 16;

function widen(dtype: "float16" | "bfloat16", halves: Uint16Array, wide: Float32Array): void {
  if (dtype === "float16") {
    numbers ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => halfToNumber(half));
    for (let i = 0; i < wide.length; i++) wide[i] = numbers[halves[i] ?? 0] ?? 0;
  } else {
    const bits = new Uint32Array(wide.buffer, wide.byteOffset, wide.length);
    for (let i = 0; i < bits.length; i++) bits[i] = (halves[i] ?? 0) * 0x10000;
  }
}

/** Every half as a number: looking it up is ten times as fast as computing it. */
let numbers: Float32Array | undefined;
