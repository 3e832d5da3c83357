/** The float network that a configuration names, and networks with the values of a checkpoint. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { defined } from "../base/defined.ts";
import { randomStream } from "../base/random.ts";
import type { InputPart } from "../compile/build/input.ts";
import { bindBatch } from "../compile/passes/bind-batch.ts";
import { withWeightsByOutput } from "../compile/passes/group-weights.ts";
import { countQuantizers, requireFloat } from "../compile/passes/without-quantizers.ts";
import { isQuantized } from "../compile/sites.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import { type DatasetSplits, outputCountOf } from "../data/dataset/dataset.ts";
import { ConfigError, UnsupportedError } from "../errors.ts";
import type { ImportedNetwork, ImportOptions } from "../importer/import.ts";
import { importOnnxFile, statedInputs } from "../importer/node-files.ts";
import type { RestoredBatchNorm } from "../importer/rewrite/restore-batch-norm.ts";
import { isFiniteTensor } from "../ir/finite.ts";
import type { Network } from "../ir/network.ts";
import { type Shape, sameShape } from "../ir/types.ts";
import { makeModel } from "../models/index.ts";
import type { FileInput } from "../onnx/read/file.ts";
import { type Checkpoint, readCheckpoint } from "../runs/checkpoint.ts";
import { lastCheckpoint } from "../runs/checkpoint-names.ts";
import { runPaths } from "../runs/folder.ts";
import { notNumbers, withStateOf } from "./checkpoint-values.ts";
import { sampleInput, showBatchOf } from "./fit/network-fit.ts";
import { canOnlyBeLast, channelsLast, takesChannelsLast } from "./image-layout.ts";

/**
 * The float network that a configuration names: one of ours with random weights that depend on the seed alone, or an
 * ONNX file with its own. Sizes that the file leaves open are those of the samples.
 *
 * @param outputs Outputs of a network of ours, where the data has no labels that could tell.
 * @throws ConfigError when a file's network does not take the data's samples, or carries quantizers where the configuration
 *   adds its own.
 *
 * @example
 * console.log(makeNetwork(config, data).name); // lenet
 */
export function makeNetwork(config: TrainingConfig, data: DatasetSplits, outputs?: number): Network | ImportedNetwork {
  const { model } = config;
  if (!("name" in model)) {
    const file = model.file ?? "";
    const read = importedNetwork(file, data, {
      restoreBatchNorm: model.restoreBatchNorm === true,
      stripQuantizers: model.stripQuantizers === true,
    });
    if (config.quantization !== null) requireFloat(read, file);
    return model.weightsByOutput === true ? withWeightsByOutput(read) : read;
  }
  const { name, width, stem } = model;
  return makeModel(
    name,
    {
      sampleShape: data.train.sampleShape,
      classes: data.train.target.kind === "none" && outputs !== undefined ? outputs : outputCountOf(data.train),
      ...defined({ width, stem }),
    },
    randomStream(config.seed, "initial weights"),
  );
}

/**
 * Returns what a run with a model of a file should know of the file's quantizers, in sentences.
 *
 * @param network The network that the run trains.
 */
export function notesOnFileQuantizers({ model, quantization }: TrainingConfig, network: Network): string[] {
  if (model.stripQuantizers === true) return ["the quantizers of the file were removed (model.stripQuantizers)"];
  if (quantization !== null || !isQuantized(network)) return [];
  return [`the quantizers of the file stay in the network: ${countQuantizers(network)}`];
}

/**
 * The network of an ONNX file, for the samples of the data. One that has its channels last is read as one that takes the
 * [C, H, W] of the samples.
 *
 * @throws ConfigError when it does not take them, UnsupportedError when it takes more than samples, and FileFormatError
 *   when a weight of it is NaN.
 */
