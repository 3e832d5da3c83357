/** How far a log went when a checkpoint was written, and what was in it: a resumed run trusts no other beginning. */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { z } from "zod";
import { DamagedFileError, InputOutputError } from "../errors.ts";
import { describeSystemError, systemErrorCode } from "../io/system-error.ts";
import type { RunPaths } from "./folder.ts";

/** The first bytes of a log and their SHA-256. */
export const logExtentSchema = z.object({ bytes: z.number().int().nonnegative(), sha256: z.string() });
/** The first bytes of a log and their SHA-256. */
export type LogExtent = z.output<typeof logExtentSchema>;

/** Returns a function that gives the present extent of each log of a run, by the name of its file. */
export function followLogs({ metrics, diagnosis }: Pick<RunPaths, "metrics" | "diagnosis">) {
  const followers = [metrics, diagnosis].map((file) => [basename(file), new LogFollower(file)] as const);
  return async (): Promise<Readonly<Record<string, LogExtent>>> => {
    const extents = await Promise.all(followers.map(async ([name, log]) => [name, await log.extent()] as const));
    return Object.fromEntries(extents.flatMap(([name, extent]) => (extent === undefined ? [] : [[name, extent]])));
  };
}

/** Follows a log that only grows, reading each byte once. */
export class LogFollower {
  readonly #file: string;
  #hash: Hash = createHash("sha256");
  #bytes = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Returns the present extent of the log; undefined where there is none. @throws InputOutputError when it cannot be read. */
  async extent(): Promise<LogExtent | undefined> {
    const size = await sizeOf(this.#file);
    if (size === undefined) return undefined;
    if (size < this.#bytes) {
      this.#hash = createHash("sha256");
      this.#bytes = 0;
    }
    if (size > this.#bytes) await update(this.#hash, this.#file, this.#bytes, size);
    this.#bytes = size;
    return { bytes: size, sha256: this.#hash.copy().digest("hex") };
  }
}

/**
 * Checks that a log begins as it did when its extent was taken.
 *
 * @param step The training step of the checkpoint that recorded it.
 * @throws DamagedFileError naming the log.
 */
export async function checkLog(file: string, extent: LogExtent, step: number): Promise<void> {
  const remedy = "Start the run again with --exist-ok and its config.yaml, or restore the file.";
  const size = await sizeOf(file);
  if (size === undefined) {
    throw new DamagedFileError(`the log is missing, but the run logged ${step} steps`, { where: file, remedy });
  }
  const hash = createHash("sha256");
  if (size >= extent.bytes && extent.bytes > 0) await update(hash, file, 0, extent.bytes);
  if (size >= extent.bytes && hash.digest("hex") === extent.sha256) return;
  throw new DamagedFileError(
    `the log up to step ${step} is not what the run wrote: the file is damaged, was edited, or belongs to another run`,
    { where: file, remedy },
  );
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return undefined;
    throw unreadable(file, cause);
  }
}

async function update(hash: Hash, file: string, begin: number, end: number): Promise<void> {
  try {
    for await (const bytes of createReadStream(file, { start: begin, end: end - 1 })) hash.update(bytes);
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(file: string, cause: unknown): InputOutputError {
  return new InputOutputError(`cannot read the log: ${describeSystemError(cause).reason}`, { where: file, cause });
}
