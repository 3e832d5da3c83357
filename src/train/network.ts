/** The float network that a configuration names, and networks with the values of a checkpoint. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type DatasetSplits, outputCountOf } from "../data/dataset.ts";
import { randomStream } from "../data/random.ts";
import { ConfigError } from "../errors.ts";
import { dataInputs, type Network, withParameterValues } from "../graph/network.ts";
import { type Shape, sameShape } from "../graph/types.ts";
import { importOnnxFile } from "../importer/node-files.ts";
import { makeModel } from "../models/index.ts";
import { type Checkpoint, readCheckpoint } from "./checkpoint.ts";
import type { TrainingConfig } from "./config-schema.ts";
import { runPaths } from "./run-directory.ts";
import { lastCheckpoint } from "./trainer.ts";

/**
 * The float network that a configuration names: one of ours with random weights that depend on the seed alone, or an
 * ONNX file with its own. Sizes that the file leaves open are those of the samples.
 *
 * @param outputs Outputs of a network of ours, where the data has no labels that could tell.
 * @throws ConfigError when a file's network does not take the data's samples.
 */
export function makeNetwork(config: TrainingConfig, data: DatasetSplits, outputs?: number): Network {
  const { model } = config;
  if (!("name" in model)) return importedNetwork(model.file ?? "", data);
  const { name, width, stem } = model;
  return makeModel(
    name,
    {
      sampleShape: data.train.sampleShape,
      classes: data.train.target.kind === "none" && outputs !== undefined ? outputs : outputCountOf(data.train),
      ...(width === undefined ? {} : { width }),
      ...(stem === undefined ? {} : { stem }),
    },
    randomStream(config.seed, "initial weights"),
  );
}

/** The network of an ONNX file, for the samples of the data. @throws ConfigError when it does not take them. */
export function importedNetwork(file: string, data: DatasetSplits): Network {
  const { sampleShape, name } = data.train;
  const network = importOnnxFile(file, { sampleShape });
  const [input, ...others] = dataInputs(network);
  if (input === undefined || others.length > 0 || !sameShape(input.type.shape.slice(1), sampleShape)) {
    const shapes = dataInputs(network).map((value) => `${value.name}[N,${value.type.shape.slice(1)}]`);
    throw new ConfigError(`the model takes ${shapes.join(" and ")}, the data gives [N,${sampleShape}]`, {
      where: file,
      remedy: `Give the data the model's size (--set data.size=…, data.channels=…), or other data than ${name}.`,
    });
  }
  return network;
}

/** The checkpoint of that path, or the last one of a run's directory. */
export async function checkpointAt(path: string): Promise<Checkpoint & { readonly file: string }> {
  const isFolder = await stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  const file = isFolder ? join(runPaths(path).checkpoints, lastCheckpoint) : path;
  return { ...(await readCheckpoint(file)), file };
}

/** A network with the values of a checkpoint, or of the last one of a run's directory. */
export async function withCheckpoint(network: Network, path: string): Promise<Network> {
  const { state, file } = await checkpointAt(path);
  const missing = network.parameters.filter((parameter) => !state.has(parameter.name)).map(({ name }) => name);
  if (missing.length > 0) {
    throw new ConfigError(
      `the checkpoint has no ${missing[0]}${missing.length > 1 ? ` and ${missing.length - 1} more` : ""}`,
      {
        where: file,
        remedy: "Start from a checkpoint of the same model, width and stem.",
      },
    );
  }
  return withParameterValues(network, state);
}

/** How many outputs the weights of a checkpoint belong to, given the same network with one output. */
export function outputsOfCheckpoint(single: Network, { state }: Checkpoint): number {
  for (const { name, value } of single.parameters) {
    const shape: Shape = state.get(name)?.shape ?? value.shape;
    const axis = value.shape.findIndex((size, i) => size !== shape[i]);
    if (axis >= 0) return shape[axis] ?? 1;
  }
  return 1;
}
