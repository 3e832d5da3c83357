/** What a training will take, from its data, its network and a few of its steps. Nothing is kept. */

import { defined } from "../../base/defined.ts";
import { buildEvaluation } from "../../compile/build/evaluation.ts";
import { buildTrainingStep, type TrainingStep } from "../../compile/build/training-step.ts";
import { bytesOf, peakBytes } from "../../compile/memory.ts";
import { lowerGraph } from "../../compile/passes/lower.ts";
import { operators } from "../../compile/registry.ts";
import type { TrainingConfig } from "../../config/schema/schema.ts";
import { trainingBatches } from "../../data/dataset/batches.ts";
import { allocateBatch, type Dataset, type DatasetSplits } from "../../data/dataset/dataset.ts";
import { type Network, parameterCount } from "../../ir/network.ts";
import { makeTensor } from "../../ir/tensor.ts";
import type { Target } from "../../ops/definition.ts";
import { type LayerCost, networkCost } from "../../runs/cost.ts";
import type { Engine } from "../../runtime/engine.ts";
import { planTraining, TrainingJob } from "../../runtime/job.ts";
import { StateBuffers } from "../../runtime/state.ts";
import { evaluationBatch, inputOf } from "../loop/evaluate.ts";
import { modeOfEpoch } from "../loop/phases.ts";
import type { TrainingRecipe } from "../loop/recipe.ts";
import { targetTensor } from "../loop/trainer.ts";
import { peakMemory } from "../memory.ts";
import { engineOf } from "../run.ts";
import { prepareTraining } from "../setup.ts";

/** Multiply-accumulates of a forward pass that a measured step has at most, unless one sample has more. */
const measuredMacs = 4e9;
/** Steps are timed until this much time has passed, and at least one. */
const measuredSeconds = 2;
const mostMeasuredSteps = 5;
/** Copies of the state while a checkpoint is written: the last sound one, the new one, and the file's bytes. */
const stateCopies = 3;
/** What the engine's arenas take of planned bytes: ResNet-18 in float and at W4A4 then has 1.2 and 1.6 GB for peaks of 1.09 and 1.6. */
const arenaFactor = 1.5;
/** Samples of the batches that a diagnosis measures gradients on. */
const probedBatch = 32;

/** What a training will take. */
export interface TrainingEstimate {
  /** The network with its quantizers, calibrated as the training would begin. */
  readonly network: Network;
  readonly parameters: number;
  readonly layers: readonly LayerCost[];
  /** Warnings about the network with the data. */
  readonly notes: readonly string[];
  readonly batchSize: number;
  readonly steps: number;
  readonly secondsPerStep: number;
  /** All steps; reading the data, evaluations and compilation come on top. */
  readonly seconds: number;
  /**
   * The most memory that this process has taken, and on top of it what a step of the whole batch takes beyond the measured one,
   * the evaluation after an epoch, the diagnosis, and copies of the state for checkpoints.
   */
  readonly memoryBytes: number;
  /** Samples of the measured batch, which is smaller than the training's where that is large. */
  readonly measuredBatchSize: number;
}

/**
 * Runs up to five steps of a configuration's training and computes what all of them will take.
 *
 * @param data As loadData gives it.
 * @throws ConfigError and whatever else starting the run would throw.
 *
 * @example
 * const { seconds, memoryBytes } = await estimateTraining(config, await loadData(config));
 * console.log(seconds / 60, memoryBytes / 1e6);
 */
export async function estimateTraining(config: TrainingConfig, data: DatasetSplits): Promise<TrainingEstimate> {
  const { engine, target } = await engineOf(config);
  const { network, recipe, notes } = await prepareTraining(config, data, engine, target);
  const { macs, layers } = networkCost(network);
  const { batchSize } = recipe;
  const measuredBatchSize = Math.max(1, Math.min(batchSize, Math.floor(measuredMacs / Math.max(1, macs))));
  const steps = trainingBatches(data.train, recipe).stepsPerEpoch * recipe.epochs;
  const measured = { ...recipe, batchSize: measuredBatchSize };
  const { seconds, plannedBytes, stateBytes } = await timedStep(network, measured, data.train, { engine, target });
  const whole =
    measuredBatchSize === batchSize
      ? plannedBytes
      : planTraining(stepOf(network, recipe, data.train), target, planOptions(recipe)).bytes;
  const secondsPerStep = (seconds * batchSize) / measuredBatchSize;
  return {
    network,
    parameters: parameterCount(network),
    layers,
    notes,
    batchSize,
    steps,
    secondsPerStep,
    seconds: secondsPerStep * steps,
    memoryBytes:
      peakMemory() +
      whole -
      plannedBytes +
      stateCopies * stateBytes +
      arenaFactor * (probeBytes(network, recipe, data.train, target) + evaluationBytes(network, data.test, target)),
    measuredBatchSize,
  };
}

function planOptions({ recompute }: TrainingRecipe) {
  return recompute === undefined ? {} : { recompute };
}

/** The values of a diagnosis' probe alive at once, which are those of a training step. */
function probeBytes(network: Network, recipe: TrainingRecipe, train: Dataset, target: Target): number {
  const probed = { ...recipe, batchSize: Math.min(probedBatch, recipe.batchSize) };
  return planTraining(stepOf(network, probed, train), target, planOptions(recipe)).bytes;
}

/** The values of an evaluation alive at once, with the parameters. */
function evaluationBytes(network: Network, test: Dataset, target: Target): number {
  const { graph } = buildEvaluation(network, { batchSize: evaluationBatch(test, network), input: inputOf(test) });
  return peakBytes(lowerGraph(graph, operators, target));
}

function stepOf(network: Network, recipe: TrainingRecipe, train: Dataset): TrainingStep {
  const { batchSize, loss, optimizer, weightDecay, gradientClip } = recipe;
  const mode = modeOfEpoch(recipe, network, 0);
  const constants = { loss, optimizer, weightDecay, ...defined({ gradientClip }) };
  return buildTrainingStep(network, { batchSize, input: inputOf(train), ...constants, mode });
}

/** The median time of a few steps after a first one, with learning rates of zero. */
async function timedStep(
  network: Network,
  recipe: TrainingRecipe,
  train: Dataset,
  { engine, target }: { readonly engine: Engine; readonly target: Target },
): Promise<{ readonly seconds: number; readonly plannedBytes: number; readonly stateBytes: number }> {
  const { batchSize } = recipe;
  const step = stepOf(network, recipe, train);
  const batch = allocateBatch(train, batchSize);
  const batches = trainingBatches(train, recipe);
  await batches.prefetch(0, 0);
  batches.read(0, 0, batch);
  const tensors = {
    data: makeTensor(train.sampleType, [batchSize, ...train.sampleShape], batch.samples),
    targets: targetTensor(batch.targets, batchSize, train.target),
  };
  const plan = planTraining(step, target, planOptions(recipe));
  const job = await TrainingJob.open(engine, step, plan);
  const state = new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
  job.prepare(state);
  const stateBytes = state.names.reduce((sum, name) => sum + bytesOf(state.get(name)), 0);
  const times: number[] = [];
  try {
    await job.run(state, tensors, {});
    for (let spent = 0; times.length < mostMeasuredSteps && (times.length === 0 || spent < measuredSeconds); ) {
      const start = performance.now();
      await job.run(state, tensors, {});
      const seconds = (performance.now() - start) / 1000;
      times.push(seconds);
      spent += seconds;
    }
  } finally {
    await job.release();
  }
  const seconds = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
  return { seconds, plannedBytes: plan.bytes, stateBytes };
}
