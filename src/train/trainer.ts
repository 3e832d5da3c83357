/**
 * The training loop: batches in, steps on the engine, evaluation after each epoch, checkpoints, metrics.
 *
 * Everything that a step depends on is a function of the configuration, the seed and the step's number, so a run that is
 * resumed from any checkpoint ends with the same weights, bit for bit, as one that was never interrupted.
 */
import { join } from "node:path";
import type { ForwardMode } from "../compile/forward.ts";
import type { OptimizerConfig } from "../compile/optimizer.ts";
import { optimizerFor } from "../compile/optimizer.ts";
import {
  buildTrainingStep,
  type LossConfig,
  learningRateInput,
  type ParameterGroup,
  parameterGroups,
} from "../compile/training-step.ts";
import { type TrainingBatches, trainingBatches } from "../data/batches.ts";
import { allocateBatch, type DatasetSplits } from "../data/dataset.ts";
import { InterruptedError } from "../errors.ts";
import { type Network, withParameterValues } from "../graph/network.ts";
import { makeTensor, type Tensor } from "../graph/tensor.ts";
import type { Target } from "../ops/operator.ts";
import type { Engine } from "../runtime/engine.ts";
import { TrainingJob } from "../runtime/job.ts";
import { StateBuffers } from "../runtime/state.ts";
import { type Checkpoint, type RunPosition, writeCheckpoint } from "./checkpoint.ts";
import { type EvaluationResult, Evaluator, inputOf } from "./evaluate.ts";
import { classificationMetrics } from "./metrics.ts";
import type { MetricsLog } from "./metrics-log.ts";
import { modeOfEpoch, type PhaseOptions } from "./phases.ts";
import { learningRateAt, type Schedule } from "./schedule.ts";

/** How a network is trained. */
export interface TrainingRecipe extends PhaseOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly loss: LossConfig;
  readonly optimizer: OptimizerConfig;
  readonly learningRate: number;
  /** Factor on the learning rate, for each group of parameters. */
  readonly learningRateScale: Readonly<Record<ParameterGroup, number>>;
  readonly weightDecay: Readonly<Record<ParameterGroup, number>>;
  readonly schedule: Schedule;
  readonly cropPadding: number;
  readonly horizontalFlip: boolean;
  readonly seed: number;
  readonly checkpointEverySteps?: number;
}

/** Where a run is kept. */
export interface RunStore {
  readonly checkpoints: string;
  readonly metrics: MetricsLog;
  /** Text of the configuration, kept in each checkpoint. */
  readonly config: string;
}

/** What is known after a step. */
export interface StepProgress {
  readonly step: number;
  readonly epoch: number;
  readonly stepInEpoch: number;
  readonly stepsPerEpoch: number;
  readonly loss: number;
  readonly accuracy: number;
  /** Since the run or its resumption began. */
  readonly imagesPerSecond: number;
}

/** What is known after an epoch. */
export interface EpochProgress {
  readonly epoch: number;
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  readonly test: EvaluationResult;
  readonly imagesPerSecond: number;
}

export interface TrainingRun {
  readonly network: Network;
  readonly data: DatasetSplits;
  readonly recipe: TrainingRecipe;
  readonly engine: Engine;
  readonly target?: Target;
  readonly store?: RunStore;
  readonly resumeFrom?: Checkpoint;
  readonly signal?: AbortSignal;
  readonly onStep?: (progress: StepProgress) => void;
  readonly onEpoch?: (progress: EpochProgress) => void;
}

export interface TrainingResult {
  /** The network with the trained parameters. */
  readonly network: Network;
  readonly accuracy: number;
  readonly loss: number;
  readonly bestAccuracy: number;
  readonly steps: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/** The name of the checkpoint that a run is resumed from. */
export const lastCheckpoint = "last.safetensors";
export const bestCheckpoint = "best.safetensors";

/** @throws InterruptedError when the signal asked to stop; the checkpoint is written by then. */
export async function train(run: TrainingRun): Promise<TrainingResult> {
  const loop = await TrainingLoop.create(run);
  try {
    return await loop.run();
  } finally {
    await loop.release();
  }
}

class TrainingLoop {
  readonly #run: TrainingRun;
  readonly #batches: TrainingBatches;
  readonly #evaluator: Evaluator;
  readonly #state: StateBuffers;
  #position: RunPosition;
  #job: { readonly key: string; readonly job: TrainingJob } | undefined;
  #seconds = 0;
  #images = 0;

