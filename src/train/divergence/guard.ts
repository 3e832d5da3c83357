/** Checks the losses and the state of a training: stops at values that are not finite and searches for their origin. */
import { defined } from "../../base/defined.ts";
import { evaluationMode } from "../../compile/build/forward.ts";
import type { TrainingBatches } from "../../data/dataset/batches.ts";
import type { Batch } from "../../data/dataset/dataset.ts";
import { type DivergenceError, type DivergenceOrigin, NotANumberError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { Target } from "../../ops/definition.ts";
import type { TrainingJob } from "../../runtime/job.ts";
import type { StateBuffers } from "../../runtime/state.ts";
import { type Evaluator, inputOf } from "../loop/evaluate.ts";
import type { EvaluationResult } from "../loop/metrics.ts";
import { covers, modeOfEpoch } from "../loop/phases.ts";
import type { TrainingRun } from "../loop/recipe.ts";
import { divergenceError, notFinite } from "./divergence.ts";
import { firstNonFinite, unsoundState } from "./first-non-finite.ts";
import { type ReplayResult, replay, type SoundState } from "./replay.ts";

/** The network, the job and the buffers of an epoch. */
export interface CurrentEpoch {
  readonly network: Network;
  readonly job: TrainingJob;
  /** Counted from 0. */
  readonly epoch: number;
  readonly tensors: { readonly data: Tensor; readonly targets: Tensor };
  /** The buffers of the tensors. */
  readonly batch: Batch;
}

/** Stops a training whose loss or state is not finite, and finds the origin. */
export class DivergenceGuard {
  readonly #run: TrainingRun;
  readonly #batches: TrainingBatches;
  readonly #state: StateBuffers;
  readonly #scalars: (step: number) => Readonly<Record<string, number>>;
  #current: CurrentEpoch | undefined;
  #sound: SoundState | undefined;

  /** @param scalars Scalars that a step is fed besides its batch, given the number of steps before it. */
  constructor(
    run: TrainingRun,
    batches: TrainingBatches,
    state: StateBuffers,
    scalars: (step: number) => Readonly<Record<string, number>>,
  ) {
    this.#run = run;
    this.#batches = batches;
    this.#state = state;
    this.#scalars = scalars;
  }

  /** Begins an epoch, or the rest of one. */
  enter(current: CurrentEpoch): void {
    this.#current = current;
    this.#sound = undefined;
  }

  /**
   * Returns a copy of the state, from which a later failure is traced.
   *
   * @param step Training steps done.
   * @throws DivergenceError when the state holds a value that is not finite.
   */
  async snapshot(step: number): Promise<ReadonlyMap<string, Tensor>> {
    await this.#state.toHost();
    const state = this.#state.snapshot();
    const origin = unsoundState(this.#current?.network ?? this.#run.network, state);
    if (origin !== undefined) throw await this.diverged(`${origin.name} is not finite`, step, undefined, origin);
    this.#sound = { step, state };
    return state;
  }

  /**
   * Returns the error for a value that is not finite.
   *
   * @param step The training step after which it was seen, counted from 1.
   * @param unsound Its origin, where that is known.
   */
  async diverged(what: string, step: number, cause?: unknown, unsound?: DivergenceOrigin): Promise<DivergenceError> {
    const [current, from] = [this.#current, this.#sound];
    const found = current === undefined || from === undefined ? undefined : await this.#replay(current, from, step);
    const at = found?.step ?? step;
    return divergenceError({
      what,
      step: at,
      epoch: Math.floor(Math.max(0, at - 1) / this.#batches.stepsPerEpoch) + 1,
      origin: found?.origin ?? unsound,
      hasMoved: found?.hasMoved ?? step > 0,
      learningRate: this.#run.recipe.learningRate,
      ...defined({ cause }),
    });
  }

  /** Returns the metric and the loss of the test data. @throws DivergenceError when the loss is not finite. */
  async evaluate(
    network: Network,
    evaluator: Evaluator,
    at: { readonly step: number; readonly epoch: number },
  ): Promise<EvaluationResult> {
    const result = await evaluator.run(this.#state).catch((error: unknown) => {
      if (error instanceof NotANumberError) return error;
      throw error;
    });
    const failure = result instanceof NotANumberError ? { what: result.message, cause: result } : undefined;
    if (!(result instanceof NotANumberError) && Number.isFinite(result.loss)) return result;
    throw divergenceError({
      ...at,
      ...(failure ?? { what: notFinite("the test loss", "loss" in result ? result.loss : Number.NaN) }),
      origin: await this.#originInTest(network, evaluator),
      hasMoved: at.step > 0,
      learningRate: this.#run.recipe.learningRate,
    });
  }

  async #originInTest(network: Network, evaluator: Evaluator): Promise<DivergenceOrigin | undefined> {
    const samples = await evaluator.firstNonFinite(this.#state);
    if (samples === undefined) return undefined;
    await this.#state.toHost();
    const { data, engine } = this.#run;
    const pass = {
      network,
      state: this.#state.snapshot(),
      batch: { data: samples },
      batchSize: samples.shape[0] ?? 1,
      input: inputOf(data.test),
      mode: evaluationMode,
    };
    return firstNonFinite(pass, engine, await this.#target());
  }

  async #replay(current: CurrentEpoch, from: SoundState, until: number): Promise<ReplayResult | undefined> {
    const { recipe, data, engine } = this.#run;
    const { network, job, epoch, tensors, batch } = current;
    const distillation = covers(recipe.distillation, epoch) ? recipe.distillation : undefined;
    return replay({
      from,
      until,
      network,
      engine,
      target: await this.#target(),
      repeat: async (step, state) => {
        const stepInEpoch = step - epoch * this.#batches.stepsPerEpoch;
        await this.#batches.prefetch(epoch, stepInEpoch);
        this.#batches.read(epoch, stepInEpoch, batch);
        return job.run(state, tensors, this.#scalars(step));
      },
      pass: (state) => ({
        network,
        state,
        batch: tensors,
        batchSize: recipe.batchSize,
        input: inputOf(data.train),
        mode: modeOfEpoch(recipe, network, epoch),
        task: { loss: recipe.loss, ...defined({ distillation }) },
      }),
    });
  }

  async #target(): Promise<Target> {
    return this.#run.target ?? (await this.#run.engine.target());
  }
}
