/** What a run began with: the float run behind its first weights. */

import { resolveTrainingConfig } from "../config/config.ts";
import { readRunConfig } from "../config/file.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import { SubbyteError } from "../errors.ts";
import { originFolder, runPaths } from "../runs/folder.ts";
import { readRunRecord } from "../runs/record.ts";

/** The run that a run's first weights came from. */
export interface History {
  readonly folder: string;
  readonly config: TrainingConfig;
  /** Its final accuracy on its own test samples; undefined where it has not ended. */
  readonly accuracy: number | undefined;
  /** Steps that it trained, as far as its log tells: epochs are whole. */
  readonly epochs: number;
}

/** Reads the run that a run began with; undefined where it began with none, or that run is not readable any more. */
export async function historyOf(folder: string, { from }: Pick<TrainingConfig, "from">): Promise<History | undefined> {
  const origin = from === undefined ? undefined : originFolder(folder, from);
  if (origin === undefined) return undefined;
  try {
    const paths = runPaths(origin);
    const config = resolveTrainingConfig(await readRunConfig(paths.config));
    const { summary, epochs } = await readRunRecord(paths);
    return { folder: origin, config, accuracy: summary?.accuracy, epochs: epochs.length };
  } catch (error) {
    // The run may have been changed or removed since: the diagnosis does without it.
    if (error instanceof SubbyteError) return undefined;
    throw error;
  }
}
