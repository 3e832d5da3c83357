/** From a resolved configuration to the parts of a run: data, network, recipe. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { quantize } from "../compile/quantize.ts";
import { trainingBatches } from "../data/batches.ts";
import { type Dataset, type DatasetSplits, outputCountOf } from "../data/dataset.ts";
import type { OpenedData } from "../data/open-dataset.ts";
import { randomStream } from "../data/random.ts";
import { ConfigError } from "../errors.ts";
import { dataInputs, type Network, withParameterValues } from "../graph/network.ts";
import { sameShape } from "../graph/types.ts";
import { importOnnxFile } from "../importer/node-files.ts";
import { makeModel } from "../models/index.ts";
import type { Target } from "../ops/operator.ts";
import type { LayerBits, QuantizationConfig } from "../qconfig/config.ts";
import { presetNamed } from "../qconfig/presets.ts";
import type { Engine } from "../runtime/engine.ts";
import { genericTarget } from "../runtime/probe.ts";
import type { NetworkStage } from "./bit-lowering.ts";
import { calibrate } from "./calibrate.ts";
import { readCheckpoint } from "./checkpoint.ts";
import type { TrainingConfig, QuantizationConfig as TrainingQuantization } from "./config-schema.ts";
import { openConfiguredData } from "./data-folder.ts";
import type { PhaseOptions } from "./phases.ts";
import type { TrainingRecipe } from "./recipe.ts";
import { runPaths } from "./run-directory.ts";
import { lastCheckpoint } from "./trainer.ts";

/** The data that a configuration names. */
export function loadData(config: TrainingConfig): Promise<OpenedData> {
  return openConfiguredData(config.data);
}

/**
 * The float network that a configuration names: one of ours with random weights that depend on the seed alone, or an
 * ONNX file with its own.
 *
 * @throws ConfigError when a file's network does not take the data's samples.
 */
export function makeNetwork(config: TrainingConfig, data: DatasetSplits): Network {
  const { model } = config;
  if (!("name" in model)) return importedNetwork(model.file ?? "", data);
  const { name, width, stem } = model;
  return makeModel(
    name,
    {
      sampleShape: data.train.sampleShape,
      classes: outputCountOf(data.train),
      ...(width === undefined ? {} : { width }),
      ...(stem === undefined ? {} : { stem }),
    },
    randomStream(config.seed, "initial weights"),
  );
}

