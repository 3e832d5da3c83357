/**
 * SHA256SUMS: the checksums of what a run left when it ended, in the format of `sha256sum -c`.
 *
 * It is written before summary.json, and taken away before a run is resumed, so that a run with both is whole. A run without
 * it, of an earlier version or killed at the wrong moment, is taken as it is.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { DamagedFileError, InputOutputError } from "../errors.ts";
import { removeFile, writeFileAtomic } from "../io/atomic-file.ts";
import { describeSystemError, systemErrorCode } from "../io/system-error.ts";
import type { RunPaths } from "./folder.ts";

/** Writes summary.json, whole or not at all, and before it the checksums of the run's files. */
export async function writeSummary(paths: RunPaths, summary: Readonly<Record<string, unknown>>): Promise<void> {
  const text = `${JSON.stringify(summary, undefined, 2)}\n`;
  const sums = new Map([[basename(paths.summary), digest(text)]]);
  for (const file of [paths.metrics, paths.diagnosis, paths.findings]) {
    const content = await contentOf(file);
    if (content !== undefined) sums.set(basename(file), digest(content));
  }
  await write(paths, sums);
  await writeFileAtomic(paths.summary, text);
}

/** Removes the checksums of a run that is about to change. */
export async function dropSums(paths: RunPaths): Promise<void> {
  await removeFile(paths.sums);
}

/** Does a job that writes files of an ended run again, and keeps their new checksums where the run has any. */
export async function rewriting(paths: RunPaths, files: readonly string[], job: () => Promise<void>): Promise<void> {
  const sums = await read(paths);
  if (sums === undefined) return job();
  for (const file of files) sums.delete(basename(file));
  // Without them first: a job that is killed half-way leaves files that are taken as they are.
  await write(paths, sums);
  await job();
  for (const file of files) {
    const content = await contentOf(file);
    if (content !== undefined) sums.set(basename(file), digest(content));
  }
  await write(paths, sums);
}

/**
 * Checks the files of an ended run, except ablation.json, which can be made again; a log of the diagnosis may be deleted.
 *
 * @throws DamagedFileError naming the file that is missing or is not what the run wrote.
 */
export async function checkSums(paths: RunPaths): Promise<void> {
  const sums = await read(paths);
  if (sums === undefined || (await contentOf(paths.summary)) === undefined) return;
  // Logs first: the other files can be made again from them.
  const files = [paths.metrics, paths.summary, paths.diagnosis, paths.findings];
  for (const file of files) {
    if (!sums.has(basename(file))) continue;
    if (await isAsWritten(file, sums)) continue;
    const isMissing = (await contentOf(file)) === undefined;
    if (isMissing && file === paths.diagnosis) continue;
    throw new DamagedFileError(
      isMissing ? "the file is missing, but the run wrote it" : "the file is not what the run wrote: damaged or edited",
      {
        where: file,
        remedy: `Restore it, or resume the run, which writes it again where its logs are whole: subbyte train --resume ${paths.folder}`,
      },
    );
  }
}

/** Whether the ablation of a run is what was written. */
export async function isAblationSound(paths: RunPaths): Promise<boolean> {
  const sums = await read(paths);
  return sums === undefined || !sums.has(basename(paths.ablation)) || (await isAsWritten(paths.ablation, sums));
}

async function isAsWritten(file: string, sums: ReadonlyMap<string, string>): Promise<boolean> {
  const content = await contentOf(file);
  return content !== undefined && digest(content) === sums.get(basename(file));
}

function digest(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

async function contentOf(file: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(file);
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return undefined;
    throw new InputOutputError(`cannot read: ${describeSystemError(cause).reason}`, { where: file, cause });
  }
}

async function write(paths: RunPaths, sums: ReadonlyMap<string, string>): Promise<void> {
  const names = [...sums.keys()].sort();
  await writeFileAtomic(paths.sums, names.map((name) => `${sums.get(name)}  ${name}\n`).join(""));
}

async function read(paths: RunPaths): Promise<Map<string, string> | undefined> {
  const bytes = await contentOf(paths.sums);
  if (bytes === undefined) return undefined;
  const lines = new TextDecoder().decode(bytes).split("\n").slice(0, -1);
  const known = new Set(
    [paths.metrics, paths.summary, paths.diagnosis, paths.findings, paths.ablation].map((file) => basename(file)),
  );
  const sums = new Map<string, string>();
  for (const line of lines) {
    const [, sum, name] = /^([\da-f]{64}) {2}(.+)$/.exec(line) ?? [];
    if (sum === undefined || name === undefined || !known.has(name)) throw damagedSums(paths);
    sums.set(name, sum);
  }
  // What a run always writes: without them the file was cut.
  if (!sums.has(basename(paths.summary))) throw damagedSums(paths);
  return sums;
}

function damagedSums({ sums }: RunPaths): DamagedFileError {
  return new DamagedFileError("the list of checksums is damaged", {
    where: sums,
    remedy: "Remove it: the run is then taken as it is.",
  });
}
