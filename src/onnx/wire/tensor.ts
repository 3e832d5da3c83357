/**
 * Reads ONNX tensors, from bytes that nobody vouches for.
 *
 * Nothing is allocated from the dimensions that a file states before they were held against the bytes that are there.
 */

import { isFieldSet } from "@bufbuild/protobuf";
import { TensorProto_DataLocation as DataLocation, type TensorProto, TensorProtoSchema } from "onnx-buf";
import { FileFormatError, UnsupportedError } from "../../errors.ts";
import { type DataBytes, rangeOf } from "../../ir/data-bytes.ts";
import { isHalf, widenBytes } from "../../ir/half.ts";
import { allocate, bitsPerElement, storageLength, type Tensor } from "../../ir/tensor.ts";
import type { DType, Shape } from "../../ir/types.ts";
import { ownFile } from "./outline.ts";
import { dtypeFromOnnx, fillFromRawBytes, littleEndianHost } from "./proto.ts";

/** Gives the bytes of a file next to the model, by its path relative to the model. */
export type ExternalData = (location: string) => DataBytes;

const damaged = "The file is damaged or its exporter is at fault: export the model again.";

/** The element type of an ONNX number. @throws FileFormatError when it is not one, UnsupportedError for complex numbers. */
export function readDtype(number: number, where: string): DType {
  const dtype = dtypeFromOnnx(number);
  if (dtype !== undefined) return dtype;
  if (number === 14 || number === 15) {
    const remedy = "Split them into real and imaginary parts before the export.";
    throw new UnsupportedError("complex numbers are not supported", { where, remedy });
  }
  throw new FileFormatError(`${number} is not an element type of ONNX`, { where, remedy: damaged });
}

/** Dimensions as numbers. @throws FileFormatError when one is negative or their product cannot be counted. */
export function readShape(dims: readonly bigint[], where: string): Shape {
  const show = () => `[${dims.join(",")}]`;
  let count = 1n;
  for (const dim of dims) {
    if (dim < 0n) throw new FileFormatError(`the shape ${show()} has a negative size`, { where, remedy: damaged });
    if (dim > 0n) count *= dim;
    if (count > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new FileFormatError(`the shape ${show()} is too large for a tensor`, { where, remedy: damaged });
    }
  }
  return dims.map(Number);
}

/**
 * A tensor whose data was checked. `where` names it in errors.
 *
 * @param inPlace Whether large tensors may stay in the bytes that were decoded, which are moved to where their elements
 *   are aligned: only for bytes that nobody else reads. Otherwise they are copied. Halves of external data become float32,
 *   since both together are not to be in memory.
 */
export function readTensor(
  proto: TensorProto,
  where: string,
  externalData?: ExternalData,
  inPlace: boolean = false,
): Tensor {
  const dtype = readDtype(proto.dataType, where);
  const shape = readShape(proto.dims, where);
  const count = shape.reduce((product, size) => product * size, 1);
  if (proto.segment !== undefined) {
    throw new UnsupportedError("tensors in segments are not supported", { where, remedy: "Store the tensor whole." });
  }
  if (proto.dataLocation === DataLocation.EXTERNAL) {
    const bytes = externalBytes(proto, where, externalData);
    if (inPlace && isHalf(dtype)) {
      expectLength(bytes.length, 2 * count, "bytes", dtype, shape, where);
      return { dtype: "float32", shape, data: widenBytes(dtype, bytes) };
    }
    return fromBytes(dtype, shape, count, bytes.subarray(0, bytes.length), where, inPlace);
  }
  if (isFieldSet(proto, TensorProtoSchema.field.rawData)) {
    return fromBytes(dtype, shape, count, inPlace ? aligned(proto.rawData) : proto.rawData, where, inPlace);
  }
  return fromTypedFields(dtype, shape, count, proto, where);
}

/** Bytes from which tensors stay in the file's: below them a copy costs nothing. */
const largeBytes = 1024;

/**
 * The bytes of a raw_data field, moved down to a multiple of four. What they are moved over, up to three bytes, is the
 * field's own tag and length, which take that many at least where the length needs two bytes, and were decoded before.
 */
function aligned(bytes: Uint8Array): Uint8Array {
  const shift = bytes.byteOffset % 4;
  if (shift === 0 || bytes.length < largeBytes) return bytes;
  const whole = new Uint8Array(bytes.buffer);
  whole.copyWithin(bytes.byteOffset - shift, bytes.byteOffset, bytes.byteOffset + bytes.length);
  return whole.subarray(bytes.byteOffset - shift, bytes.byteOffset - shift + bytes.length);
}

