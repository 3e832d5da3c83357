/** Arrays that lie in NPY files or in NPZ archives; of each no more is read than is asked for. */
import { basename, join } from "node:path";
import { FileFormatError } from "../../../errors.ts";
import { type ByteChunks, fileChunks, fileSize, readRange } from "../../../io/file-bytes.ts";
import { openZip, type ZipEntry } from "../../../io/zip.ts";
import { checkNpyLength, decodeNpyHeader, type NpyHeader, npyHeaderBytes } from "./npy.ts";

/** An array that was not opened yet. */
export interface NamedArray {
  readonly name: string;
  /** Reads the header and checks that the file is as long as it states. @throws FileFormatError. */
  open(): Promise<ArrayFile>;
}

/** An array whose header was read. */
export interface ArrayFile {
  readonly name: string;
  readonly where: string;
  readonly header: NpyHeader;
  /** The file that the elements lie in as they are, and where they begin; absent where they are packed. */
  readonly place?: { readonly path: string; readonly start: number };
  /** The bytes of the elements. */
  chunks(): ByteChunks;
}

/** The arrays of an NPZ archive. @throws FileFormatError naming the path, also where two have one name. */
export async function arraysOfNpz(path: string): Promise<readonly NamedArray[]> {
  const entries = (await openZip(path)).filter(({ name }) => name.endsWith(".npy"));
  const names = entries.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new FileFormatError(`${twice} is in the archive twice`, {
      where: path,
      remedy: "Save it again with numpy.savez.",
    });
  }
  return entries.map((entry) => {
    const name = entry.name.replace(/\.npy$/, "");
    return { name, open: () => openEntry(path, name, entry) };
  });
}

/** The only array of an NPZ archive, under the name of the archive. @throws FileFormatError where there are several. */
export async function onlyArrayOfNpz(path: string): Promise<NamedArray> {
  const [array, second] = await arraysOfNpz(path);
  if (array !== undefined && second === undefined) {
    const name = basename(path, ".npz");
    return { name, open: async () => ({ ...(await array.open()), name }) };
  }
  throw new FileFormatError("of several NPZ files in a folder each has to hold one array", {
    where: path,
    remedy: "Give the path of one of them.",
  });
}

async function openEntry(path: string, name: string, entry: ZipEntry): Promise<ArrayFile> {
  const where = `${path}, ${entry.name}`;
  const header = decodeNpyHeader(await firstBytes(entry.chunks(), npyHeaderBytes), where);
  checkNpyLength(header, entry.size, where);
  const chunks = () => afterHeader(entry.chunks(), header.dataOffset);
  if (!entry.isStored) return { name, where, header, chunks };
  return { name, where, header, chunks, place: { path, start: (await entry.start()) + header.dataOffset } };
}

/** The arrays of NPY files in one folder. */
export function arraysOfNpy(folder: string, files: readonly string[]): readonly NamedArray[] {
  return files.map((file) => ({ name: basename(file), open: () => openFile(join(folder, file), basename(file)) }));
}

async function openFile(path: string, name: string): Promise<ArrayFile> {
  const size = await fileSize(path);
  const header = decodeNpyHeader(await readRange(path, 0, Math.min(size, npyHeaderBytes)), path);
  checkNpyLength(header, size, path);
  const start = header.dataOffset;
  return { name, where: path, header, place: { path, start }, chunks: () => fileChunks(path, start, size - start) };
}

async function firstBytes(chunks: ByteChunks, most: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(Uint8Array.from(chunk.subarray(0, most - length)));
    length += chunk.length;
    if (length >= most) break;
  }
  return Buffer.concat(parts);
}

async function* afterHeader(chunks: ByteChunks, length: number): AsyncGenerator<Uint8Array> {
  let skipped = 0;
  for await (const chunk of chunks) {
    const skip = Math.min(length - skipped, chunk.length);
    skipped += skip;
    if (skip < chunk.length) yield chunk.subarray(skip);
  }
}
