/** Models as files, in Node.js: the model and the data files next to it. */

import { closeSync, existsSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, resolve, sep } from "node:path";
import { FileFormatError, InputOutputError, SubbyteError } from "../errors.ts";
import { readLimitedSync } from "../io/read-limited.ts";
import type { DataBytes } from "../ir/data-bytes.ts";
import { type FileInput, type OnnxFile, readOnnxFile } from "../onnx/read/file.ts";
import type { ExternalData } from "../onnx/wire/tensor.ts";
import { type ImportedNetwork, type ImportOptions, importOnnx } from "./import.ts";
import { dropUnusedInputs } from "./unused-inputs.ts";

/**
 * Reads a model from a file, its large tensors one at a time. Its external data may lie in the file's own folder and below,
 * and nowhere else.
 *
 * @throws InputOutputError when the file cannot be read, FileFormatError when it names data outside of its folder, and
 *   whatever importOnnx throws.
 *
 * @example
 * await writeFile("mine.onnx", exportOnnx(network));
 * console.log(importOnnxFile("mine.onnx").name);
 */
export function importOnnxFile(path: string, options: ImportOptions = {}): ImportedNetwork {
  const source = options.source ?? basename(path);
  return importOnnx(openModelFile(path), { ...options, source, inPlace: true, externalData: dataNextTo(path, source) });
}

/** A model's file decoded, before anything of it is understood. @throws as importOnnxFile does. */
export function decodeModelFile(path: string): OnnxFile {
  const source = basename(path);
  return readOnnxFile(openModelFile(path), { source, inPlace: true, externalData: dataNextTo(path, source) });
}

/** The inputs that a model's file states and reads. @throws as importOnnxFile does. */
export function statedInputs(path: string): readonly FileInput[] {
  return readInputs(path).inputs;
}

/** The inputs that a model's file reads, and the names of those that nothing reads. @throws as importOnnxFile does. */
export function readInputs(path: string): {
  readonly inputs: readonly FileInput[];
  readonly unused: readonly string[];
} {
  const { file, unused } = dropUnusedInputs(decodeModelFile(path));
  return { inputs: file.graph.inputs, unused };
}

/** The most that a model may take that comes through a pipe, which has to be in memory as a whole. */
const mostPipedBytes = 2 ** 30;

/** The model's bytes where it is a file; what comes through a pipe is read at once. */
function openModelFile(path: string): DataBytes {
  try {
    const stats = statSync(path);
    if (!stats.isFile()) return readLimitedSync(path, mostPipedBytes);
    return new FileBytes(path, stats.size, (cause) => unreadable(path, cause));
  } catch (cause) {
    throw cause instanceof SubbyteError ? cause : unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): InputOutputError {
  return new InputOutputError("the model cannot be read", { where: path, remedy: remedyFor(path), cause });
}

function remedyFor(path: string): string {
  if (!existsSync(path)) return "Check the path: there is no such file.";
  return statSync(path).isDirectory() ? "It is a folder: name the model's file in it." : "Check its permissions.";
}

/** The bytes of a file, read on demand. */
class FileBytes implements DataBytes {
  readonly length: number;
  readonly #path: string;
  readonly #failure: (cause: unknown) => Error;

  constructor(path: string, length: number, failure: (cause: unknown) => Error) {
    this.#path = path;
    this.length = length;
    this.#failure = failure;
  }

  subarray(begin: number, end: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(end, this.length) - begin));
    let filled = 0;
    try {
      const file = openSync(this.#path, "r");
      try {
        for (let read = -1; read !== 0 && filled < bytes.length; filled += read) {
          read = readSync(file, bytes, filled, bytes.length - filled, begin + filled);
        }
      } finally {
        closeSync(file);
      }
    } catch (cause) {
      throw this.#failure(cause);
    }
    return bytes.subarray(0, filled);
  }
}

/** Reads data files of a model. Links are followed first, so that none leads out of the folder. */
export function dataNextTo(path: string, source: string): ExternalData {
  return (location) => {
    const where = `${source}, external data "${location}"`;
    const folder = realpathSync(dirname(resolve(path)));
    const file = resolve(folder, location);
    if (!file.startsWith(folder + sep)) throw outside(where);
    let real: string;
    try {
      real = realpathSync(file);
    } catch (cause) {
      throw new FileFormatError("the file with the tensor's data is missing", {
        where,
        remedy: `Copy "${location}" into the folder of the model.`,
        cause,
      });
    }
    if (!real.startsWith(folder + sep)) {
      throw new FileFormatError("it is a link to a file outside of the model's folder, which is not followed", {
        where,
        remedy: `Replace the link with the file itself: cp -L copies it.`,
      });
    }
    const failure = (cause: unknown) =>
      new InputOutputError("the file with the tensor's data cannot be read", {
        where,
        remedy: cause === undefined ? "It is not a regular file: replace it with the data." : "Check its permissions.",
        ...(cause === undefined ? {} : { cause }),
      });
    const stats = statSync(real);
    if (!stats.isFile()) throw failure(undefined);
    return new FileBytes(real, stats.size, failure);
  };
}

function outside(where: string): FileFormatError {
  return new FileFormatError("it is outside of the model's folder, so it is not read", {
    where,
    remedy: "Save the model with its data in the same folder.",
  });
}