function importedNetwork(file: string, data: DatasetSplits): Network {
  const { sampleShape, name } = data.train;
  const network = importOnnxFile(file);
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

/** The quantization of a training configuration in full: its preset with what the configuration changes. */
export function quantizationOf(config: TrainingQuantization): QuantizationConfig {
  const preset = presetNamed(config.preset, config);
  return {
    ...preset,
    activation: preset.activation === null ? null : { ...preset.activation, reduceRange: config.reduceRange },
    placement: config.placement,
    residualBits: config.residualBits === "float" ? null : config.residualBits,
    firstLayer: layerRule(config.firstLayerBits),
    lastLayer: layerRule(config.lastLayerBits),
    ...(config.overrides === undefined ? {} : { overrides: config.overrides }),
  };
}

function layerRule(bits: number | "same" | "float"): LayerBits | "same" | "float" {
  return typeof bits === "number" ? { weightBits: bits, activationBits: bits } : bits;
}

/**
 * The network to train: float weights from `config.from` where given, then quantizers as configured, with their
 * initial values from the first training batch.
 */
export async function prepareNetwork(
  config: TrainingConfig,
  data: DatasetSplits,
  engine: Engine,
  target?: Target,
): Promise<Network> {
  const fresh = makeNetwork(config, data);
  const float = config.from === undefined ? fresh : await withCheckpoint(fresh, config.from);
  if (config.quantization === null) return float;
  const quantized = quantize(float, quantizationOf(config.quantization));
  const size = Math.min(config.train.batchSize, data.train.count);
  const batches = trainingBatches(data.train, {
    seed: config.seed,
    batchSize: size,
    cropPadding: 0,
    horizontalFlip: false,
  });
  return calibrate(quantized, data.train, batches.indices(0, 0), engine, target);
}

/** What a run trains: its network, and the networks of its parts where bits are lowered on the way. */
export interface PreparedTraining {
  readonly network: Network;
  readonly stages?: readonly NetworkStage[];
  readonly recipe: TrainingRecipe;
}

/** Everything that a configuration says about a training, with networks and the teacher in hand. */
export async function prepareTraining(
  config: TrainingConfig,
  data: DatasetSplits,
  engine: Engine,
  target?: Target,
): Promise<PreparedTraining> {
  const recipe = { ...recipeOf(config, data.train), ...(await distillationOf(config, data)) };
  const { quantization } = config;
  if (quantization?.stages === undefined) {
    return { network: await prepareNetwork(config, data, engine, target), recipe };
  }
  const bits = [...quantization.stages].sort((a, b) => a.fromEpoch - b.fromEpoch);
  if (bits[0]?.fromEpoch !== 0 || bits.some((stage) => stage.fromEpoch >= config.train.epochs)) {
    throw new ConfigError("the stages must begin with epoch 0, and each before the last epoch", {
      where: "quantization.stages",
      remedy: `Give the first one fromEpoch: 0, and none fromEpoch: ${config.train.epochs} or later.`,
    });
  }
  const stages: NetworkStage[] = [];
  for (const { fromEpoch, weightBits, activationBits } of bits) {
    const staged = { ...config, quantization: { ...quantization, weightBits, activationBits } };
    stages.push({ fromEpoch, network: await prepareNetwork(staged, data, engine, target) });
  }
  const last = bits.at(-1);
  if (last?.weightBits !== quantization.weightBits || last.activationBits !== quantization.activationBits) {
    throw new ConfigError(
      `the last stage has W${last?.weightBits}A${last?.activationBits}, the run asks for W${quantization.weightBits}A${quantization.activationBits}`,
      { where: "quantization.stages", remedy: "End with a stage that has the run's own bits." },
    );
  }
  const network = stages.at(-1)?.network ?? (await prepareNetwork(config, data, engine, target));
  return { network, stages, recipe };
}

async function distillationOf(
  config: TrainingConfig,
  data: DatasetSplits,
): Promise<Pick<TrainingRecipe, "distillation">> {
  const { distillation } = config.train;
  if (distillation === undefined) return {};
  const path = distillation.teacher ?? config.from;
  if (path === undefined && "file" in config.model) {
    return { distillation: { ...distillation, teacher: makeNetwork(config, data) } };
  }
  if (path === undefined) {
    throw new ConfigError("distillation needs a teacher", {
      where: "train.distillation",
      remedy: "Name a float checkpoint or run in train.distillation.teacher, or start from one with from.",
    });
  }
  return { distillation: { ...distillation, teacher: await withCheckpoint(makeNetwork(config, data), path) } };
}

/** A network with the values of a checkpoint, or of the last one of a run's directory. */
export async function withCheckpoint(network: Network, path: string): Promise<Network> {
  const isFolder = await stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  const file = isFolder ? join(runPaths(path).checkpoints, lastCheckpoint) : path;
  const { state } = await readCheckpoint(file);
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

/** The recipe of a configuration; crops and flips are for images alone. */
export function recipeOf(config: TrainingConfig, dataset: Dataset): TrainingRecipe {
  const { train, data, quantization } = config;
  const { optimizer } = train;
  const { groups } = optimizer;
  const phases = quantization === null ? {} : phasesOf(quantization);
  const { reestimateBatchNormBatches } = train;
  const isImage = dataset.sampleShape.length === 3;
  return {
    epochs: train.epochs,
    batchSize: train.batchSize,
    loss:
      dataset.target.kind === "values"
        ? { name: "meanSquaredError" }
        : { name: "crossEntropy", labelSmoothing: train.labelSmoothing },
    optimizer:
      optimizer.name === "sgd"
        ? { name: "sgd", momentum: optimizer.momentum, nesterov: optimizer.nesterov }
        : { name: optimizer.name, beta1: optimizer.beta1, beta2: optimizer.beta2, epsilon: optimizer.epsilon },
    learningRate: optimizer.learningRate,
    learningRateScale: {
      weights: groups.weights.learningRateScale,
      normalization: groups.batchNorm.learningRateScale,
      quantizers: groups.quantizer.learningRateScale,
    },
    weightDecay: {
      weights: groups.weights.weightDecay ?? optimizer.weightDecay,
      normalization: groups.batchNorm.weightDecay,
      quantizers: groups.quantizer.weightDecay,
    },
    schedule: train.schedule,
    cropPadding: isImage ? data.crop : 0,
    horizontalFlip: isImage && data.flip,
    seed: config.seed,
    ...(train.checkpointEverySteps === undefined ? {} : { checkpointEverySteps: train.checkpointEverySteps }),
    ...(reestimateBatchNormBatches === undefined ? {} : { reestimateBatchNormBatches }),
    ...phases,
  };
}

/** The training aids of a quantization, without the keys that are not there. */
function phasesOf(quantization: TrainingQuantization): PhaseOptions {
  const {
    freezeObserversAfterEpoch,
    freezeBatchNormAfterEpoch,
    quantizeWeightsFromEpoch,
    quantizeActivationsFromEpoch,
    scaleWarmupEpochs,
    dampening,
    freezing,
  } = quantization;
  return {
    ...(freezeObserversAfterEpoch === undefined ? {} : { freezeObserversAfterEpoch }),
    ...(freezeBatchNormAfterEpoch === undefined ? {} : { freezeBatchNormAfterEpoch }),
    ...(quantizeWeightsFromEpoch === undefined ? {} : { quantizeWeightsFromEpoch }),
    ...(quantizeActivationsFromEpoch === undefined ? {} : { quantizeActivationsFromEpoch }),
    ...(scaleWarmupEpochs === undefined ? {} : { scaleWarmupEpochs }),
    ...(dampening === undefined ? {} : { dampening }),
    ...(freezing === undefined ? {} : { freezing }),
  };
}

/** The target that a configuration asks for; undefined: the engine's best. */
export function targetOf(config: TrainingConfig, blockSize: number): Target | undefined {
  if (config.target === "auto") return undefined;
  return config.target === "generic" ? genericTarget : { name: "cpu", blockSize };
}
