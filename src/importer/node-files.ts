/** Models as files, in Node.js: the model and the data files that lie beside it. */

import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, resolve, sep } from "node:path";
import { FileFormatError, InputOutputError } from "../errors.ts";
import type { ExternalData } from "../graph/onnx-tensor.ts";
import { type ImportedNetwork, type ImportOptions, importOnnx } from "./import.ts";

/**
 * Reads a model from a file; its external data may lie in the file's own folder and below, and nowhere else.
 *
 * @throws InputOutputError when the file cannot be read, FileFormatError when it names data outside of its folder, and
 *   whatever importOnnx throws.
 */
export function importOnnxFile(path: string, options: ImportOptions = {}): ImportedNetwork {
  const source = options.source ?? basename(path);
  return importOnnx(readModel(path), { ...options, source, inPlace: true, externalData: dataBeside(path, source) });
}

/** The bytes of a model's file, and what gives the data that lie beside it. @throws InputOutputError */
export function readModelFile(path: string): { readonly bytes: Uint8Array; readonly externalData: ExternalData } {
  return { bytes: readModel(path), externalData: dataBeside(path, basename(path)) };
}

function readModel(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new InputOutputError(`the model "${path}" cannot be read`, {
      where: path,
      remedy: existsSync(path) ? "Check its permissions." : "Check the path: there is no such file.",
      cause,
    });
  }
}

/** Reads data files of a model. Links are followed first, so that none leads out of the folder. */
export function dataBeside(path: string, source: string): ExternalData {
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
    if (!real.startsWith(folder + sep)) throw outside(where);
    try {
      return readFileSync(real);
    } catch (cause) {
      throw new InputOutputError("the file with the tensor's data cannot be read", { where, cause });
    }
  };
}

function outside(where: string): FileFormatError {
  return new FileFormatError("it lies outside of the model's folder, which is not read", {
    where,
    remedy: "Save the model with its data in the same folder.",
  });
}
