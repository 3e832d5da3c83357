/** A run read back: its configuration and its network with the weights of a checkpoint. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { defined } from "../base/defined.ts";
import type { TeacherConfig } from "../compile/build/distillation.ts";
import { quantize } from "../compile/passes/quantize.ts";
import { resolveTrainingConfig } from "../config/config.ts";
import { readRunConfig } from "../config/file.ts";
import { loadPluginsOf } from "../config/plugins.ts";
import { quantizationOf } from "../config/quantization.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import type { ConfigSource } from "../config/source.ts";
import type { DatasetSplits } from "../data/dataset/dataset.ts";
import { InputOutputError } from "../errors.ts";
import type { Network } from "../ir/network.ts";
import { checkPlugins } from "../plugins/changes.ts";
import { pluginRecords } from "../plugins/plugin-files.ts";
import { checkConfiguration, readCheckpoint } from "../runs/checkpoint.ts";
import { bestCheckpoint, lastCheckpoint } from "../runs/checkpoint-names.ts";
import { runPaths } from "../runs/folder.ts";
import { withStateOf } from "./checkpoint-values.ts";
import { notesOnInputs } from "./inputs/recorded-inputs.ts";
import { makeNetwork } from "./network.ts";
import { loadData } from "./setup.ts";
import { outputCountOfTeacher, teacherOf } from "./teacher/teacher.ts";

/** A run on disk: its configuration, network and data. */
export interface LoadedRun {
  readonly config: TrainingConfig;
  /** A QuantizedNetwork where the run was quantized. */
  readonly network: Network;
  readonly data: DatasetSplits;
  /** The teacher of the network where the data has no labels. */
  readonly teacher?: TeacherConfig;
  readonly folder: string;
  /** Steps done when the checkpoint was written. */
  readonly step: number;
  /** How the data and the files differ from those that it was trained on, in sentences. */
  readonly notes: readonly string[];
}

/** A checkpoint carries its configuration; the plugins that it lists are loaded. */
async function checkpointSource(name: string, text: string): Promise<ConfigSource> {
  const source = { name, text, isKept: true } as const;
  await loadPluginsOf(source);
  return source;
}

/**
 * Reads a run's folder, or a checkpoint file (which carries its configuration).
 *
 * @throws InputOutputError, FileFormatError or ConfigError naming the file that is missing, damaged or of another
 *   configuration, PluginError for a plugin that changed since the run was trained with it.
 *
 * @example
 * const run = await loadRun(runFolder, "best");
 * console.log(run.config.quantization?.weightBits, run.step); // 4 2
 */
export async function loadRun(path: string, which: "last" | "best" = "last"): Promise<LoadedRun> {
  const entry = await stat(path).catch((cause: unknown) => {
    throw new InputOutputError("there is no such run or checkpoint", {
      where: path,
      remedy: "Name the folder of a run (it holds config.yaml and checkpoints/), or a checkpoint file.",
      cause,
    });
  });
  const paths = runPaths(path);
  const file = entry.isDirectory() ? join(paths.checkpoints, which === "best" ? bestCheckpoint : lastCheckpoint) : path;
  const checkpoint = await readCheckpoint(file);
  const source = entry.isDirectory()
    ? await readRunConfig(paths.config)
    : await checkpointSource(file, checkpoint.config);
  const config = resolveTrainingConfig(source);
  if (entry.isDirectory()) checkConfiguration(checkpoint, config, file);
  checkPlugins(checkpoint.plugins ?? [], pluginRecords(config.plugins), path);
  const data = await loadData(config);
  const teacher = data.train.target.kind === "none" ? await teacherOf(config, data) : undefined;
  const float = makeNetwork(config, data, teacher && outputCountOfTeacher(teacher));
  const network = config.quantization === null ? float : quantize(float, quantizationOf(config.quantization));
  return {
    config,
    network: { ...network, ...withStateOf(network, checkpoint.state, file) },
    data,
    ...defined({ teacher }),
    folder: path,
    step: checkpoint.position.step,
    notes: await notesOnInputs(checkpoint.inputs, config, data),
  };
}
