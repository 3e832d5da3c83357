/** From a resolved configuration to the parts of a run: data, network, recipe. */

import type { TeacherConfig } from "../compile/build/distillation.ts";
import { quantize } from "../compile/passes/quantize.ts";
import { quantizationOf } from "../config/quantization.ts";
import { modelTitle, type TrainingConfig } from "../config/schema/schema.ts";
import { trainingBatches } from "../data/dataset/batches.ts";
import type { DatasetSplits } from "../data/dataset/dataset.ts";
import type { OpenedData } from "../data/dataset/open-dataset.ts";
import { ConfigError } from "../errors.ts";
import type { Network } from "../ir/network.ts";
import type { Target } from "../ops/definition.ts";
import { genericTarget } from "../ops/targets.ts";
import type { Engine } from "../runtime/engine.ts";
import { checkPositionsCount } from "./fit/counted-positions.ts";
import { checkFit, type WantedFit } from "./fit/network-fit.ts";
import { checkTokens } from "./fit/token-range.ts";
import { checkNoneLeft, notesOnOrigins } from "./inputs/origin.ts";
import { notesOnOverlap } from "./inputs/overlap.ts";
import { notesOnStatistics } from "./inputs/running-statistics.ts";
import { notesOnSettings } from "./inputs/settings.ts";
import type { NetworkStage } from "./loop/bit-lowering.ts";
import { calibrate } from "./loop/calibrate.ts";
import { notesOnOscillation } from "./loop/phases.ts";
import type { TrainingRun } from "./loop/recipe.ts";
import { withRestoredStatistics } from "./loop/restored-batch-norm.ts";
import { openDataFor } from "./model-data.ts";
import { checkpointAt, makeNetwork, notesOnFileQuantizers, restoredIn, withCheckpoint } from "./network.ts";
import { phasesOf, recipeOf } from "./recipe-of.ts";
import { outputCountOfTeacher, teacherOf } from "./teacher/teacher.ts";

export { makeNetwork, withCheckpoint } from "./network.ts";

/** The data that a configuration names. */
export function loadData(config: TrainingConfig): Promise<OpenedData> {
  return openDataFor(config);
}

/** A network to train, and how many BatchNormalizations were put back into it, on which its first values depend. */
interface PreparedNetwork {
  readonly network: Network;
  readonly restored: number;
}

/**
 * The network to train: float weights from `config.from` where given, then quantizers as configured, with their
 * initial values from the first training batch.
 */
async function prepareNetwork(
  config: TrainingConfig,
  data: DatasetSplits,
  engine: Engine,
  target?: Target,
  teacher?: TeacherConfig,
): Promise<PreparedNetwork> {
  const fresh = makeNetwork(config, data, teacher && outputCountOfTeacher(teacher));
  checkFit(fresh, fitOf(config, data, teacher));
  for (const part of new Set([data.train, data.test])) {
    await checkTokens(fresh, part);
    await checkPositionsCount(fresh, part);
  }
  // A checkpoint has the values of what was put back.
  const restored = config.from === undefined ? restoredIn(fresh) : [];
  const float =
    config.from === undefined
      ? await withRestoredStatistics(fresh, restored, data.train, {
          batchSize: config.train.batchSize,
          engine,
          target,
        })
      : await startedFrom(config.from, fresh, data);
  if (config.quantization === null) return { network: float, restored: restored.length };
  const quantized = quantize(float, quantizationOf(config.quantization));
  const size = Math.min(config.train.batchSize, data.train.count);
  const batches = trainingBatches(data.train, {
    seed: config.seed,
    batchSize: size,
    cropPadding: 0,
    horizontalFlip: false,
  });
  const network = await calibrate(quantized, data.train, batches.indices(0, 0), engine, target);
  return { network, restored: restored.length };
}

/** The network with the values of a run or checkpoint, all of which it has a place for. */
async function startedFrom(path: string, network: Network, data: DatasetSplits): Promise<Network> {
  const started = await withCheckpoint(network, path);
  checkNoneLeft(network, await checkpointAt(path), path, data);
  return started;
}

