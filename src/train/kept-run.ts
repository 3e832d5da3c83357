/** A run that is trained once: a later call with the same configuration and folder resumes it, or returns what it reached. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { configToYaml } from "../config/config.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import { configHash } from "../runs/checkpoint.ts";
import { runPaths } from "../runs/folder.ts";
import { type FinalNumbers, readRunRecord } from "../runs/record.ts";
import { type RunListeners, resumeRun, startRun } from "./run.ts";

/** A configuration, and the folder that its run's folder is made in. */
export interface KeptRun {
  readonly config: TrainingConfig;
  readonly parent: string;
  /** The start of the folder's name; the hash of the configuration follows. */
  readonly name: string;
}

/** Returns the folder of a kept run. */
export function keptFolder({ config, parent, name }: KeptRun): string {
  return join(parent, nameOf(config, name));
}

function nameOf(config: TrainingConfig, name: string): string {
  return `${name}-${configHash(configToYaml(config)).slice(0, 8)}`;
}

/**
 * Trains a configuration, unless that was done; a run that was stopped is resumed.
 *
 * @throws InterruptedError when the signal stopped it, DivergenceError, and whatever a run throws.
 *
 * @example
 * const { accuracy } = await keptRun({ config, parent: "runs/a/fix", name: "slower" });
 * console.log(accuracy); // the second call returns it at once
 */
export async function keptRun(run: KeptRun, listeners: RunListeners = {}): Promise<FinalNumbers> {
  const { config, parent, name } = run;
  const paths = runPaths(keptFolder(run));
  if (!existsSync(paths.config)) {
    const started = await startRun({ config, parent, name: nameOf(config, name), existOk: true }, listeners);
    return started.summary;
  }
  const { summary } = await readRunRecord(paths);
  return summary ?? (await resumeRun(paths.folder, listeners)).summary;
}
