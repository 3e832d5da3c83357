/**
 * The training loop: batches in, steps on the engine, evaluation after each epoch, checkpoints, metrics.
 *
 * Everything that a step depends on is a function of the configuration, the seed and the step's number, so a run that is
 * resumed from any checkpoint ends with the same weights, bit for bit, as one that was never interrupted.
 */
import { defined } from "../../base/defined.ts";
import { optimizerFor } from "../../compile/build/optimizer.ts";
import { dampeningInput, thresholdInput } from "../../compile/build/oscillation.ts";
import { buildTrainingStep, learningRateInput, parameterGroups } from "../../compile/build/training-step.ts";
import { type TrainingBatches, trainingBatches } from "../../data/dataset/batches.ts";
import { allocateBatch, type LabelType, type TargetArray } from "../../data/dataset/dataset.ts";
import { InterruptedError, NotANumberError } from "../../errors.ts";
import { type Network, withParameterValues } from "../../ir/network.ts";
import { makeTensor, type Tensor } from "../../ir/tensor.ts";
import type { RunPosition } from "../../runs/checkpoint.ts";
import { bestCheckpoint, lastCheckpoint } from "../../runs/checkpoint-names.ts";
import { type StepResult, TrainingJob } from "../../runtime/job.ts";
import { StateBuffers } from "../../runtime/state.ts";
import { notFinite } from "../divergence/divergence.ts";
import { type CurrentEpoch, DivergenceGuard } from "../divergence/guard.ts";
import { soundStateInterval } from "../divergence/replay.ts";
import { BatchNormReestimator } from "./batch-norm-statistics.ts";
import { adaptScales, stageOf } from "./bit-lowering.ts";
import { type EvaluationResult, Evaluator, inputOf } from "./evaluate.ts";
import { classificationMetrics } from "./metrics.ts";
import { covers, dampeningAt, modeOfEpoch, scaleWarmupAt, thresholdAt } from "./phases.ts";
import type { TrainingResult, TrainingRun } from "./recipe.ts";
import { learningRateAt } from "./schedule.ts";

/**
 * Trains a network.
 *
 * @throws InterruptedError when the signal asked to stop, FaultError when the watcher did; the checkpoint is written by then. DivergenceError when a loss
 * or the state is not finite; such a state is in no checkpoint.
 *
 * @example
 * const result = await train({ network, recipe: recipeOf(config, data.train), data, engine });
 * console.log(result.accuracy, result.steps); // … 2
 */
export async function train(run: TrainingRun): Promise<TrainingResult> {
  const loop = new TrainingLoop(run);
  try {
    return await loop.run();
  } finally {
    await loop.release();
  }
}

/** A network of the run with the jobs that evaluate it. */
interface CompiledStage {
  readonly network: Network;
  readonly evaluator: Evaluator;
  readonly reestimator: BatchNormReestimator | undefined;
}

/** Share of the newest step in the moving averages of oscillation (arXiv 2203.11086, section 5.1). */
const oscillationMomentum = 0.01;

class TrainingLoop {
  readonly #run: TrainingRun;
  readonly #batches: TrainingBatches;
  readonly #state: StateBuffers;
  readonly #guard: DivergenceGuard;
  #position: RunPosition;
  #stage: CompiledStage | undefined;
  #job: { readonly key: string; readonly job: TrainingJob } | undefined;
  #seconds = 0;
  #images = 0;
  #dataSeconds = 0;

