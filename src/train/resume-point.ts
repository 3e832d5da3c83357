/** The checkpoints that a run can be resumed from: the last one, and the one before it. */
import { link, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TrainingConfig } from "../config/schema/schema.ts";
import { FileFormatError, InputOutputError } from "../errors.ts";
import { temporaryName } from "../io/atomic-file.ts";
import { systemErrorCode } from "../io/system-error.ts";
import { type Checkpoint, checkConfiguration, readCheckpoint } from "../runs/checkpoint.ts";
import { lastCheckpoint, previousCheckpoint } from "../runs/checkpoint-names.ts";
import type { RunPaths } from "../runs/folder.ts";
import { checkLog } from "../runs/log-extent.ts";

/** The checkpoint to resume from, and what is wrong with the others. */
export interface ResumePoint {
  readonly checkpoint: Checkpoint;
  readonly file: string;
  /** One sentence for each checkpoint that cannot be used. */
  readonly notes: readonly string[];
}

/**
 * Keeps the last checkpoint under the name of the previous one, before a new one takes its name. Both names share one file
 * where the file system can do that, so that at no moment the run has no checkpoint.
 */
export async function keepPrevious(checkpoints: string): Promise<void> {
  const last = join(checkpoints, lastCheckpoint);
  const previous = join(checkpoints, previousCheckpoint);
  const second = temporaryName(previous);
  try {
    await link(last, second);
    await rename(second, previous);
  } catch (error) {
    // Without hard links, the moment until the new checkpoint has its name is bridged by the previous one.
    if (systemErrorCode(error) !== "ENOENT") await rename(last, previous).catch(() => undefined);
  } finally {
    // Renaming one name of a file to another name of the same file does nothing.
    await rm(second, { force: true }).catch(() => undefined);
  }
}

/**
 * Finds the newest checkpoint that is sound and whose logs are.
 *
 * @returns undefined for a run without any checkpoint.
 * @throws ConfigError for a checkpoint of another configuration; FileFormatError, that of the last one, when there are
 *   checkpoints and none can be used.
 */
export async function resumePoint(paths: RunPaths, config: TrainingConfig): Promise<ResumePoint | undefined> {
  const failures: FileFormatError[] = [];
  for (const name of [lastCheckpoint, previousCheckpoint]) {
    const file = join(paths.checkpoints, name);
    try {
      const checkpoint = await readCheckpoint(file);
      checkConfiguration(checkpoint, config, file);
      await checkLogs(paths, checkpoint);
      const notes = failures.map(
        (error) => `${error.where ?? file}: ${error.message}; resuming from ${name}, step ${checkpoint.position.step}`,
      );
      return { checkpoint, file, notes };
    } catch (error) {
      if (error instanceof InputOutputError && systemErrorCode(error.cause) === "ENOENT") continue;
      if (!(error instanceof FileFormatError)) throw error;
      failures.push(error);
    }
  }
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  return undefined;
}

async function checkLogs(paths: RunPaths, { logs = {}, position }: Checkpoint): Promise<void> {
  for (const [name, extent] of Object.entries(logs)) {
    const file = [paths.metrics, paths.diagnosis].find((path) => path === join(paths.folder, name));
    if (file !== undefined) await checkLog(file, extent, position.step);
  }
}
