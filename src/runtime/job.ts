/** Jobs on an engine: a compiled graph with its session, run against a set of state buffers. */

import type { EvaluationJob } from "../compile/build/evaluation.ts";
import { nextName, type StateTensor, type TrainingStep } from "../compile/build/training-step.ts";
import { bytesOf, peakBytes } from "../compile/memory.ts";
import { type Update, updatesInPlace } from "../compile/passes/in-place.ts";
import { lowerGraph } from "../compile/passes/lower.ts";
import { orderUpdates } from "../compile/passes/order-updates.ts";
import { recomputeCheap } from "../compile/passes/recompute.ts";
import { operators } from "../compile/registry.ts";
import { ConfigError, GraphError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import { allocate, filled, float32Data, float32Scalar, makeTensor, type Tensor } from "../ir/tensor.ts";
import { elementCount, sameShape, type TensorType } from "../ir/types.ts";
import { writeOnnx } from "../onnx/write/write.ts";
import type { Target } from "../ops/definition.ts";
import type { DeviceTensor, Engine, EngineSession } from "./engine.ts";
import type { StateBuffers } from "./state.ts";

/** Lowers a graph for a target and writes it as ONNX bytes. */
export function emit(graph: Graph, target: Target): Uint8Array {
  return writeOnnx(lowerGraph(graph, operators, target));
}

/** The loss and the output of a training step. */
export interface StepResult {
  readonly loss: number;
  /** The network's output for the batch; overwritten by the next step. */
  readonly prediction: Tensor;
}

/** A training step as the engine runs it, and what it needs. */
export interface TrainingPlan {
  /** Lowered for the target. */
  readonly graph: Graph;
  /** State that is written over what it was. */
  readonly inPlace: readonly Update[];
  /** The values of a step alive at once. */
  readonly bytes: number;
}

function planned(graph: Graph, mayOverwrite: boolean): TrainingPlan {
  const inPlace = mayOverwrite ? updatesInPlace(graph) : [];
  return { graph, inPlace, bytes: peakBytes(graph, new Set(inPlace.map(({ next }) => next))) };
}

/** @throws ConfigError with the batch that fits, when the values need more than the limit. */
function requireMemory(
  { dataInput, state }: TrainingStep,
  { bytes: needed, inPlace }: TrainingPlan,
  limit: number,
): void {
  if (needed <= limit) return;
  const [batch = 1] = dataInput.type.shape;
  const total = (types: readonly TensorType[]) => types.reduce((sum, type) => sum + bytesOf(type), 0);
  // State that is not updated in place has a second buffer; all the rest grows with the batch.
  const fixed = 2 * total(state.map(({ initial }) => initial)) - total(inPlace.map(({ present }) => present.type));
  const fitting = Math.floor((batch * (limit - fixed)) / Math.max(1, needed - fixed));
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new ConfigError(
    `a training step with a batch of ${batch} needs at least ${gigabytes(needed)} of memory, ${gigabytes(limit)} are free`,
    {
      remedy:
        fitting < 1
          ? "Not even a batch of 1 fits: use a smaller network or smaller images."
          : `Use a batch of at most ${2 ** Math.floor(Math.log2(fitting))} (--batch, train.batchSize).`,
    },
  );
}

/** `auto`: where the step would not fit otherwise. */
export const recomputeChoices = ["auto", "always", "never"] as const;
/** When cheap values are recomputed in the backward pass. */
export type RecomputeChoice = (typeof recomputeChoices)[number];

/** Memory and recomputation of a training step. */
export interface TrainingJobOptions {
  /** Bytes that the step's values may take at once; absent: any number. */
  readonly memoryLimit?: number;
  /**
   * Whether cheap values of the forward pass are computed again in the backward pass in place of being held, on the CPU:
   * less memory for more processor time (docs/performance.md says how much), and the same numbers. Default `auto`.
   */
  readonly recompute?: RecomputeChoice;
  /** Whether state is written over what it was, where it has been read by then; default true. */
  readonly inPlace?: boolean;
}

/**
 * Lowers a training step for a target, and decides what is computed again and what is updated in place.
 *
 * @throws ConfigError when the values would take more than the limit, before anything of that size is allocated.
 */
export function planTraining(
  step: TrainingStep,
  target: Target,
  { memoryLimit = Number.POSITIVE_INFINITY, recompute = "auto", inPlace = true }: TrainingJobOptions = {},
): TrainingPlan {
  const lowered = lowerGraph(step.graph, operators, target);
  // Other engines than the one for the CPU keep the state for themselves, and may merge equal nodes again.
  const isOnCpu = target.name === "cpu";
  const plan = (graph: Graph) => planned(isOnCpu && inPlace ? orderUpdates(graph) : graph, inPlace);
  const plain = plan(lowered);
  const repeats = isOnCpu && (recompute === "always" || (recompute === "auto" && plain.bytes > memoryLimit));
  const last = repeats ? plan(recomputeCheap(lowered)) : plain;
  requireMemory(step, last, memoryLimit);
  return last;
}

/** A training step ready to run. Where the engine can, its state stays on the device from one step to the next. */
export class TrainingJob {
  readonly #engine: Engine;
  readonly #session: EngineSession;
  readonly #step: TrainingStep;
  /** The values of a step alive at once, as planned. */
  readonly plannedBytes: number;
  /** State that a step changes and that goes back to the host each time: into its own buffer, or into another. */
  readonly #overwritten: readonly string[];
  readonly #swapped: readonly string[];
  /** State that stays on the device: what a step changes, and what it only reads. */
  readonly #kept: readonly string[];
  readonly #constant: readonly string[];
  readonly #scalars: ReadonlyMap<string, Tensor>;
  readonly #loss = float32Scalar(0);
  readonly #prediction: Tensor;

  /** The state whose newest values this job holds on the device. */
  #resident: StateBuffers | undefined;

  private constructor(
    engine: Engine,
    session: EngineSession,
    step: TrainingStep,
    residence: Residence,
    { inPlace, bytes }: TrainingPlan,
  ) {
    this.#engine = engine;
    this.#session = session;
    this.#step = step;
    const overwritten = new Set(inPlace.map(({ present }) => present.name));
    this.#overwritten = residence.changed.filter((name) => overwritten.has(name));
    this.#swapped = residence.changed.filter((name) => !overwritten.has(name));
    this.plannedBytes = bytes;
    this.#kept = residence.kept;
    this.#constant = residence.constant;
    this.#scalars = new Map(step.scalars.map((name) => [name, float32Scalar(0)]));
    const prediction = step.graph.outputs.find((output) => output.name === "prediction")?.value.type.shape ?? [];
    this.#prediction = filled(prediction, 0);
  }

  /**
   * @throws ConfigError when the values would take more than the limit, before anything of that size is allocated.
   */
  static async create(
    engine: Engine,
    step: TrainingStep,
    target?: Target,
    options: TrainingJobOptions = {},
  ): Promise<TrainingJob> {
    return TrainingJob.open(engine, step, planTraining(step, target ?? (await engine.target()), options));
  }

  /** Opens a session for a plan of the step. */
  static async open(engine: Engine, step: TrainingStep, plan: TrainingPlan): Promise<TrainingJob> {
    const residence = residenceOf(step, engine);
    const session = await engine.createSession(writeOnnx(plan.graph), {
      kept: residence.kept.map(nextName),
      disableGraphRewrites: true,
      skipOutputCopy: true,
    });
    return new TrainingJob(engine, session, step, residence, plan);
  }

  /**
   * Adds the step's state to the buffers, where they have none of that name yet.
   *
   * @throws GraphError for a state of another type or shape.
   */
  prepare(state: StateBuffers): void {
    for (const { name, initial } of this.#step.state) {
      if (!state.has(name)) state.set(name, initial);
      else checkSameType(name, initial, state.feed(name));
    }
  }

  /**
   * One step: state moves on in place.
   *
   * @param scalars A value for each of the step's scalar inputs (learning rates).
   */
  async run(
    state: StateBuffers,
    batch: { readonly data: Tensor; readonly targets: Tensor },
    scalars: Readonly<Record<string, number>>,
  ): Promise<StepResult> {
    const { dataInput, targetInput } = this.#step;
    const feeds: Record<string, Tensor | DeviceTensor> = { [dataInput.name]: batch.data };
    if (targetInput !== undefined) feeds[targetInput.name] = batch.targets;
    for (const [name, tensor] of this.#scalars) {
      float32Data(tensor)[0] = scalars[name] ?? 0;
      feeds[name] = tensor;
    }
    await this.#settle(state);
    for (const { name } of this.#step.state) feeds[name] = state.feed(name);
    const fetches: Record<string, Tensor> = { loss: this.#loss, prediction: this.#prediction };
    for (const name of this.#overwritten) fetches[nextName(name)] = state.get(name);
    for (const name of this.#swapped) fetches[nextName(name)] = state.spare(name);
    const held = await this.#session.run(feeds, fetches);
    state.swap(this.#swapped);
    for (const name of this.#kept) {
      const tensor = held[nextName(name)];
      if (tensor !== undefined) state.hold(name, tensor, true);
    }
    return { loss: float32Data(this.#loss)[0] ?? Number.NaN, prediction: this.#prediction };
  }

  /** Brings the state back from the device first: its tensors there are of this session. */
  async release(): Promise<void> {
    await this.#resident?.leaveDevice();
    await this.#session.release();
  }

  async #settle(state: StateBuffers): Promise<void> {
    const { keep } = this.#engine;
    if (keep === undefined) return state.leaveDevice();
    if (this.#resident !== state) await this.#resident?.leaveDevice();
    this.#resident = state;
    for (const name of this.#constant) {
      if (!state.isOnDevice(name)) state.hold(name, await keep(state.get(name)), false);
    }
  }
}

/** The location of a step's state. */
interface Residence {
  readonly changed: readonly string[];
  readonly kept: readonly string[];
  readonly constant: readonly string[];
}

/** On the device, where it can be: all but empty tensors and other types than float32. */
function residenceOf({ graph, state }: TrainingStep, { keep }: Engine): Residence {
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const changes = ({ name }: StateTensor) => outputs.has(nextName(name));
  const stays = ({ initial: { dtype, shape } }: StateTensor) =>
    keep !== undefined && dtype === "float32" && elementCount(shape) > 0;
  const namesWhere = (holds: (tensor: StateTensor) => boolean) => state.filter(holds).map(({ name }) => name);
  return {
    changed: namesWhere((tensor) => changes(tensor) && !stays(tensor)),
    kept: namesWhere((tensor) => changes(tensor) && stays(tensor)),
    constant: namesWhere((tensor) => !changes(tensor) && stays(tensor)),
  };
}

/**
 * An evaluation ready to run.
 *
 * @example
 * const evaluation = buildEvaluation(network, { batchSize: 1, input: { dtype: "float32" } });
 * const job = await ForwardJob.create(engine, evaluation);
 * const state = new StateBuffers(evaluation.state.map(({ name, initial }) => [name, initial] as const));
 * console.log((await job.run(state, filled([1, 1, 28, 28], 0))).logits?.shape); // [1, 10]
 * await job.release();
 */
export class ForwardJob {
  readonly #engine: Engine;
  readonly #session: EngineSession;
  readonly #job: EvaluationJob;
  readonly #outputs: Readonly<Record<string, Tensor>>;

  private constructor(engine: Engine, session: EngineSession, job: EvaluationJob) {
    this.#engine = engine;
    this.#session = session;
    this.#job = job;
    this.#outputs = Object.fromEntries(
      job.graph.outputs.map(({ name, value: { type } }) => [
        name,
        makeTensor(type.dtype, type.shape, allocate(type.dtype, elementCount(type.shape))),
      ]),
    );
  }

  static async create(engine: Engine, job: EvaluationJob, target?: Target): Promise<ForwardJob> {
    const model = emit(job.graph, target ?? (await engine.target()));
    const session = await engine.createSession(model, { disableGraphRewrites: true });
    return new ForwardJob(engine, session, job);
  }

  /** The outputs for a batch, by name; their buffers are overwritten by the next run. */
  async run(state: StateBuffers, data: Tensor): Promise<Readonly<Record<string, Tensor>>> {
    const feeds: Record<string, Tensor | DeviceTensor> = { [this.#job.dataInput.name]: data };
    if (this.#engine.keep === undefined) await state.toHost();
    for (const { name } of this.#job.state) {
      feeds[name] = this.#engine.keep === undefined ? state.get(name) : state.feed(name);
    }
    await this.#session.run(feeds, this.#outputs);
    return this.#outputs;
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

function checkSameType(name: string, wanted: TensorType, given: TensorType): void {
  if (given.dtype === wanted.dtype && sameShape(given.shape, wanted.shape)) return;
  const show = ({ dtype, shape }: TensorType) => `${dtype}[${shape}]`;
  throw new GraphError(`state "${name}" is ${show(given)}, but the training step takes ${show(wanted)}`, {
    remedy: "The checkpoint is of another training, or was edited: start a new run.",
  });
}
