/**
 * IDX files, the format of MNIST and its relatives, gzip-packed or plain.
 *
 * Layout (LeCun, Cortes, Burges, "The MNIST database", section "File formats"): two zero bytes, one byte for the element
 * type, one for the number of dimensions, each dimension as a big-endian uint32, then the elements in row-major order.
 * Images are unsigned bytes (type 0x08), as in every published data set in this format; labels are integers of any type
 * (QMNIST has int32), of which the first one of each sample counts.
 *
 * By hand: a header of sixteen bytes is less than a dependency, and its errors name the file and the byte.
 */
import { ConfigError, FileFormatError } from "../../../errors.ts";
import { writeFileWithFolder } from "../../../io/atomic-file.ts";
import { allocateBytes, checkMemory, fillFrom } from "../../../io/file-bytes.ts";
import { contentSize, maybePackedChunks, pack } from "../../../io/gzip.ts";
import { elementCount, type Shape } from "../../../ir/types.ts";

/** An array of unsigned bytes, row-major. */
export interface IdxArray {
  readonly shape: Shape;
  readonly data: Uint8Array;
}

/** The type of the elements: its number in the header, and how one is read where it is an integer. */
interface ElementType {
  readonly code: number;
  readonly name: string;
  readonly bytes: number;
  readonly integer?: (view: DataView, at: number) => number;
}

const unsignedByte = 0x08;
const elementTypes: readonly ElementType[] = [
  { code: unsignedByte, name: "uint8", bytes: 1, integer: (view, at) => view.getUint8(at) },
  { code: 0x09, name: "int8", bytes: 1, integer: (view, at) => view.getInt8(at) },
  { code: 0x0b, name: "int16", bytes: 2, integer: (view, at) => view.getInt16(at) },
  { code: 0x0c, name: "int32", bytes: 4, integer: (view, at) => view.getInt32(at) },
  { code: 0x0d, name: "float32", bytes: 4 },
  { code: 0x0e, name: "float64", bytes: 8 },
];
/** Numbers of a sample in the label files of QMNIST: the class, then writer and place. */
const qmnistLabelWidth = 8;

/** The limit of memory that an IDX file may ask for by itself: 16 GiB; see {@link readIdx}. */
const mostBytes = 2 ** 34;

/** Reads the shape of an IDX file and nothing more. @throws FileFormatError as {@link readIdx}. */
export async function readIdxShape(path: string): Promise<Shape> {
  const chunks = maybePackedChunks(path);
  try {
    return (await readHeader(chunks, path)).shape;
  } finally {
    await chunks.return(undefined);
  }
}

/**
 * Reads an IDX file of unsigned bytes; whether it is packed is seen from its first bytes, not from its name. It takes the
 * memory that its header states, however long the packed file is.
 *
 * @param most Limit of that memory in bytes.
 * @throws FileFormatError naming the file when it is missing, unreadable, damaged, truncated, too long or not IDX.
 */
export async function readIdx(path: string, most: number = mostBytes): Promise<IdxArray> {
  return readElements(path, most, checkBytes);
}

/**
 * Reads the label of each sample: [N] integers, or [N, 8] of QMNIST, whose first one is the class.
 *
 * @throws FileFormatError as {@link readIdx}, and for labels of floats or of another shape.
 */
export async function readIdxLabels(path: string): Promise<Int32Array<ArrayBuffer>> {
  const { shape, type, data } = await readElements(path, mostBytes, checkLabels);
  const [count = 0, width = 1] = shape;
  const { integer } = type;
  if (integer === undefined) throw wrongType(type.code, path);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Int32Array.from({ length: count }, (_, sample) => integer(view, sample * width * type.bytes));
}

/** Reads the elements as bytes, after `check` accepted what the header states. */
async function readElements(path: string, most: number, check: (header: Header, path: string) => void) {
  const chunks = maybePackedChunks(path);
  try {
    const { shape, type, rest } = await readHeader(chunks, path);
    check({ shape, type }, path);
    const expected = elementCount(shape) * type.bytes;
    const { isPacked, bytes } = await contentSize(path);
    const available = bytes - 4 - 4 * shape.length;
    if (!isPacked || expected > available) checkLength({ shape, type }, available, path);
    checkMemory(expected, most, path, `Set data.memoryBytes to ${expected} or more, or take a part of the data.`);
    const data = allocateBytes(expected, path);
    data.set(rest.subarray(0, expected));
    const found = rest.length + (rest.length > expected ? 0 : await fillFrom(chunks, data.subarray(rest.length)));
    checkLength({ shape, type }, found, path, " or more");
    return { shape, type, data };
  } finally {
    await chunks.return(undefined);
  }
}

interface Header {
  readonly shape: Shape;
  readonly type: ElementType;
}

function checkBytes({ type }: Header, path: string): void {
  if (type.code !== unsignedByte) throw wrongType(type.code, path);
}