function fromBytes(
  dtype: DType,
  shape: Shape,
  count: number,
  bytes: Uint8Array,
  where: string,
  inPlace = false,
): Tensor {
  if (dtype === "string") {
    throw new FileFormatError("a string tensor may not have raw data", { where, remedy: damaged });
  }
  const expected = Math.ceil((count * bitsPerElement(dtype)) / 8);
  expectLength(bytes.length, expected, "bytes", dtype, shape, where);
  if (inPlace && bytes.length >= largeBytes && bytes.byteOffset % 4 === 0 && littleEndianHost) {
    if (dtype === "float32") return { dtype, shape, data: new Float32Array(bytes.buffer, bytes.byteOffset, count) };
    if (dtype === "float16" || dtype === "bfloat16") {
      return { dtype, shape, data: new Uint16Array(bytes.buffer, bytes.byteOffset, count) };
    }
  }
  const data = allocate(dtype, count);
  fillFromRawBytes(data, bytes);
  return { dtype, shape, data };
}

function fromTypedFields(dtype: DType, shape: Shape, count: number, proto: TensorProto, where: string): Tensor {
  const stored = storageLength(dtype, count);
  const expect = (length: number) => expectLength(length, stored, "values", dtype, shape, where);
  switch (dtype) {
    case "string": {
      expect(proto.stringData.length);
      return { dtype, shape, data: proto.stringData.map((bytes) => readText(bytes, where)) };
    }
    case "float32":
      expect(proto.floatData.length);
      return { dtype, shape, data: Float32Array.from(proto.floatData) };
    case "float64":
      expect(proto.doubleData.length);
      return { dtype, shape, data: Float64Array.from(proto.doubleData) };
    case "int64":
      expect(proto.int64Data.length);
      return { dtype, shape, data: BigInt64Array.from(proto.int64Data) };
    case "uint64":
      expect(proto.uint64Data.length);
      return { dtype, shape, data: BigUint64Array.from(proto.uint64Data) };
    default: {
      const values = dtype === "uint32" ? proto.uint64Data.map(Number) : proto.int32Data;
      expect(values.length);
      const data = allocate(dtype, count);
      for (let i = 0; i < values.length; i++) {
        const value = values[i] ?? 0;
        data[i] = value;
        if (data[i] !== value) {
          throw new FileFormatError(`${value} at element ${i} does not fit ${dtype}`, { where, remedy: damaged });
        }
      }
      return { dtype, shape, data };
    }
  }
}

function expectLength(got: number, expected: number, unit: string, dtype: DType, shape: Shape, where: string): void {
  if (got === expected) return;
  throw new FileFormatError(`${dtype}[${shape.join(",")}] needs ${expected} ${unit} of data, the file has ${got}`, {
    where,
    remedy: damaged,
  });
}

/** The error for data that lie in a file which the reader was not given. */
export function missingFile(location: string, where: string): UnsupportedError {
  return new UnsupportedError(`the tensor's data lies in another file, "${location}"`, {
    where,
    remedy: "Give the reader that file (externalData), or save the model as one file.",
  });
}

function externalBytes(proto: TensorProto, where: string, externalData: ExternalData | undefined): DataBytes {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get("location");
  if (location === undefined || location === "") {
    throw new FileFormatError("the tensor is in another file, which is not named", { where, remedy: damaged });
  }
  // A model from elsewhere must not be able to name any file of this machine.
  if (location !== ownFile && /^[/\\]|^[a-z]:|(^|[/\\])\.\.([/\\]|$)|\0/i.test(location)) {
    throw new FileFormatError(`the tensor lies in "${location}", which is not in the model's folder`, {
      where,
      remedy: "Save the model with its data in the same folder.",
    });
  }
  if (externalData === undefined) throw missingFile(location, where);
  const file = externalData(location);
  const offset = byteCount(entries.get("offset") ?? "0", "offset", where);
  const length = byteCount(entries.get("length") ?? String(Math.max(0, file.length - offset)), "length", where);
  if (offset + length > file.length) {
    throw new FileFormatError(
      `the tensor takes bytes ${offset} to ${offset + length} of "${location}", which has ${file.length}`,
      { where, remedy: "The data file is cut off or belongs to another model: copy both files again." },
    );
  }
  return rangeOf(file, offset, length);
}

function byteCount(text: string, what: string, where: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new FileFormatError(`the ${what} "${text}" of external data is not a number of bytes`, {
    where,
    remedy: damaged,
  });
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Text of a bytes field. @throws FileFormatError when it is not UTF-8. */
export function readText(bytes: Uint8Array, where: string): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new FileFormatError("a string is not valid UTF-8", { where, remedy: damaged, cause });
  }
}
