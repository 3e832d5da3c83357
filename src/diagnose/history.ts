/** What a run began with: the float run behind its first weights. */

import { defined } from "../base/defined.ts";
import { resolveTrainingConfig } from "../config/config.ts";
import { readRunConfig } from "../config/file.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import { SubbyteError } from "../errors.ts";
import { readCheckpoint } from "../runs/checkpoint.ts";
import { lastCheckpointOf, originFolder, runPaths } from "../runs/folder.ts";
import { readRunRecord } from "../runs/record.ts";
import type { RunInputs } from "../runs/run-inputs.ts";

/** The run that a run's first weights came from. */
export interface History {
  readonly folder: string;
  readonly config: TrainingConfig;
  /** Its final accuracy on its own test samples; undefined where it has not ended. */
  readonly accuracy: number | undefined;
  /** Steps that it trained, as far as its log tells: epochs are whole. */
  readonly epochs: number;
  /** The normalization of its samples in numbers; absent where its checkpoint cannot be read, or is of an earlier version. */
  readonly normalization?: Pick<RunInputs, "mean" | "std">;
}

/** Reads the run that a run began with; undefined where it began with none, or that run is not readable any more. */
export async function historyOf(folder: string, { from }: Pick<TrainingConfig, "from">): Promise<History | undefined> {
  const origin = from === undefined ? undefined : originFolder(folder, from);
  if (origin === undefined) return undefined;
  try {
    const paths = runPaths(origin);
    const config = resolveTrainingConfig(await readRunConfig(paths.config));
    const { summary, epochs } = await readRunRecord(paths);
    const normalization = await normalizationOf(origin);
    return {
      folder: origin,
      config,
      accuracy: summary?.accuracy,
      epochs: epochs.length,
      ...defined({ normalization }),
    };
  } catch (error) {
    // The run may have been changed or removed since: the diagnosis does without it.
    if (error instanceof SubbyteError) return undefined;
    throw error;
  }
}

async function normalizationOf(folder: string): Promise<History["normalization"]> {
  try {
    return (await readCheckpoint(lastCheckpointOf(folder))).inputs;
  } catch (error) {
    if (error instanceof SubbyteError) return undefined;
    throw error;
  }
}
