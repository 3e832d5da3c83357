/**
 * The border with ONNX's protobuf: element type numbers, versions, and tensor bytes.
 *
 * Only this file, the writer and the reader know the protobuf package, so that it can be exchanged for another.
 */

import { GraphError } from "../../errors.ts";
import type { NumericArray, Tensor } from "../../ir/tensor.ts";
import type { DType } from "../../ir/types.ts";

const dtypeNumbers: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
  float8e8m0: 24,
  uint2: 25,
  int2: 26,
};

const dtypesByNumber = new Map<number, DType>(allDtypes().map((dtype) => [dtypeNumbers[dtype], dtype]));

/** Every element type that a graph can hold, in the order of ONNX's numbers. */
export function allDtypes(): DType[] {
  const names: readonly string[] = Object.keys(dtypeNumbers);
  return names.filter(isDtype).sort((a, b) => dtypeNumbers[a] - dtypeNumbers[b]);
}

/** Whether a string names an element type. */
export function isDtype(name: string): name is DType {
  return Object.hasOwn(dtypeNumbers, name);
}

/** ONNX's number of an element type, as in `TensorProto.DataType` and in `Cast`'s attribute `to`. */
export function dtypeToOnnx(dtype: DType): number {
  return dtypeNumbers[dtype];
}

/** The element type of an ONNX number; undefined for complex numbers and numbers that ONNX does not have. */
export function dtypeFromOnnx(number: number): DType | undefined {
  return dtypesByNumber.get(number);
}

/** The first opset whose `Cast`, `QuantizeLinear` and `DequantizeLinear` know an element type. */
export function firstOpsetWith(dtype: DType): number {
  switch (dtype) {
    case "int2":
    case "uint2":
      return 25;
    case "float8e8m0":
      return 24;
    case "float4e2m1":
      return 23;
    case "int4":
    case "uint4":
      return 21;
    default:
      return dtype.startsWith("float8") ? 19 : dtype === "bfloat16" ? 13 : 1;
  }
}

/** The IR version that ONNX published together with an opset; engines refuse files that are newer than they are. */
export function irVersionOf(opset: number): number {
  if (opset >= 25) return 13;
  if (opset === 24) return 12;
  if (opset === 23) return 11;
  if (opset >= 21) return 10;
  return opset >= 19 ? 9 : 8;
}

/** Whether this machine keeps numbers as ONNX's raw data does. */
export const littleEndianHost = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Bytes of one stored element; 1 for the packed types. */
function elementSize(data: NumericArray | BigInt64Array | BigUint64Array): number {
  return data.BYTES_PER_ELEMENT;
}

/** The bytes of a tensor as ONNX's `raw_data` wants them: a view where the machine allows it. @throws GraphError for strings. */
export function rawBytes(tensor: Tensor): Uint8Array<ArrayBuffer> {
  const { data } = tensor;
  if (!ArrayBuffer.isView(data)) throw new GraphError("string tensors have no raw bytes");
  const { buffer, byteOffset, byteLength } = data;
  const bytes =
    buffer instanceof ArrayBuffer
      ? new Uint8Array(buffer, byteOffset, byteLength)
      : Uint8Array.from(new Uint8Array(buffer, byteOffset, byteLength));
  return littleEndianHost ? bytes : swapBytes(bytes, elementSize(data));
}

/** Copies little-endian bytes into a typed array, which must be as long. */
export function fillFromRawBytes(target: NumericArray | BigInt64Array | BigUint64Array, bytes: Uint8Array): void {
  const source = littleEndianHost ? bytes : swapBytes(bytes, elementSize(target));
  new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(source);
}

function swapBytes(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const swapped = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    swapped[i] = bytes[i - (i % size) + (size - 1 - (i % size))] ?? 0;
  }
  return swapped;
}
