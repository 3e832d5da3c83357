/**
 * Graphs that ONNX Runtime has optimised, kept in a folder by what they were made of: processes that run the same graph
 * one after another, as the trials of a study do, have it optimised once.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { arch, cpus } from "node:os";
import { join } from "node:path";
import type { InferenceSession } from "onnxruntime-common";
import { temporaryName } from "../../io/atomic-file.ts";

/** The model and options to open a session with. */
export interface CachedModel {
  readonly model: Uint8Array;
  readonly options: InferenceSession.SessionOptions;
  /** To be called once the session is open: keeps what the engine wrote. */
  readonly keep: () => Promise<void>;
  /** To be called when it could not be opened: removes what is there of it. */
  readonly drop: () => Promise<void>;
}

/**
 * The optimised form of a model, from the folder where it is there already; undefined where the folder cannot be used. A
 * cache that fails costs time, nothing else.
 *
 * Optimised graphs suit the processor that they were made on, and the version of the engine: both are part of the name.
 *
 * @param engine The engine with its version, and its optimization settings.
 */
export async function cachedModel(folder: string, model: Uint8Array, engine: string): Promise<CachedModel | undefined> {
  const hash = createHash("sha256")
    .update(`${engine} ${arch()} ${cpus()[0]?.model ?? ""}\n`)
    .update(model);
  const file = join(folder, `${hash.digest("hex").slice(0, 32)}.onnx`);
  const remove = (path: string) => rm(path, { force: true }).catch(() => undefined);
  if (existsSync(file)) {
    const known = await readFile(file).catch(() => undefined);
    if (known === undefined) return undefined;
    // A graph that is optimised already would only be looked through again.
    const options = { graphOptimizationLevel: "disabled" } as const;
    return { model: known, options, keep: async () => {}, drop: () => remove(file) };
  }
  const made = await mkdir(folder, { recursive: true }).then(
    () => true,
    () => false,
  );
  if (!made) return undefined;
  const temporary = temporaryName(file);
  return {
    model,
    options: { optimizedModelFilePath: temporary },
    keep: () => rename(temporary, file).catch(() => remove(temporary)),
    drop: () => remove(temporary),
  };
}
