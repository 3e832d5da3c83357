/**
 * NPY files, version 1 to 3 (NumPy Enhancement Proposal 1 and `numpy.lib.format`): magic, version, the length of a header,
 * the header as a Python dictionary (`descr`, `fortran_order`, `shape`), then the elements.
 *
 * Read are booleans, integers and floats of either byte order, in C or Fortran order. Objects are not: they are pickled
 * programs.
 *
 * By hand: a header and elements of either byte order are less than a dependency, and the errors name the file.
 */
import { FileFormatError } from "../../errors.ts";
import { halfToNumber } from "../../ir/half.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import type { SampleArray } from "../dataset/dataset.ts";

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

/** An array in memory, its elements as they lie in the file. */
export interface NpyArray extends NpyHeader {
  readonly bytes: Uint8Array;
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
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const dimensions = /'shape'\s*:\s*\(([\d,\sL]*)\)/.exec(text)?.[1];
  const descr = /'descr'\s*:\s*'([<>|=])?([A-Za-z]\d+)'/.exec(text);
  if (descr === null) {
    const found = /'descr'\s*:\s*('[^']*'|\[[^\]]*\])/.exec(text)?.[1];
    if (found === undefined) throw fail("the header has no 'descr'");
    throw fail(
      found.includes("O")
        ? "the array holds Python objects, which are not supported"
        : `elements of type ${found} are not read`,
      "Save an array of numbers: array.astype('float32').",
    );
  }
  const [, byteOrder, code = ""] = descr;
  if (!knownTypes.includes(code)) {
    throw fail(`elements of type '${code}' are not read`, `Convert it to one of ${knownTypes.join(" ")}.`);
  }
  if (order === undefined || dimensions === undefined) throw fail("the header has no 'fortran_order' or no 'shape'");
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

/** The array in the bytes of a whole file. @throws FileFormatError naming `where`. */
export function decodeNpy(bytes: Uint8Array, where: string): NpyArray {
  const header = decodeNpyHeader(bytes, where);
  checkNpyLength(header, bytes.length, where);
  return { ...header, bytes: bytes.subarray(header.dataOffset) };
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

/** Elements as samples: bytes as they are, everything else as float32. `bytes` holds whole elements. */
export function decodeSamples(bytes: Uint8Array, type: NpyType): SampleArray {
  if (type.kind === "u" && type.bytes === 1) return bytes;
  const values = new Float32Array(bytes.length / type.bytes);
  if (type.kind === "f" && type.bytes === 4 && !type.isBigEndian) {
    new Uint8Array(values.buffer).set(bytes);
    return values;
  }
  const read = elementReader(bytes, type);
  for (let i = 0; i < values.length; i++) values[i] = read(i);
  return values;
}

/** Elements as numbers; integers of 64 bits are rounded to float64. */
export function decodeNumbers({ bytes, type }: Pick<NpyArray, "bytes" | "type">): Float64Array {
  const read = elementReader(bytes, type);
  return Float64Array.from({ length: bytes.length / type.bytes }, (_, i) => read(i));
}

/** The same elements in C order: the last dimension runs fastest. */
export function toRowMajor(array: NpyArray): NpyArray {
  const { shape, bytes, type } = array;
  if (!array.isFortranOrder || shape.length < 2) return { ...array, isFortranOrder: false };
  const ordered = new Uint8Array(bytes.length);
  const position = shape.map(() => 0);
  const strides = shape.map((_, axis) => elementCount(shape.slice(0, axis)) * type.bytes);
  for (let to = 0; to < bytes.length; to += type.bytes) {
    const from = position.reduce((sum, place, axis) => sum + place * (strides[axis] ?? 0), 0);
    for (let i = 0; i < type.bytes; i++) ordered[to + i] = bytes[from + i] ?? 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (position[axis] ?? 0) + 1;
      position[axis] = next === shape[axis] ? 0 : next;
      if (position[axis] !== 0) break;
    }
  }
  return { ...array, bytes: ordered, isFortranOrder: false };
}

function elementReader(bytes: Uint8Array, { kind, bytes: size, isBigEndian }: NpyType): (index: number) => number {
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
