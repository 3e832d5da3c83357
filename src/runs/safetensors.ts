/**
 * The safetensors format: an eight-byte little-endian header length, a JSON header, the tensors' bytes. Python reads it
 * with the package of that name.
 *
 * By hand: a JSON header and the bytes of the tensors are less than a dependency.
 */
import { DamagedFileError, FileFormatError } from "../errors.ts";
import { allocate, makeTensor, type Tensor } from "../ir/tensor.ts";
import { type DType, elementCount } from "../ir/types.ts";

/** Element types and their names in the format. */
const typeCodes: readonly (readonly [DType, string])[] = [
  ["float32", "F32"],
  ["float64", "F64"],
  ["float16", "F16"],
  ["bfloat16", "BF16"],
  ["int64", "I64"],
  ["int32", "I32"],
  ["int16", "I16"],
  ["int8", "I8"],
  ["uint64", "U64"],
  ["uint32", "U32"],
  ["uint16", "U16"],
  ["uint8", "U8"],
  ["bool", "BOOL"],
];

/** The contents of a safetensors file. */
export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The `__metadata__` of the header: text only. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The file's bytes, in parts that lie one after another. @throws FileFormatError for an element type without a name. */
export function encodeSafetensors({ tensors, metadata }: SafetensorsFile): Uint8Array[] {
  const header: Record<string, unknown> = { __metadata__: metadata };
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    const code = typeCodes.find(([type]) => type === dtype)?.[1];
    if (code === undefined || !("buffer" in data)) {
      throw new FileFormatError(`safetensors cannot hold ${dtype}`, { where: `tensor "${name}"` });
    }
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    header[name] = { dtype: code, shape, data_offsets: [offset, offset + bytes.length] };
    parts.push(bytes);
    offset += bytes.length;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  // The tensors start at a multiple of eight, so that readers may map them; the header is padded with spaces.
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20);
  padded.set(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  return [length, padded, ...parts];
}

/** Reads the file's bytes. @throws FileFormatError naming `where` when they are truncated or not safetensors. */
export function decodeSafetensors(bytes: Uint8Array, where: string): SafetensorsFile {
  const fail = (message: string): never => {
    throw new DamagedFileError(message, {
      where,
      remedy: "The file is damaged or not a safetensors file: take another copy or an earlier checkpoint.",
    });
  };
  if (bytes.length < 8) return fail(`${bytes.length} bytes are too few for a header`);
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (headerLength > bytes.length - 8) return fail(`the header of ${headerLength} bytes is longer than the file`);
  const header = parseHeader(bytes.subarray(8, 8 + headerLength), fail);
  const body = bytes.subarray(8 + headerLength);
  checkLayout(header, body.length, fail);
  const tensors = new Map<string, Tensor>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") {
      metadata = Object.fromEntries(Object.entries(asRecord(entry) ?? {}).map(([key, value]) => [key, String(value)]));
      continue;
    }
    tensors.set(name, readTensor(name, asRecord(entry) ?? {}, body, fail));
  }
  return { tensors, metadata };
}

type Fail = (message: string) => never;

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return fail("the header is not JSON");
  }
  return asRecord(header) ?? fail("the header is not a JSON object");
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

function isNaturalList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

/** The format demands that the tensors lie one after another and fill the file: no overlap, no gap, nothing after them. */
function checkLayout(header: Readonly<Record<string, unknown>>, length: number, fail: Fail): void {
  const ranges = Object.entries(header).flatMap(([name, entry]) => {
    const offsets = name === "__metadata__" ? undefined : asRecord(entry)?.data_offsets;
    const [begin, end] = isNaturalList(offsets) ? offsets : [];
    return begin === undefined || end === undefined ? [] : [{ name, begin, end }];
  });
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let filled = 0;
  for (const { name, begin, end } of ranges) {
    if (begin < filled) fail(`tensor "${name}" overlaps the one before it at byte ${begin}`);
    if (begin > filled) fail(`the bytes ${filled} to ${begin} before tensor "${name}" belong to no tensor`);
    filled = Math.max(filled, end);
  }
  if (filled < length) fail(`${length - filled} bytes after the last tensor belong to no tensor`);
}

function readTensor(name: string, entry: Record<string, unknown>, body: Uint8Array, fail: Fail): Tensor {
  const { shape, data_offsets: offsets } = entry;
  const dtype = typeCodes.find(([, code]) => code === entry.dtype)?.[0];
  if (dtype === undefined) return fail(`tensor "${name}" has the unknown element type ${String(entry.dtype)}`);
  if (!isNaturalList(shape) || !isNaturalList(offsets) || offsets.length !== 2) {
    return fail(`the entry of tensor "${name}" is malformed`);
  }
  const [begin = 0, end = 0] = offsets;
  if (begin > end || end > body.length)
    return fail(`tensor "${name}" ends at byte ${end}, the file has ${body.length}`);
  const count = elementCount(shape);
  // Checked before anything is allocated: a damaged shape must not ask for more memory than the file has bytes.
  if (count > end - begin) return fail(`tensor "${name}" has ${count} elements in ${end - begin} bytes`);
  const data = allocate(dtype, count);
  if (data.byteLength !== end - begin) {
    return fail(`tensor "${name}" needs ${data.byteLength} bytes, the file gives ${end - begin}`);
  }
  new Uint8Array(data.buffer).set(body.subarray(begin, end));
  return makeTensor(dtype, shape, data);
}