  private constructor(run: TrainingRun, evaluator: Evaluator) {
    const { recipe, data, network, resumeFrom } = run;
    this.#run = run;
    this.#evaluator = evaluator;
    this.#batches = trainingBatches(data.train, recipe);
    this.#state = new StateBuffers(
      resumeFrom?.state ?? network.parameters.map((parameter) => [parameter.name, parameter.value] as const),
    );
    this.#position = resumeFrom?.position ?? { step: 0, epochLoss: 0, epochCorrect: 0, bestAccuracy: null };
  }

  static async create(run: TrainingRun): Promise<TrainingLoop> {
    const options = run.target === undefined ? {} : { target: run.target };
    return new TrainingLoop(run, await Evaluator.create(run.network, run.data.test, run.engine, options));
  }

  async release(): Promise<void> {
    await this.#job?.job.release();
    await this.#evaluator.release();
  }

  async run(): Promise<TrainingResult> {
    const { recipe, network } = this.#run;
    const { stepsPerEpoch } = this.#batches;
    let last: EvaluationResult | undefined;
    for (let epoch = Math.floor(this.#position.step / stepsPerEpoch); epoch < recipe.epochs; epoch++) {
      this.#stopIfAsked();
      last = await this.#epoch(epoch);
    }
    const test = last ?? (await this.#evaluator.run(this.#state));
    const names = new Set(network.parameters.map((parameter) => parameter.name));
    const values = new Map([...this.#state.snapshot()].filter(([name]) => names.has(name)));
    return {
      network: { ...network, ...withParameterValues(network, values) },
      accuracy: test.accuracy,
      loss: test.loss,
      bestAccuracy: this.#position.bestAccuracy ?? test.accuracy,
      steps: this.#position.step,
      seconds: this.#seconds,
      imagesPerSecond: this.#speed(),
    };
  }

  async #epoch(epoch: number): Promise<EvaluationResult> {
    const { recipe, data, store, signal, onEpoch } = this.#run;
    const { stepsPerEpoch } = this.#batches;
    const job = await this.#jobFor(modeOfEpoch(recipe, epoch));
    const batch = allocateBatch(data.train, recipe.batchSize);
    const tensors = {
      data: makeTensor(data.train.sampleType, [recipe.batchSize, ...data.train.sampleShape], batch.samples),
      targets: targetTensor(batch.targets, recipe.batchSize),
    };
    for (let stepInEpoch = this.#position.step - epoch * stepsPerEpoch; stepInEpoch < stepsPerEpoch; stepInEpoch++) {
      await this.#step(job, epoch, stepInEpoch, tensors, batch);
      // The last step of an epoch belongs with its evaluation: a checkpoint between the two would lose that.
      if (stepInEpoch + 1 === stepsPerEpoch) break;
      const { checkpointEverySteps } = recipe;
      const isDue = checkpointEverySteps !== undefined && this.#position.step % checkpointEverySteps === 0;
      if (isDue || signal?.aborted === true) await this.#save(lastCheckpoint);
      this.#stopIfAsked();
    }
    const samples = stepsPerEpoch * recipe.batchSize;
    const test = await this.#evaluator.run(this.#state);
    const summary = {
      epoch: epoch + 1,
      trainLoss: this.#position.epochLoss / stepsPerEpoch,
      trainAccuracy: this.#position.epochCorrect / samples,
    };
    store?.metrics.append({
      step: this.#position.step,
      ...summary,
      testLoss: test.loss,
      testAccuracy: test.accuracy,
    });
    const isBest = test.accuracy > (this.#position.bestAccuracy ?? -1);
    this.#position = {
      step: this.#position.step,
      epochLoss: 0,
      epochCorrect: 0,
      bestAccuracy: isBest ? test.accuracy : this.#position.bestAccuracy,
    };
    if (isBest) await this.#save(bestCheckpoint);
    await this.#save(lastCheckpoint);
    onEpoch?.({ ...summary, test, imagesPerSecond: this.#speed() });
    return test;
  }

  async #step(
    job: TrainingJob,
    epoch: number,
    stepInEpoch: number,
    tensors: { readonly data: Tensor; readonly targets: Tensor },
    batch: ReturnType<typeof allocateBatch>,
  ): Promise<void> {
    const { recipe, store, onStep } = this.#run;
    const { stepsPerEpoch } = this.#batches;
    const start = performance.now();
    await this.#batches.prefetch(epoch, stepInEpoch);
    this.#batches.read(epoch, stepInEpoch, batch);
    const learningRate = learningRateAt(recipe.schedule, recipe.learningRate, this.#position.step, {
      epochs: recipe.epochs,
      stepsPerEpoch,
    });
    const { loss, prediction } = await job.run(this.#state, tensors, this.#scalars(learningRate));
    const { correct } = classificationMetrics(prediction, batch.targets, recipe.batchSize);
    this.#seconds += (performance.now() - start) / 1000;
    this.#images += recipe.batchSize;
    this.#position = {
      ...this.#position,
      step: this.#position.step + 1,
      epochLoss: this.#position.epochLoss + loss,
      epochCorrect: this.#position.epochCorrect + correct,
    };
    const { step } = this.#position;
    const accuracy = correct / recipe.batchSize;
    store?.metrics.append({ step, epoch: epoch + 1, loss, accuracy, learningRate });
    onStep?.({
      step,
      epoch: epoch + 1,
      stepInEpoch: stepInEpoch + 1,
      stepsPerEpoch,
      loss,
      accuracy,
      imagesPerSecond: this.#speed(),
    });
  }

  #scalars(learningRate: number): Record<string, number> {
    const { recipe } = this.#run;
    const rates = parameterGroups.map(
      (group) => [learningRateInput(group), learningRate * recipe.learningRateScale[group]] as const,
    );
    return { ...Object.fromEntries(rates), ...optimizerFor(recipe.optimizer).scalars(this.#position.step + 1) };
  }

  /** The job of a mode; epochs of one mode share it. */
  async #jobFor(mode: ForwardMode): Promise<TrainingJob> {
    const key = JSON.stringify(mode);
    if (this.#job?.key === key) return this.#job.job;
    await this.#job?.job.release();
    this.#job = undefined;
    const { network, recipe, data, engine, target } = this.#run;
    const step = buildTrainingStep(network, {
      batchSize: recipe.batchSize,
      input: inputOf(data.train),
      loss: recipe.loss,
      optimizer: recipe.optimizer,
      weightDecay: recipe.weightDecay,
      mode,
    });
    const job = await TrainingJob.create(engine, step, target);
    job.prepare(this.#state);
    this.#job = { key, job };
    return job;
  }

  #stopIfAsked(): void {
    if (this.#run.signal?.aborted === true) throw new InterruptedError(`stopped after step ${this.#position.step}`);
  }

  async #save(name: string): Promise<void> {
    const { store } = this.#run;
    if (store === undefined) return;
    const checkpoint = { state: this.#state.snapshot(), position: this.#position, config: store.config };
    await writeCheckpoint(join(store.checkpoints, name), checkpoint);
  }

  #speed(): number {
    return this.#seconds === 0 ? 0 : this.#images / this.#seconds;
  }
}

function targetTensor(targets: Int32Array | Float32Array, batchSize: number): Tensor {
  if (targets instanceof Int32Array) return makeTensor("int32", [batchSize], targets);
  return makeTensor("float32", [batchSize, targets.length / batchSize], targets);
}
