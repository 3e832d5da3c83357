/** Jobs on an engine: a compiled graph with its session, run against a set of state buffers. */

import type { EvaluationJob } from "../compile/evaluation.ts";
import { lowerGraph } from "../compile/lower.ts";
import { operators } from "../compile/registry.ts";
import { nextName, type TrainingStep } from "../compile/training-step.ts";
import type { Graph } from "../graph/graph.ts";
import { writeOnnx } from "../graph/onnx-write.ts";
import { allocate, filled, float32Data, float32Scalar, makeTensor, type Tensor } from "../graph/tensor.ts";
import { elementCount } from "../graph/types.ts";
import type { Target } from "../ops/operator.ts";
import type { Engine, EngineSession } from "./engine.ts";
import type { StateBuffers } from "./state.ts";

/** Lowers a graph for a target and writes it as ONNX bytes. */
export function emit(graph: Graph, target: Target): Uint8Array {
  return writeOnnx(lowerGraph(graph, operators, target));
}

export interface StepResult {
  readonly loss: number;
  /** The network's output for the batch; overwritten by the next step. */
  readonly prediction: Tensor;
}

/** A training step ready to run. */
export class TrainingJob {
  readonly #session: EngineSession;
  readonly #step: TrainingStep;
  readonly #changed: readonly string[];
  readonly #scalars: ReadonlyMap<string, Tensor>;
  readonly #loss = float32Scalar(0);
  readonly #prediction: Tensor;

  private constructor(session: EngineSession, step: TrainingStep) {
    this.#session = session;
    this.#step = step;
    const outputs = new Set(step.graph.outputs.map((output) => output.name));
    this.#changed = step.state.map(({ name }) => name).filter((name) => outputs.has(nextName(name)));
    this.#scalars = new Map(step.scalars.map((name) => [name, float32Scalar(0)]));
    const prediction = step.graph.outputs.find((output) => output.name === "prediction")?.value.type.shape ?? [];
    this.#prediction = filled(prediction, 0);
  }

  static async create(engine: Engine, step: TrainingStep, target?: Target): Promise<TrainingJob> {
    const session = await engine.createSession(emit(step.graph, target ?? (await engine.target())));
    return new TrainingJob(session, step);
  }

  /** Adds the step's state to the buffers, where they have none of that name yet. */
  prepare(state: StateBuffers): void {
    for (const { name, initial } of this.#step.state) if (!state.has(name)) state.set(name, initial);
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
    const feeds: Record<string, Tensor> = {
      [this.#step.dataInput.name]: batch.data,
      [this.#step.targetInput.name]: batch.targets,
    };
    for (const [name, tensor] of this.#scalars) {
      float32Data(tensor)[0] = scalars[name] ?? 0;
      feeds[name] = tensor;
    }
    for (const { name } of this.#step.state) feeds[name] = state.get(name);
    const fetches: Record<string, Tensor> = { loss: this.#loss, prediction: this.#prediction };
    for (const name of this.#changed) fetches[nextName(name)] = state.spare(name);
    await this.#session.run(feeds, fetches);
    state.swap(this.#changed);
    return { loss: float32Data(this.#loss)[0] ?? Number.NaN, prediction: this.#prediction };
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

/** An evaluation ready to run. */
export class ForwardJob {
  readonly #session: EngineSession;
  readonly #job: EvaluationJob;
  readonly #outputs: Readonly<Record<string, Tensor>>;

  private constructor(session: EngineSession, job: EvaluationJob) {
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
    const session = await engine.createSession(emit(job.graph, target ?? (await engine.target())));
    return new ForwardJob(session, job);
  }

  /** The outputs for a batch, by name; their buffers are overwritten by the next run. */
  async run(state: StateBuffers, data: Tensor): Promise<Readonly<Record<string, Tensor>>> {
    const feeds: Record<string, Tensor> = { [this.#job.dataInput.name]: data };
    for (const { name } of this.#job.state) feeds[name] = state.get(name);
    await this.#session.run(feeds, this.#outputs);
    return this.#outputs;
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}
