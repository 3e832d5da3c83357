/** What `subbyte train` does. */

import { UnsupportedError } from "../../errors.ts";
import { configToYaml, resolveTrainingConfig } from "../../train/config.ts";
import { readConfigFile } from "../../train/config-file.ts";
import type { TrainFlags } from "../flags.ts";
import { trainOverrides } from "../train-overrides.ts";

/** Resolves the configuration and trains. */
export async function train(flags: TrainFlags): Promise<void> {
  const source = flags.config === undefined ? undefined : await readConfigFile(flags.config);
  const config = resolveTrainingConfig(source, trainOverrides(flags));
  if (flags.dryRun === true) {
    const json = () => `${JSON.stringify({ schemaVersion: 1, config }, undefined, 2)}\n`;
    process.stdout.write(flags.json === true ? json() : configToYaml(config));
    return;
  }
  throw new UnsupportedError("training is not built yet");
}
