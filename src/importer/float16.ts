/** Narrow and wide floats as float32, which is what subbyte trains in. */

import { makeTensor, type Tensor } from "../graph/tensor.ts";
import type { DType } from "../graph/types.ts";

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
  return dtype === "float16" || dtype === "bfloat16" || dtype === "float64";
}

/** A float16, bfloat16 or float64 tensor in float32; any other tensor as it is. */
export function inFloat32(tensor: Tensor): Tensor {
  const { dtype, shape, data } = tensor;
  if (dtype === "float64" && data instanceof Float64Array) return makeTensor("float32", shape, Float32Array.from(data));
  if (!(data instanceof Uint16Array)) return tensor;
  if (dtype !== "float16" && dtype !== "bfloat16") return tensor;
  const wide = new Float32Array(data.length);
  if (dtype === "float16") {
    halves ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => halfToNumber(half));
    for (let i = 0; i < wide.length; i++) wide[i] = halves[data[i] ?? 0] ?? 0;
  } else {
    const bits = new Uint32Array(wide.buffer);
    for (let i = 0; i < bits.length; i++) bits[i] = (data[i] ?? 0) * 0x10000;
  }
  return makeTensor("float32", shape, wide);
}

/** Every half as a number: looking it up is ten times as fast as computing it. */
let halves: Float32Array | undefined;