export function importedNetwork(
  file: string,
  data: DatasetSplits,
  options: Pick<ImportOptions, "restoreBatchNorm" | "stripQuantizers"> = {},
): ImportedNetwork {
  const { sampleShape, sampleType, inputs, name } = data.train;
  const stated = statedInputs(file);
  if (inputs !== undefined)
    return checkedNetwork(importOnnxFile(file, { ...options, ...sizesOf(stated, inputs) }), file);
  const isLast = takesChannelsLast(stated, sampleShape);
  const network = importOnnxFile(
    file,
    isLast ? { ...options, sampleShape: channelsLast(sampleShape), channelsFirst: true } : { ...options, sampleShape },
  );
  const { shape } = sampleInput(network, file, sampleType);
  const wanted = shape.slice(1);
  if (!sameShape(wanted, sampleShape)) {
    throw new ConfigError(`the model takes ${showBatchOf(wanted)}, the data gives ${showBatchOf(sampleShape)}`, {
      where: file,
      remedy: remedyForSize(wanted, sampleShape, name),
    });
  }
  return checkedNetwork(network, file);
}

/** The sizes that the file leaves open, as the samples have them. */
function sizesOf(stated: readonly FileInput[], inputs: readonly InputPart[]): Pick<ImportOptions, "inputShapes"> {
  const shapes = stated.flatMap(({ name, dimensions }) => {
    const part = inputs.find((one) => one.name === name);
    const [batch] = dimensions ?? [];
    return part === undefined ? [] : [[name, [typeof batch === "number" ? batch : 1, ...part.shape]] as const];
  });
  return { inputShapes: Object.fromEntries(shapes) };
}

function checkedNetwork(network: ImportedNetwork, file: string): ImportedNetwork {
  checkBatch(network, file);
  checkNumbers(network, file);
  return network;
}

/** Returns the BatchNormalizations that were put back into a network of a file. */
export function restoredIn(network: Network | ImportedNetwork): readonly RestoredBatchNorm[] {
  return "imported" in network ? (network.imported.restored ?? []) : [];
}

/** Whether a configuration's model is a file that takes channels last, which the data has first. */
export function modelTakesChannelsLast({ model }: TrainingConfig, { train }: DatasetSplits): boolean {
  return "file" in model && model.file !== undefined && takesChannelsLast(statedInputs(model.file), train.sampleShape);
}

/** @throws UnsupportedError for a network with the size of its batch in its shapes: training and evaluation take others. */
function checkBatch(network: ImportedNetwork, where: string): void {
  const { batch } = network.imported;
  if (batch === "any") return;
  try {
    bindBatch(network, batch + 1);
  } catch (cause) {
    throw new UnsupportedError(`the model supports only batches of ${batch}: its shapes contain the batch size`, {
      where,
      remedy: "Export it for any size: dynamic_axes of torch.onnx.export, or dynamic_shapes with dynamo.",
      cause,
    });
  }
}

function remedyForSize(wanted: Shape, given: Shape, name: string): string {
  const isLast = wanted.length === 3 && canOnlyBeLast(wanted);
  const [channels = 1, height = 1, width = 1] = isLast ? [wanted[2], wanted[0], wanted[1]] : wanted;
  if (wanted.length === 3 && given.length === 3) {
    const size = height === width ? `${height}` : `[${height},${width}]`;
    const fits = `To fit the images: --set data.size=${size} --set data.channels=${channels}`;
    return `${fits}; other data than ${name} has to have that shape${isLast ? ", or the same with its channels first" : ""}.`;
  }
  if (wanted.length === 1 && given.length === 1) {
    return `Leave columns of ${name} out with --set data.ignore=[…], name the predicted one with data.target, or give other data.`;
  }
  return `Give data whose samples have the model's shape, or a model for those of ${name}.`;
}

/** @throws FileFormatError for a parameter that is not all numbers: everything after it would be NaN. */
function checkNumbers(network: Network, where: string): void {
  const wrong = network.parameters.find(({ value }) => !isFiniteTensor(value));
  if (wrong !== undefined) throw notNumbers(wrong.name, where);
}

/** The checkpoint of that path, or the last one of a run's folder. */
export async function checkpointAt(path: string): Promise<Checkpoint & { readonly file: string }> {
  const isFolder = await stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  const file = isFolder ? join(runPaths(path).checkpoints, lastCheckpoint) : path;
  return { ...(await readCheckpoint(file)), file };
}

/** A network with the values of a checkpoint, or of the last one of a run's folder. */
export async function withCheckpoint(network: Network, path: string): Promise<Network> {
  const { state, file } = await checkpointAt(path);
  return withStateOf(network, state, file);
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
