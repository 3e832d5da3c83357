/** From a configuration to the recipe of its training: data only, in a browser too. */

import { defined } from "../base/defined.ts";
import type { TeacherConfig } from "../compile/build/distillation.ts";
import type { LossConfig } from "../compile/build/loss.ts";
import type { QuantizationSettings, TrainingConfig } from "../config/schema/schema.ts";
import type { TrainingBatchOptions } from "../data/dataset/batches.ts";
import { type Dataset, targetLengthOf } from "../data/dataset/dataset.ts";
import { ConfigError } from "../errors.ts";
import type { PhaseOptions } from "./loop/phases.ts";
import type { TrainingRecipe } from "./loop/recipe.ts";

/** How a configuration makes batches of a data set; crops and flips are for images alone. */
export function batchOptionsOf({ train, data, seed }: TrainingConfig, dataset: Dataset): TrainingBatchOptions {
  const isImage = dataset.sampleShape.length === 3 && dataset.sampleType !== "int32";
  return {
    seed,
    batchSize: train.batchSize,
    cropPadding: isImage ? data.crop : 0,
    horizontalFlip: isImage && data.flip,
  };
}

/** Returns the loss: on the labels, or on the teacher's outputs where there are none. */
function lossOf({ train }: TrainingConfig, dataset: Dataset, teacher: TeacherConfig | undefined): LossConfig {
  const { kind } = dataset.target;
  if (kind === "values") return { name: "meanSquaredError" };
  if (kind === "classes") return { name: "crossEntropy", labelSmoothing: train.labelSmoothing };
  if (kind === "input") return { name: "reconstruction" };
  if (dataset.target.kind === "dense") {
    return { name: "denseCrossEntropy", labelSmoothing: train.labelSmoothing, shape: dataset.target.shape };
  }
  if (kind === "boxes") return { name: "boxes", targetLength: targetLengthOf(dataset.target) };
  if (teacher !== undefined) return { name: "distillation", ...teacher };
  throw new ConfigError("the data has no labels, so a teacher is needed to learn from", {
    where: `data set "${dataset.name}"`,
    remedy: "Give the recipe a teacher, or give data with labels.",
  });
}

/**
 * The recipe of a configuration.
 *
 * @param teacher As teacherOf gives it; needed for data without labels.
 *
 * @example
 * console.log(recipeOf(config, data.train).learningRate); // 0.05
 */
export function recipeOf(config: TrainingConfig, dataset: Dataset, teacher?: TeacherConfig): TrainingRecipe {
  const { train, quantization } = config;
  const { optimizer } = train;
  const { groups } = optimizer;
  const phases = quantization === null ? {} : phasesOf(quantization);
  const { reestimateBatchNormBatches } = train;
  const batches = { cropPadding: 0, horizontalFlip: false, ...batchOptionsOf(config, dataset) };
  const { distillation } = train;
  const isAid = distillation !== undefined && teacher !== undefined && dataset.target.kind !== "none";
  return {
    epochs: train.epochs,
    ...batches,
    loss: lossOf(config, dataset, teacher),
    ...(isAid ? { distillation: { ...distillation, ...teacher } } : {}),
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
    ...defined({
      gradientClip: optimizer.gradientClip,
      recompute: train.recompute,
      checkpointEverySteps: train.checkpointEverySteps,
      reestimateBatchNormBatches,
    }),
    ...phases,
  };
}

/** The training aids of a quantization, without the keys that are not there. */
export function phasesOf(quantization: QuantizationSettings): PhaseOptions {
  const {
    freezeObserversAfterEpoch,
    freezeBatchNormAfterEpoch,
    quantizeWeightsFromEpoch,
    quantizeActivationsFromEpoch,
    scaleWarmupEpochs,
    dampening,
    freezing,
  } = quantization;
  return defined({
    freezeObserversAfterEpoch,
    freezeBatchNormAfterEpoch,
    quantizeWeightsFromEpoch,
    quantizeActivationsFromEpoch,
    scaleWarmupEpochs,
    dampening,
    freezing,
  });
}
