/**
 * Graphs that ONNX Runtime has optimised, kept in a folder by what they were made of: processes that run the same graph
 * one after another, as the trials of a study do, have it optimised once.
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { arch, cpus } from "node:os";
import { join } from "node:path";
import type { InferenceSession } from "onnxruntime-common";

/** What to open a session with. */
export interface CachedModel {
  readonly model: Uint8Array;
  readonly options: InferenceSession.SessionOptions;
  /** To be called once the session is open: keeps what the engine wrote. */
  readonly keep: () => Promise<void>;
}

/**
 * The optimised form of a model, from the folder where it is there already.
 *
 * Optimised graphs suit the processor that they were made on, and the version of the engine: both are part of the name.
 *
 * @param engine The engine with its version.
 */
export async function cachedModel(folder: string, model: Uint8Array, engine: string): Promise<CachedModel> {
  const hash = createHash("sha256")
    .update(`${engine} ${arch()} ${cpus()[0]?.model ?? ""}\n`)
    .update(model);
  const file = join(folder, `${hash.digest("hex").slice(0, 32)}.onnx`);
  if (existsSync(file)) {
    // A graph that is optimised already would only be looked through again.
    return { model: await readFile(file), options: { graphOptimizationLevel: "disabled" }, keep: async () => {} };
  }
  await mkdir(folder, { recursive: true });
  const temporary = `${file}.${randomUUID()}`;
  const keep = async (): Promise<void> => {
    // A cache that cannot be written costs time, nothing else.
    await rename(temporary, file).catch(() => rm(temporary, { force: true }));
  };
  return { model, options: { optimizedModelFilePath: temporary }, keep };
}
