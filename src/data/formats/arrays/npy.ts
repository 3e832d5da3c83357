/**
 * NPY files, version 1 to 3 (NumPy Enhancement Proposal 1 and `numpy.lib.format`): magic, version, the length of a header,
 * the header as a Python dictionary (`descr`, `fortran_order`, `shape`), then the elements.
 *
 * Read are booleans, integers and floats of either byte order, in C or Fortran order. Objects are not: they are pickled
 * programs.
 *
 * By hand: a header and elements of either byte order are less than a dependency, and the errors name the file.
 */
import { FileFormatError } from "../../../errors.ts";
import { halfToNumber } from "../../../ir/half.ts";
import { elementCount, type Shape } from "../../../ir/types.ts";

/** The kinds of elements: `b` boolean, `i` and `u` integers, `f` floats. */
export interface NpyType {
  readonly kind: "b" | "i" | "u" | "f";
  readonly bytes: number;
  readonly isBigEndian: boolean;
}

/** The header of a file. */
export interface NpyHeader {
  readonly type: NpyType;
  readonly shape: Shape;
  readonly isFortranOrder: boolean;
  /** Where the elements begin. */
  readonly dataOffset: number;
}

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const knownTypes = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"];
/** numpy itself refuses longer headers. */
const longestHeader = 10_000;
/** Bytes of a file that hold its header for sure. */
export const npyHeaderBytes: number = longestHeader + 12;