/** The data that the network has to fit, and the names of the parts in messages. */
function fitOf(config: TrainingConfig, data: DatasetSplits, teacher: TeacherConfig | undefined): WantedFit {
  const { model, train, from } = config;
  const where = ("file" in model ? model.file : undefined) ?? modelTitle(model);
  const target = data.train.target;
  if (teacher === undefined) return { where, target };
  return { where, target, teacher: { network: teacher.teacher, where: train.distillation?.teacher ?? from ?? where } };
}

/** The network that a run trains, and those of its stages where bits are lowered during training. */
export interface PreparedTraining extends Pick<TrainingRun, "network" | "stages" | "recipe"> {
  /** Warnings about the network with the data, one sentence each. */
  readonly notes: readonly string[];
}

/** Everything that a configuration says about a training, with networks and the teacher in hand. */
export async function prepareTraining(
  config: TrainingConfig,
  data: DatasetSplits,
  engine: Engine,
  target?: Target,
): Promise<PreparedTraining> {
  const teacher = await teacherOf(config, data);
  const recipe = recipeOf(config, data.train, teacher);
  const origins = [
    ...notesOnSettings(config),
    ...(await notesOnOverlap(data)),
    ...(await notesOnOrigins(config, data)),
  ];
  const { quantization } = config;
  if (quantization?.stages === undefined) {
    const prepared = await prepareNetwork(config, data, engine, target, teacher);
    const notes = notesOn(config, prepared, fitOf(config, data, teacher));
    return { network: prepared.network, recipe, notes: [...origins, ...notes] };
  }
  const bits = [...quantization.stages].sort((a, b) => a.fromEpoch - b.fromEpoch);
  const twice = bits.find(({ fromEpoch }, index) => bits[index + 1]?.fromEpoch === fromEpoch);
  if (twice !== undefined) {
    throw new ConfigError(`two stages begin with epoch ${twice.fromEpoch}`, {
      where: "quantization.stages",
      remedy: "Leave one of them out.",
    });
  }
  if (bits[0]?.fromEpoch !== 0 || bits.some((stage) => stage.fromEpoch >= config.train.epochs)) {
    throw new ConfigError("the stages must begin with epoch 0, and each before the last epoch", {
      where: "quantization.stages",
      remedy: `Give the first one fromEpoch: 0, and none fromEpoch: ${config.train.epochs} or later.`,
    });
  }
  const stages: NetworkStage[] = [];
  let last: PreparedNetwork | undefined;
  for (const { fromEpoch, weightBits, activationBits } of bits) {
    const staged = { ...config, quantization: { ...quantization, weightBits, activationBits } };
    last = await prepareNetwork(staged, data, engine, target, teacher);
    stages.push({ fromEpoch, network: last.network });
  }
  const end = bits.at(-1);
  if (end?.weightBits !== quantization.weightBits || end.activationBits !== quantization.activationBits) {
    throw new ConfigError(
      `the last stage has W${end?.weightBits}A${end?.activationBits}, the run asks for W${quantization.weightBits}A${quantization.activationBits}`,
      { where: "quantization.stages", remedy: "End with a stage that has the run's own bits." },
    );
  }
  const prepared = last ?? (await prepareNetwork(config, data, engine, target, teacher));
  const notes = notesOn(config, prepared, fitOf(config, data, teacher));
  return { network: prepared.network, stages, recipe, notes: [...origins, ...notes] };
}

function notesOn(config: TrainingConfig, { network, restored }: PreparedNetwork, wanted: WantedFit): string[] {
  const { quantization } = config;
  const odd = [
    ...checkFit(network, wanted),
    ...notesOnFileQuantizers(config, network),
    ...notesOnStatistics(config, network),
    ...(quantization === null ? [] : notesOnOscillation(phasesOf(quantization), network)),
  ];
  if (restored === 0) return odd;
  const where = restored === 1 ? "the convolution" : `${restored} convolutions`;
  return [
    `BatchNorm is put back after ${where} that it may be folded into; --no-restore-batch-norm (model.restoreBatchNorm: false) trains the file as it is`,
    ...odd,
  ];
}

/** The target that a configuration asks for; undefined: the engine's best. */
export function targetOf(config: TrainingConfig, blockSize: number): Target | undefined {
  if (config.target === "auto") return undefined;
  return config.target === "generic" ? genericTarget : { name: "cpu", blockSize };
}