  constructor(run: TrainingRun) {
    const { recipe, data, resumeFrom } = run;
    const network = stageOf(run.stages ?? [], 0)?.network ?? run.network;
    this.#run = run;
    this.#batches = trainingBatches(data.train, recipe);
    this.#state = new StateBuffers(
      resumeFrom?.state ?? network.parameters.map((parameter) => [parameter.name, parameter.value] as const),
    );
    this.#guard = new DivergenceGuard(run, this.#batches, this.#state, (step) => this.#scalars(step));
    this.#position = resumeFrom?.position ?? { step: 0, epochLoss: 0, epochCorrect: 0, bestAccuracy: null };
  }

  async release(): Promise<void> {
    await this.#job?.job.release();
    await this.#stage?.evaluator.release();
    await this.#stage?.reestimator?.release();
    await this.#run.watcher?.release();
  }

  async run(): Promise<TrainingResult> {
    const { recipe, network } = this.#run;
    const { stepsPerEpoch } = this.#batches;
    let last: EvaluationResult | undefined;
    for (let epoch = Math.floor(this.#position.step / stepsPerEpoch); epoch < recipe.epochs; epoch++) {
      this.#stopIfAsked();
      last = await this.#epoch(epoch);
    }
    const test = last ?? (await this.#evaluate(recipe.epochs - 1));
    const names = new Set(network.parameters.map((parameter) => parameter.name));
    const values = new Map([...this.#state.snapshot()].filter(([name]) => names.has(name)));
    const trained = { ...network, ...withParameterValues(network, values) };
    await this.#run.watcher?.afterTraining(trained);
    return {
      network: trained,
      metric: test.metric,
      accuracy: test.accuracy,
      ...defined({ top5Accuracy: test.top5Accuracy, perplexity: test.perplexity, macroF1: test.macroF1 }),
      ...defined({ meanAbsoluteError: test.meanAbsoluteError }),
      loss: test.loss,
      bestAccuracy: this.#position.bestAccuracy ?? test.accuracy,
      steps: this.#position.step,
      seconds: this.#seconds,
      imagesPerSecond: this.#speed(),
      dataSeconds: this.#dataSeconds,
    };
  }

  async #epoch(epoch: number): Promise<EvaluationResult> {
    const { recipe, data, store, signal, onEpoch } = this.#run;
    const { stepsPerEpoch } = this.#batches;
    const stage = await this.#stageFor(epoch);
    if (this.#position.step === epoch * stepsPerEpoch) this.#enter(stage, epoch);
    const job = await this.#jobFor(stage.network, epoch);
    const batch = allocateBatch(data.train, recipe.batchSize);
    const tensors = {
      data: makeTensor(data.train.sampleType, [recipe.batchSize, ...data.train.sampleShape], batch.samples),
      targets: targetTensor(batch.targets, recipe.batchSize, data.train.target),
    };
    const current = { network: stage.network, job, epoch, tensors, batch };
    this.#guard.enter(current);
    await this.#soundSnapshot();
    for (let stepInEpoch = this.#position.step - epoch * stepsPerEpoch; stepInEpoch < stepsPerEpoch; stepInEpoch++) {
      await this.#step(current, stepInEpoch);
      // The last step of an epoch belongs with its evaluation: a checkpoint between the two would lose that.
      if (stepInEpoch + 1 === stepsPerEpoch) break;
      const { checkpointEverySteps } = recipe;
      const isDue = checkpointEverySteps !== undefined && this.#position.step % checkpointEverySteps === 0;
      if (isDue || signal?.aborted === true) await this.#save(lastCheckpoint);
      else if (this.#position.step % soundStateInterval === 0) await this.#soundSnapshot();
      this.#stopIfAsked();
    }
    const samples = stepsPerEpoch * recipe.batchSize;
    await this.#soundSnapshot();
    const { reestimateBatchNormBatches } = recipe;
    if (reestimateBatchNormBatches !== undefined) {
      await stage.reestimator?.run(this.#state, epoch, reestimateBatchNormBatches);
    }
    const test = await this.#evaluate(epoch);
    const isClasses = data.train.target.kind === "classes";
    const summary = {
      epoch: epoch + 1,
      trainLoss: this.#position.epochLoss / stepsPerEpoch,
      ...(isClasses ? { trainAccuracy: this.#position.epochCorrect / samples } : {}),
    };
    store?.metrics.append({
      step: this.#position.step,
      ...summary,
      testLoss: test.loss,
      testAccuracy: test.accuracy,
      ...defined({ testTop5Accuracy: test.top5Accuracy, testPerplexity: test.perplexity, testMacroF1: test.macroF1 }),
    });
    const isBest = test.accuracy > (this.#position.bestAccuracy ?? Number.NEGATIVE_INFINITY);
    this.#position = {
      step: this.#position.step,
      epochLoss: 0,
      epochCorrect: 0,
      bestAccuracy: isBest ? test.accuracy : this.#position.bestAccuracy,
    };
    if (isBest) await this.#save(bestCheckpoint);
    await this.#save(lastCheckpoint);
    const progress = { ...summary, test, imagesPerSecond: this.#speed() };
    this.#run.watcher?.afterEpoch(progress);
    onEpoch?.(progress);
    return test;
  }

  async #step(current: CurrentEpoch, stepInEpoch: number): Promise<void> {
    const { epoch, tensors, batch } = current;
    const { recipe, store, onStep } = this.#run;
    const { stepsPerEpoch } = this.#batches;
    const start = performance.now();
    await this.#batches.prefetch(epoch, stepInEpoch);
    this.#batches.read(epoch, stepInEpoch, batch);
    this.#dataSeconds += (performance.now() - start) / 1000;
    const learningRate = this.#learningRateAt(this.#position.step);
    await this.#showWatcher(epoch, stepInEpoch, learningRate, tensors);
    const { loss, prediction } = await this.#train(current);
    // Without classes there is no accuracy of a training step; the evaluation has its own metric.
    const isClasses = this.#run.data.train.target.kind === "classes";
    const { correct } = isClasses ? classificationMetrics(prediction, batch.targets, recipe.batchSize) : { correct: 0 };
    this.#seconds += (performance.now() - start) / 1000;
    this.#images += recipe.batchSize;
    this.#position = {
      ...this.#position,
      step: this.#position.step + 1,
      epochLoss: this.#position.epochLoss + loss,
      epochCorrect: this.#position.epochCorrect + correct,
    };
    const { step } = this.#position;
    this.#run.watcher?.afterStep(step, loss);
    const accuracy = isClasses ? { accuracy: correct / recipe.batchSize } : {};
    store?.metrics.append({ step, epoch: epoch + 1, loss, ...accuracy, learningRate });
    onStep?.({
      step,
      epoch: epoch + 1,
      stepInEpoch: stepInEpoch + 1,
      stepsPerEpoch,
      loss,
      ...accuracy,
      imagesPerSecond: this.#speed(),
    });
  }

  async #showWatcher(
    epoch: number,
    stepInEpoch: number,
    learningRate: number,
    batch: { readonly data: Tensor; readonly targets: Tensor },
  ): Promise<void> {
    const { recipe, watcher } = this.#run;
    if (watcher === undefined) return;
    const network = this.#stage?.network ?? this.#run.network;
    await watcher.beforeStep({
      step: this.#position.step,
      epoch,
      stepInEpoch,
      stepsPerEpoch: this.#batches.stepsPerEpoch,
      network,
      mode: modeOfEpoch(recipe, network, epoch),
      learningRate,
      state: this.#state,
      batch,
    });
    const fault = watcher.fault?.();
    if (fault === undefined) return;
    await this.#save(lastCheckpoint);
    throw fault;
  }

  /** One step of the job. @throws DivergenceError when its loss is not finite. */
  async #train({ job, tensors }: CurrentEpoch): Promise<StepResult> {
    const { step } = this.#position;
    try {
      const result = await job.run(this.#state, tensors, this.#scalars(step));
      if (Number.isFinite(result.loss)) return result;
      throw await this.#guard.diverged(notFinite("the loss", result.loss), step + 1);
    } catch (error) {
      if (error instanceof NotANumberError) throw await this.#guard.diverged(error.message, step + 1, error);
      throw error;
    }
  }

  /** Evaluates on the test data. @throws DivergenceError when the loss is not finite. */
  async #evaluate(epoch: number): Promise<EvaluationResult> {
    const { network, evaluator } = await this.#stageFor(epoch);
    return this.#guard.evaluate(network, evaluator, { step: this.#position.step, epoch: epoch + 1 });
  }

  /** Returns the state, on the host. @throws DivergenceError when it holds a value that is not finite. */
  #soundSnapshot(): Promise<ReadonlyMap<string, Tensor>> {
    return this.#guard.snapshot(this.#position.step);
  }

  #learningRateAt(step: number): number {
    const { recipe } = this.#run;
    const { stepsPerEpoch } = this.#batches;
    return learningRateAt(recipe.schedule, recipe.learningRate, step, { epochs: recipe.epochs, stepsPerEpoch });
  }

  #scalars(step: number): Record<string, number> {
    const { recipe } = this.#run;
    const learningRate = this.#learningRateAt(step);
    const position = step / this.#batches.stepsPerEpoch;
    const rates = parameterGroups.map((group) => {
      const factor = group === "quantizers" ? scaleWarmupAt(recipe, position) : 1;
      return [learningRateInput(group), learningRate * recipe.learningRateScale[group] * factor] as const;
    });
    const { dampening, freezing, epochs } = recipe;
    return {
      ...Object.fromEntries(rates),
      ...optimizerFor(recipe.optimizer).scalars(step + 1),
      [dampeningInput]: dampening === undefined ? 0 : dampeningAt(dampening, position, epochs),
      [thresholdInput]: freezing === undefined ? 1 : thresholdAt(freezing, position, epochs),
    };
  }

  /** Returns the network of an epoch with its evaluation; epochs of one stage share it. */
  async #stageFor(epoch: number): Promise<CompiledStage> {
    const { data, engine, recipe } = this.#run;
    const network = stageOf(this.#run.stages ?? [], epoch)?.network ?? this.#run.network;
    if (this.#stage?.network === network) return this.#stage;
    await this.#stage?.evaluator.release();
    await this.#stage?.reestimator?.release();
    this.#stage = undefined;
    const target = this.#run.target === undefined ? {} : { target: this.#run.target };
    const teacher = recipe.loss.name === "distillation" ? { teacher: recipe.loss } : {};
    const evaluator = await Evaluator.create(network, data.test, engine, { ...target, ...teacher });
    const { batchSize, seed } = recipe;
    const reestimator =
      recipe.reestimateBatchNormBatches === undefined
        ? undefined
        : await BatchNormReestimator.create(network, data.train, engine, { batchSize, seed, ...target });
    this.#stage = { network, evaluator, reestimator };
    return this.#stage;
  }

  /** Adapts learned scales where an epoch begins a stage with other codes. */
  #enter(stage: CompiledStage, epoch: number): void {
    const before = epoch === 0 ? undefined : stageOf(this.#run.stages ?? [], epoch - 1);
    if (before !== undefined && before.network !== stage.network)
      adaptScales(this.#state, before.network, stage.network);
  }

  /** Returns the training job of an epoch; epochs with the same settings share it. */
  async #jobFor(network: Network, epoch: number): Promise<TrainingJob> {
    const { recipe, data, engine, target, stages } = this.#run;
    const mode = modeOfEpoch(recipe, network, epoch);
    const { distillation } = recipe;
    const aids = {
      distill: covers(distillation, epoch),
      dampen: covers(recipe.dampening, epoch),
      freeze: covers(recipe.freezing, epoch),
    };
    const key = JSON.stringify([mode, aids, stageOf(stages ?? [], epoch)?.fromEpoch]);
    if (this.#job?.key === key) return this.#job.job;
    await this.#job?.job.release();
    this.#job = undefined;
    const step = buildTrainingStep(network, {
      batchSize: recipe.batchSize,
      input: inputOf(data.train),
      loss: recipe.loss,
      optimizer: recipe.optimizer,
      weightDecay: recipe.weightDecay,
      ...defined({ gradientClip: recipe.gradientClip }),
      mode,
      ...(aids.distill && distillation !== undefined ? { distillation } : {}),
      ...(aids.dampen || aids.freeze
        ? { oscillation: { dampen: aids.dampen, freeze: aids.freeze, momentum: oscillationMomentum } }
        : {}),
    });
    const job = await TrainingJob.create(engine, step, target, {
      ...(engine.freeMemory === undefined ? {} : { memoryLimit: engine.freeMemory() }),
      ...defined({ recompute: recipe.recompute }),
    });
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
    await store.save(name, { state: await this.#soundSnapshot(), position: this.#position });
  }

  #speed(): number {
    return this.#seconds === 0 ? 0 : this.#images / this.#seconds;
  }
}

/** The targets of a batch as the training step takes them; none where the samples are their own. */
export function targetTensor(targets: TargetArray, batchSize: number, { kind }: LabelType): Tensor {
  if (kind === "input") return makeTensor("float32", [batchSize, 0], new Float32Array(0));
  if (kind === "classes") return makeTensor("int32", [batchSize], targets);
  if (targets instanceof Int32Array) return makeTensor("int32", [batchSize, targets.length / batchSize], targets);
  return makeTensor("float32", [batchSize, targets.length / batchSize], targets);
}
