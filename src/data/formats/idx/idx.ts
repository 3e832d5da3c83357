/**
 * IDX files, the format of MNIST and its relatives, gzip-packed or plain.
 *
 * Layout (LeCun, Cortes, Burges, "The MNIST database", section "File formats"): two zero bytes, one byte for the element
 * type, one for the number of dimensions, each dimension as a big-endian uint32, then the elements in row-major order.
 * Only unsigned bytes (type 0x08) are read: every published data set in this format has them.
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

const unsignedByte = 0x08;
const otherElementTypes: ReadonlyMap<number, string> = new Map([
  [0x09, "int8"],
  [0x0b, "int16"],
  [0x0c, "int32"],
  [0x0d, "float32"],
  [0x0e, "float64"],
]);

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
  const chunks = maybePackedChunks(path);
  try {
    const { shape, rest } = await readHeader(chunks, path);
    const expected = elementCount(shape);
    const { isPacked, bytes } = await contentSize(path);
    const available = bytes - 4 - 4 * shape.length;
    if (!isPacked || expected > available) checkLength(shape, available, path);
    checkMemory(expected, most, path, `Set data.memoryBytes to ${expected} or more, or take a part of the data.`);
    const data = allocateBytes(expected, path);
    data.set(rest.subarray(0, expected));
    const found = rest.length + (rest.length > expected ? 0 : await fillFrom(chunks, data.subarray(rest.length)));
    checkLength(shape, found, path, " or more");
    return { shape, data };
  } finally {
    await chunks.return(undefined);
  }
}

/** Reads the header, and what came with it in the same piece. */
async function readHeader(chunks: AsyncGenerator<Uint8Array>, where: string) {
  let head = new Uint8Array(0);
  for (;;) {
    const { value, done } = await chunks.next();
    if (value !== undefined) head = Uint8Array.from(Buffer.concat([head, value]));
    if (done === true || head.length >= headerLength(head)) break;
  }
  const shape = decodeIdxShape(head, where);
  return { shape, rest: head.subarray(4 + 4 * shape.length) };
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
  const shape = decodeIdxShape(bytes, where);
  const data = bytes.subarray(4 + 4 * shape.length);
  checkLength(shape, data.length, where);
  return { shape, data };
}

/** The shape in the first bytes of an unpacked IDX file. */
function decodeIdxShape(bytes: Uint8Array, where: string): Shape {
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
  if (elementType !== unsignedByte) {
    const name = otherElementTypes.get(elementType) ?? "an unknown type";
    throw fail(
      `the elements are of type 0x${elementType.toString(16).padStart(2, "0")} (${name}), expected 0x08 (uint8)`,
      "Give an IDX file of unsigned bytes.",
    );
  }
  if (bytes.length < headerLength(bytes)) {
    throw fail(
      `the file is truncated: ${rank} dimensions need a header of ${headerLength(bytes)} bytes, there are ${bytes.length}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  if (!Number.isSafeInteger(elementCount(shape))) throw fail(`an array of the shape ${shape.join("x")} cannot be`);
  return shape;
}

function checkLength(shape: Shape, found: number, where: string, orMore = ""): void {
  const expected = elementCount(shape);
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
