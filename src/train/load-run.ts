/** A run read back: its configuration and its network with the weights of a checkpoint. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { quantize } from "../compile/quantize.ts";
import type { DatasetSplits } from "../data/dataset.ts";
import { InputOutputError } from "../errors.ts";
import { type Network, withParameterValues } from "../graph/network.ts";
import { readCheckpoint } from "./checkpoint.ts";
import { resolveTrainingConfig } from "./config.ts";
import { readConfigFile } from "./config-file.ts";
import type { TrainingConfig } from "./config-schema.ts";
import { runPaths } from "./run-directory.ts";
import { loadData, makeNetwork, quantizationOf } from "./setup.ts";
import { bestCheckpoint, lastCheckpoint } from "./trainer.ts";

export interface LoadedRun {
  readonly config: TrainingConfig;
  /** A QuantizedNetwork where the run was quantized. */
  readonly network: Network;
  readonly data: DatasetSplits;
  readonly folder: string;
  /** Steps done when the checkpoint was written. */
  readonly step: number;
}

/**
 * Reads a run's directory, or a checkpoint file (which carries its configuration).
 *
 * @throws InputOutputError, FileFormatError or ConfigError naming the file that is missing or wrong.
 */
export async function loadRun(path: string, which: "last" | "best" = "last"): Promise<LoadedRun> {
  const entry = await stat(path).catch((cause: unknown) => {
    throw new InputOutputError("there is no such run or checkpoint", {
      where: path,
      remedy: "Name the directory of a run (it holds config.yaml and checkpoints/), or a checkpoint file.",
      cause,
    });
  });
  const paths = runPaths(path);
  const file = entry.isDirectory() ? join(paths.checkpoints, which === "best" ? bestCheckpoint : lastCheckpoint) : path;
  const checkpoint = await readCheckpoint(file);
  const source = entry.isDirectory() ? await readConfigFile(paths.config) : { name: file, text: checkpoint.config };
  const config = resolveTrainingConfig(source);
  const data = await loadData(config);
  const float = makeNetwork(config, data);
  const network = config.quantization === null ? float : quantize(float, quantizationOf(config.quantization));
  return {
    config,
    network: { ...network, ...withParameterValues(network, checkpoint.state) },
    data,
    folder: path,
    step: checkpoint.position.step,
  };
}