function checkLabels({ shape, type }: Header, path: string): void {
  const [, width = 1] = shape;
  const isQmnist = width === qmnistLabelWidth && type.bytes === 4;
  if (type.integer === undefined) {
    throw new FileFormatError(`labels of type ${type.name} are no class numbers`, {
      where: path,
      remedy: "Save them as integers.",
    });
  }
  if (shape.length === 1 || (shape.length === 2 && isQmnist)) return;
  throw new FileFormatError(`expected labels [count], got the shape [${shape.join(", ")}]`, {
    where: path,
    remedy: "Give a file of labels, such as train-labels-idx1-ubyte.gz.",
  });
}

/** Reads the header, and what came with it in the same piece. */
async function readHeader(chunks: AsyncGenerator<Uint8Array>, where: string) {
  let head = new Uint8Array(0);
  for (;;) {
    const { value, done } = await chunks.next();
    if (value !== undefined) head = Uint8Array.from(Buffer.concat([head, value]));
    if (done === true || head.length >= headerLength(head)) break;
  }
  const header = decodeHeader(head, where);
  return { ...header, rest: head.subarray(4 + 4 * header.shape.length) };
}

/** The length of the header by its first bytes. */
function headerLength(head: Uint8Array): number {
  return 4 + 4 * (head[3] ?? 0);
}

/** Writes an IDX file atomically, gzip-packed when the name ends in `.gz`. @throws InputOutputError, ConfigError. */
export async function writeIdx(path: string, array: IdxArray): Promise<void> {
  const plain = encodeIdx(array);
  await writeFileWithFolder(path, path.endsWith(".gz") ? pack(plain) : plain);
}

/** The array in the bytes of an unpacked IDX file; `data` is a view of them. @throws FileFormatError naming `where`. */
export function decodeIdx(bytes: Uint8Array, where: string): IdxArray {
  const header = decodeHeader(bytes, where);
  checkBytes(header, where);
  const data = bytes.subarray(4 + 4 * header.shape.length);
  checkLength(header, data.length, where);
  return { shape: header.shape, data };
}

/** The shape and the type in the first bytes of an unpacked IDX file. */
function decodeHeader(bytes: Uint8Array, where: string): Header {
  const fail = (message: string, remedy = "Replace the file with an undamaged copy.") =>
    new FileFormatError(message, { where, remedy });
  const [zero0, zero1, elementType, rank] = bytes;
  if (zero0 === undefined || zero1 === undefined || elementType === undefined || rank === undefined) {
    throw fail(`the file is truncated: an IDX header has at least 4 bytes, there are ${bytes.length}`);
  }
  if (zero0 !== 0 || zero1 !== 0 || rank === 0) {
    throw fail(
      `this is not an IDX file: it starts with ${hexadecimal(bytes.subarray(0, 4))}, expected 00 00 08 and the number of dimensions`,
      "Give an IDX file such as train-images-idx3-ubyte.gz, or replace a damaged one.",
    );
  }
  const type = elementTypes.find(({ code }) => code === elementType);
  if (type === undefined) throw wrongType(elementType, where);
  if (bytes.length < headerLength(bytes)) {
    throw fail(
      `the file is truncated: ${rank} dimensions need a header of ${headerLength(bytes)} bytes, there are ${bytes.length}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  if (!Number.isSafeInteger(elementCount(shape) * 8)) throw fail(`an array of the shape ${shape.join("x")} cannot be`);
  return { shape, type };
}

function wrongType(code: number, where: string): FileFormatError {
  const name = elementTypes.find((type) => type.code === code)?.name ?? "an unknown type";
  return new FileFormatError(
    `the elements are of type 0x${code.toString(16).padStart(2, "0")} (${name}), expected 0x08 (uint8)`,
    { where, remedy: "Give an IDX file of unsigned bytes." },
  );
}

function checkLength({ shape, type }: Header, found: number, where: string, orMore = ""): void {
  const expected = elementCount(shape) * type.bytes;
  if (found === expected) return;
  throw new FileFormatError(
    found < expected
      ? `the file is truncated: its header states ${shape.join("x")} = ${expected} bytes of data, there are ${found}`
      : `${found - expected}${orMore} bytes follow the ${expected} bytes of data (${shape.join("x")}) that the header states`,
    { where, remedy: "Replace the file with an undamaged copy." },
  );
}

/** The bytes of an unpacked IDX file. @throws ConfigError when shape and data contradict or IDX cannot hold the shape. */
export function encodeIdx(array: IdxArray): Uint8Array {
  const { shape, data } = array;
  if (
    shape.length < 1 ||
    shape.length > 255 ||
    shape.some((size) => !Number.isInteger(size) || size < 0 || size >= 2 ** 32)
  ) {
    throw new ConfigError(`an IDX file cannot hold the shape [${shape.join(", ")}]`, {
      remedy: "Give 1 to 255 dimensions, each a whole number below 2^32.",
    });
  }
  if (data.length !== elementCount(shape)) {
    throw new ConfigError(`the shape [${shape.join(", ")}] needs ${elementCount(shape)} bytes, got ${data.length}`);
  }
  const start = 4 + 4 * shape.length;
  const bytes = new Uint8Array(start + data.length);
  const view = new DataView(bytes.buffer);
  bytes[2] = unsignedByte;
  bytes[3] = shape.length;
  shape.forEach((size, axis) => {
    view.setUint32(4 + 4 * axis, size);
  });
  bytes.set(data, start);
  return bytes;
}

function hexadecimal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
