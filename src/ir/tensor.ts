/**
 * Tensors in memory, row-major.
 *
 * Types below eight bits are kept as ONNX stores them: packed in bytes, low bits first, in a `Uint8Array`.
 * float16, bfloat16 and the eight-bit floats keep their bit patterns.
 */
import { GraphError } from "../errors.ts";
import { type DType, elementCount, type Shape, showType, type TensorType } from "./types.ts";

/** The typed arrays that hold the elements of a numeric tensor. */
export type NumericArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

/** The elements of a tensor, row-major. */
export type TensorData = NumericArray | BigInt64Array | BigUint64Array | readonly string[];

/** Elements with their type and shape. */
export interface Tensor extends TensorType {
  readonly data: TensorData;
}

/** Bits that one element takes in memory; strings have none. */
export function bitsPerElement(dtype: DType): number {
  switch (dtype) {
    case "float64":
    case "int64":
    case "uint64":
      return 64;
    case "float32":
    case "int32":
    case "uint32":
      return 32;
    case "float16":
    case "bfloat16":
    case "int16":
    case "uint16":
      return 16;
    case "int4":
    case "uint4":
    case "float4e2m1":
      return 4;
    case "int2":
    case "uint2":
      return 2;
    case "string":
      return 0;
    default:
      return 8;
  }
}

/** Length of the typed array that holds `count` elements (bytes for the packed types). */
export function storageLength(dtype: DType, count: number): number {
  const bits = bitsPerElement(dtype);
  return bits === 4 || bits === 2 ? Math.ceil((count * bits) / 8) : count;
}

/** A zero-filled typed array for `count` elements of `dtype`. */
export function allocate(dtype: DType, count: number): Exclude<TensorData, readonly string[]> {
  const length = storageLength(dtype, count);
  switch (dtype) {
    case "float32":
      return new Float32Array(length);
    case "float64":
      return new Float64Array(length);
    case "int64":
      return new BigInt64Array(length);
    case "uint64":
      return new BigUint64Array(length);
    case "int32":
      return new Int32Array(length);
    case "uint32":
      return new Uint32Array(length);
    case "int16":
      return new Int16Array(length);
    case "uint16":
    case "float16":
    case "bfloat16":
      return new Uint16Array(length);
    case "int8":
      return new Int8Array(length);
    case "string":
      throw new GraphError("string tensors have no numeric storage");
    default:
      return new Uint8Array(length);
  }
}

/**
 * Checks that the data is as long as the shape says and returns the tensor.
 *
 * @example
 * console.log(makeTensor("uint8", [3], Uint8Array.of(1, 2, 3)).dtype); // uint8
 */
export function makeTensor(dtype: DType, shape: Shape, data: TensorData): Tensor {
  const expected = storageLength(dtype, elementCount(shape));
  if (data.length !== expected) {
    throw new GraphError(`${showType({ dtype, shape })} needs ${expected} elements of storage, got ${data.length}`);
  }
  return { dtype, shape, data };
}

/**
 * Makes a float32 tensor. @throws GraphError when the number of elements does not match the shape.
 *
 * @example
 * console.log(float32Tensor([2], [1, 2]).shape); // [2]
 */
export function float32Tensor(shape: Shape, data: ArrayLike<number>): Tensor {
  return makeTensor("float32", shape, data instanceof Float32Array ? data : Float32Array.from(data));
}

/** Makes a float32 scalar. */
export function float32Scalar(value: number): Tensor {
  return float32Tensor([], [value]);
}

/**
 * Makes an int64 tensor, by default a vector; numbers beyond int64 become its ends, as the "to the end" of a Slice does that has
 * been a float64.
 *
 * @throws GraphError when the number of elements does not match the shape.
 */
export function int64Tensor(values: readonly number[], shape: Shape = [values.length]): Tensor {
  return makeTensor("int64", shape, BigInt64Array.from(values, toInt64));
}

/** The int64 next to a number towards 0; the ends of int64 for numbers beyond them, 0 for NaN. */
export function toInt64(number: number): bigint {
  if (Number.isNaN(number)) return 0n;
  if (number >= 2 ** 63) return 2n ** 63n - 1n;
  if (number <= -(2 ** 63)) return -(2n ** 63n);
  return BigInt(Math.trunc(number));
}

/**
 * A float32 tensor of one repeated value.
 *
 * @example
 * console.log(filled([2, 2], 1).data); // Float32Array [1, 1, 1, 1]
 */
export function filled(shape: Shape, value: number): Tensor {
  const data = new Float32Array(elementCount(shape));
  // Zeros as they are allocated take no memory until somebody writes.
  return float32Tensor(shape, Object.is(value, 0) ? data : data.fill(value));
}

/** The float32 data of a tensor. @throws GraphError when it has another element type. */
export function float32Data(tensor: Tensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  throw new GraphError(`expected a float32 tensor, got ${showType(tensor)}`);
}

/**
 * The elements as plain numbers, unpacked; int64 values beyond 2^53 are rounded. @throws GraphError for strings and bit-pattern floats.
 *
 * @example
 * console.log(toNumbers(float32Tensor([2], [1, 2]))); // [1, 2]
 */
export function toNumbers(tensor: Tensor): number[] {
  const { data, dtype } = tensor;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, Number);
  if (data instanceof Uint8Array && (dtype === "int4" || dtype === "uint4" || dtype === "int2" || dtype === "uint2")) {
    return Array.from(unpackBits(data, dtype, elementCount(tensor.shape)));
  }
  if (
    dtype === "string" ||
    dtype.startsWith("float8") ||
    dtype === "float16" ||
    dtype === "bfloat16" ||
    dtype === "float4e2m1"
  ) {
    throw new GraphError(`${showType(tensor)} cannot be read as plain numbers`);
  }
  // A loop: Array.from with a function takes ten times as long.
  const numbers = new Array<number>(data.length);
  for (let i = 0; i < data.length; i++) numbers[i] = Number(data[i]);
  return numbers;
}

type PackedType = "int4" | "uint4" | "int2" | "uint2";

/** Packs small integers as ONNX does: element i in bits (i·b mod 8) upward of byte ⌊i·b/8⌋. @throws GraphError when a value does not fit. */
export function packBits(values: ArrayLike<number>, dtype: PackedType): Uint8Array {
  const bits = bitsPerElement(dtype);
  const signed = dtype.startsWith("int");
  const low = signed ? -(2 ** (bits - 1)) : 0;
  const high = low + 2 ** bits - 1;
  const packed = new Uint8Array(storageLength(dtype, values.length));
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new GraphError(`${value} at element ${i} does not fit ${dtype} (${low}..${high})`);
    }
    const position = i * bits;
    packed[position >> 3] = (packed[position >> 3] ?? 0) | ((value & (2 ** bits - 1)) << (position & 7));
  }
  return packed;
}

/** The inverse of {@link packBits}. */
export function unpackBits(packed: Uint8Array, dtype: PackedType, count: number): Int8Array | Uint8Array {
  const bits = bitsPerElement(dtype);
  const signed = dtype.startsWith("int");
  const values = signed ? new Int8Array(count) : new Uint8Array(count);
  const half = 2 ** (bits - 1);
  for (let i = 0; i < count; i++) {
    const position = i * bits;
    const code = ((packed[position >> 3] ?? 0) >> (position & 7)) & (2 ** bits - 1);
    values[i] = signed && code >= half ? code - 2 * half : code;
  }
  return values;
}
