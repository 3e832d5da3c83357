/** What `subbyte mix` measures: a run, or a model's file on data that is named. */

import { existsSync } from "node:fs";
import { resolveTrainingConfig } from "../../../config/config.ts";
import { ConfigError } from "../../../errors.ts";
import type { MixSource } from "../../../study/mixed/mixed.ts";
import { checkFit } from "../../../train/fit/network-fit.ts";
import { loadRun } from "../../../train/load-run.ts";
import { makeNetwork } from "../../../train/network.ts";
import { loadData } from "../../../train/setup.ts";
import { setOverrides } from "../../flag-overrides.ts";
import { printNotesOn } from "../../output.ts";
import { dataOverrides, modelOverrides } from "../../train-overrides.ts";
import { isModelFile } from "../eval/file.ts";
import type { MixFlags } from "./mix.ts";

/** Parts of the configuration that decide what is measured; all others are the training's. */
const measuredParts = ["model", "data"];

/**
 * Loads the run, or the model's file with the data of `--data`.
 *
 * @throws ConfigError for a file without data, or a run with other data than its own; and as loadRun and a training do.
 */
export async function mixSource(path: string, flags: Pick<MixFlags, "data" | "set">): Promise<MixSource> {
  if (!isModelFile(path)) {
    if (flags.data === undefined) {
      const run = await loadRun(path);
      printNotesOn(run.notes, {});
      return run;
    }
    throw new ConfigError("a run is measured on its own data", {
      where: `--data ${flags.data}`,
      remedy: "Leave it out, or give a model's file.",
    });
  }
  if (flags.data === undefined) {
    throw new ConfigError("a model's file has no data of its own", {
      where: path,
      remedy: `Name the data to measure it on: subbyte mix ${path} --data FOLDER.`,
    });
  }
  const set = setOverrides(flags.set).filter((override) => measuredParts.includes(override.path.split(".")[0] ?? ""));
  const model = existsSync(path) ? path : `./${path}`;
  const config = resolveTrainingConfig(undefined, [...set, ...modelOverrides({ model }), ...dataOverrides(flags)]);
  const data = await loadData(config);
  const network = makeNetwork(config, data);
  checkFit(network, { where: path, target: data.train.target });
  return { config, network, data };
}