/** @param bytes The first {@link npyHeaderBytes} of the file or all of it. @throws FileFormatError naming `where`. */
export function decodeNpyHeader(bytes: Uint8Array, where: string): NpyHeader {
  const fail = (message: string, remedy = "Save the array again with numpy.save.") =>
    new FileFormatError(message, { where, remedy });
  if (magic.some((byte, i) => bytes[i] !== byte))
    throw fail("it is not an NPY file: it does not begin with \\x93NUMPY");
  const [major = 0] = bytes.subarray(6);
  if (major < 1 || major > 3) throw fail(`NPY version ${major} is not known; 1, 2 and 3 are`);
  const start = major === 1 ? 10 : 12;
  if (bytes.length < start) throw fail("the file is truncated in its header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > longestHeader) throw fail(`the header is ${length} bytes long, at most ${longestHeader} make sense`);
  if (bytes.length < start + length) throw fail("the file is truncated in its header");
  const text = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const keys = readKeys(text);
  if (keys === undefined) throw fail("the header is no dictionary of descr, fortran_order and shape, each once");
  const { order, descr: elementType } = keys;
  const dimensions = /^\((\s*|\s*\d+L?\s*,\s*(\d+L?\s*,\s*)*(\d+L?\s*)?)\)$/.exec(keys.shape)?.[1];
  const descr = /^['"]([<>|=])?([A-Za-z]\d+)['"]$/.exec(elementType);
  if (descr === null) {
    throw fail(
      elementType.includes("O")
        ? "the array holds Python objects, which are not supported"
        : `elements of type ${elementType} are not read`,
      "Save an array of numbers: array.astype('float32').",
    );
  }
  const [, byteOrder, code = ""] = descr;
  if (!knownTypes.includes(code)) {
    const isText = code.startsWith("U") || code.startsWith("S");
    throw fail(
      `elements of type '${code}' are not read${isText ? ": they are words" : ""}`,
      isText
        ? "Save the numbers of the classes: numpy.unique(y, return_inverse=True)[1]."
        : `Convert it to one of ${knownTypes.join(" ")}.`,
    );
  }
  if (dimensions === undefined) throw fail(`the shape ${keys.shape} is no tuple of whole numbers`);
  const shape = dimensions
    .split(",")
    .map((part) => part.trim().replace(/L$/, ""))
    .filter((part) => part !== "")
    .map(Number);
  if (shape.length > 32 || !Number.isSafeInteger(elementCount(shape) * 8)) {
    throw fail(`an array of the shape [${shape.join(", ")}] cannot be`);
  }
  const type: NpyType = { kind: kindOf(code), bytes: Number(code.slice(1)), isBigEndian: byteOrder === ">" };
  return { type, shape, isFortranOrder: order === "True", dataOffset: start + length };
}

function kindOf(code: string): NpyType["kind"] {
  const first = code[0];
  return first === "b" || first === "i" || first === "u" ? first : "f";
}

/** Reads the dictionary of a header as Python would; undefined where numpy refuses it, or where a key comes twice. */
function readKeys(
  text: string,
): { readonly descr: string; readonly order: string; readonly shape: string } | undefined {
  const body = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1];
  const values = new Map<string, string>();
  const pair = /\s*['"](\w+)['"]\s*:\s*('[^']*'|"[^"]*"|True|False|\([^()]*\)|\[[^\]]*\])\s*(?:,|$)\s*/y;
  while (body !== undefined && pair.lastIndex < body.length) {
    const [, key = "", value = ""] = pair.exec(body) ?? [];
    if (key === "" || values.has(key)) return undefined;
    values.set(key, value);
  }
  const [descr, order, shape] = ["descr", "fortran_order", "shape"].map((key) => values.get(key));
  if (values.size !== 3 || descr === undefined || shape === undefined) return undefined;
  return order === "True" || order === "False" ? { descr, order, shape } : undefined;
}

/** @throws FileFormatError unless the file is as long as its header states. */
export function checkNpyLength(header: NpyHeader, fileBytes: number, where: string): void {
  const expected = elementCount(header.shape) * header.type.bytes;
  const found = fileBytes - header.dataOffset;
  if (found === expected) return;
  const said = `${header.shape.join("x") || "one"} elements of ${header.type.bytes} bytes = ${expected} bytes`;
  throw new FileFormatError(
    found < expected
      ? `the file is truncated: its header states ${said} of data, there are ${found}`
      : `${found - expected} bytes follow the ${said} that the header states`,
    { where, remedy: "Save the array again with numpy.save." },
  );
}

/** How messages call the elements: `uint8`. */
export function npyTypeName({ kind, bytes }: NpyType): string {
  if (kind === "b") return "bool";
  return `${{ i: "int", u: "uint", f: "float" }[kind]}${8 * bytes}`;
}

/** Elements in C order: bytes as they are, other samples as float32, targets as float64. */
export type ElementArray = Uint8Array | Float32Array | Float64Array;

/** Bytes decoded at the same time: a multiple of every element's size. */
const blockBytes = 1 << 16;

/**
 * Decodes the elements of an array into C order, the last dimension fastest, piece by piece.
 *
 * @param chunks The bytes after the header.
 * @param into Has the length of the array; numbers of 64 bits are rounded to its type.
 */
export async function decodeElements(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  header: NpyHeader,
  into: ElementArray,
): Promise<void> {
  const { type, shape } = header;
  const next = header.isFortranOrder && shape.length > 1 ? fortranPlaces(shape) : undefined;
  let done = 0;
  for await (const block of blocks(chunks)) {
    const read = elementReader(block, type);
    const count = Math.min(Math.floor(block.length / type.bytes), into.length - done);
    if (next !== undefined) {
      for (let i = 0; i < count; i++) into[next()] = read(i);
    } else if (into instanceof Float32Array && isNativeFloat(type)) {
      into.set(new Float32Array(block.buffer, block.byteOffset, count), done);
    } else if (into instanceof Uint8Array) {
      into.set(block.subarray(0, count), done);
    } else {
      for (let i = 0; i < count; i++) into[done + i] = read(i);
    }
    done += count;
  }
}

/** Whether an element is as a Float32Array of this machine has it. */
function isNativeFloat({ kind, bytes, isBigEndian }: NpyType): boolean {
  const isLittleMachine = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  return kind === "f" && bytes === 4 && isBigEndian !== isLittleMachine;
}

/** Returns the place in C order of each element as Fortran order has them, the first dimension fastest. */
function fortranPlaces(shape: Shape): () => number {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const position = shape.map(() => 0);
  let place = 0;
  return () => {
    const current = place;
    for (let axis = 0; axis < shape.length; axis++) {
      const [index = 0, stride = 0, size = 1] = [position[axis], strides[axis], shape[axis]];
      if (index + 1 < size) {
        position[axis] = index + 1;
        place += stride;
        break;
      }
      position[axis] = 0;
      place -= index * stride;
    }
    return current;
  };
}

/** The same bytes in blocks of one length; the last one may be shorter. */
async function* blocks(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const block = new Uint8Array(blockBytes);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const length = Math.min(blockBytes - filled, chunk.length - at);
      block.set(chunk.subarray(at, at + length), filled);
      filled += length;
      at += length;
      if (filled < blockBytes) continue;
      yield block;
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

function elementReader(bytes: Uint8Array, { kind, bytes: size, isBigEndian }: NpyType): (index: number) => number {
  if (kind === "b") return (i) => (bytes[i] === 0 ? 0 : 1);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = !isBigEndian;
  switch (`${kind}${size}`) {
    case "i1":
      return (i) => view.getInt8(i);
    case "i2":
      return (i) => view.getInt16(2 * i, little);
    case "u2":
      return (i) => view.getUint16(2 * i, little);
    case "i4":
      return (i) => view.getInt32(4 * i, little);
    case "u4":
      return (i) => view.getUint32(4 * i, little);
    case "i8":
      return (i) => Number(view.getBigInt64(8 * i, little));
    case "u8":
      return (i) => Number(view.getBigUint64(8 * i, little));
    case "f2":
      return (i) => halfToNumber(view.getUint16(2 * i, little));
    case "f4":
      return (i) => view.getFloat32(4 * i, little);
    case "f8":
      return (i) => view.getFloat64(8 * i, little);
    default:
      return (i) => view.getUint8(i);
  }
}
