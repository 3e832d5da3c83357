/** Evaluation of a network over a data set. */
import { buildEvaluation } from "../../compile/build/evaluation.ts";
import type { ImageInput } from "../../compile/build/input.ts";
import { givesProbabilities } from "../../compile/build/outputs.ts";
import { eachBatch } from "../../data/dataset/batches.ts";
import type { Dataset } from "../../data/dataset/dataset.ts";
import { ConfigError, NotANumberError } from "../../errors.ts";
import { isFiniteTensor } from "../../ir/finite.ts";
import type { Network } from "../../ir/network.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import type { Target } from "../../ops/definition.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ForwardJob } from "../../runtime/job.ts";
import { StateBuffers } from "../../runtime/state.ts";
import { TeacherOutputs, type TeacherReference } from "../teacher/outputs.ts";
import { type EvaluationResult, type MetricTotals, metricTotals, scoresOf } from "./metrics.ts";

export type { EvaluationResult } from "./metrics.ts";

/** How an evaluation is run. */
export interface EvaluationOptions {
  readonly batchSize?: number;
  readonly target?: Target;
  /** The teacher that supplies the targets where the data has no labels. */
  readonly teacher?: TeacherReference;
}

/**
 * Returns how a data set enters a graph: raw, normalized inside.
 *
 * @example
 * console.log(inputOf(data.train).dtype); // uint8
 */
export function inputOf(dataset: Dataset): ImageInput {
  const { sampleType, inputs } = dataset;
  const { mean, std } = dataset.normalization;
  if (inputs !== undefined) return { dtype: sampleType === "int32" ? "int32" : "float32", parts: inputs };
  if (sampleType === "int32") return { dtype: "int32" };
  if (sampleType === "uint8") return { dtype: "uint8", mean, deviation: std };
  const isNone = mean.every((value) => value === 0) && std.every((value) => value === 1);
  return isNone ? { dtype: "float32" } : { dtype: "float32", mean, deviation: std };
}

/** Samples that an evaluation computes at once, and elements of its output up to which it does: 256 MB. */
const usualBatch = 256;
const mostOutputs = 2 ** 26;

/** Samples that an evaluation of a network computes at once: fewer where each has a large output, as the scores of a vocabulary. */
export function evaluationBatch({ count }: Dataset, network: Network, wanted?: number): number {
  if (wanted !== undefined) return Math.min(wanted, count);
  const each = elementCount(network.graph.outputs[0]?.value.type.shape.slice(1) ?? []);
  return Math.min(usualBatch, count, Math.max(1, Math.floor(mostOutputs / each)));
}

/** A compiled evaluation, which runs after each epoch. */
export class Evaluator {
  readonly #job: ForwardJob;
  readonly #dataset: Dataset;
  readonly #batchSize: number;
  /** Whether the network returns probabilities, which are evaluated by the scores behind them. */
  readonly #isProbability: boolean;
  readonly #teacher: { readonly reference: TeacherReference; readonly outputs: TeacherOutputs } | undefined;

  private constructor(
    job: ForwardJob,
    dataset: Dataset,
    batchSize: number,
    isProbability: boolean,
    teacher: { readonly reference: TeacherReference; readonly outputs: TeacherOutputs } | undefined,
  ) {
    this.#job = job;
    this.#dataset = dataset;
    this.#batchSize = batchSize;
    this.#isProbability = isProbability;
    this.#teacher = teacher;
  }

  static async create(
    network: Network,
    dataset: Dataset,
    engine: Engine,
    options: EvaluationOptions = {},
  ): Promise<Evaluator> {
    const { target } = options;
    const isUnlabelled = dataset.target.kind === "none";
    const reference = isUnlabelled ? options.teacher : undefined;
    if (isUnlabelled && reference === undefined) {
      throw new ConfigError("accuracy cannot be measured without labels", {
        where: `data set "${dataset.name}"`,
        remedy: "Name a teacher (train --teacher), or give data with labels.",
      });
    }
    const batchSize = evaluationBatch(dataset, network, options.batchSize);
    const input = inputOf(dataset);
    const job = await ForwardJob.create(engine, buildEvaluation(network, { batchSize, input }), target);
    const { kind } = dataset.target;
    const isClasses = kind === "classes" || kind === "dense" || reference?.outputs === "classes";
    const teacher =
      reference === undefined
        ? undefined
        : { reference, outputs: await TeacherOutputs.create(reference, input, batchSize, engine, target) };
    return new Evaluator(job, dataset, batchSize, isClasses && givesProbabilities(network), teacher);
  }

  /**
   * Returns the metric and the loss with the parameters in `state`.
   *
   * @param onBatch Sees the scores of each batch, its targets, and how many of its samples count.
   */
  async run(state: StateBuffers, onBatch?: MetricTotals["add"]): Promise<EvaluationResult> {
    const teacher = this.#teacher;
    const totals = metricTotals(this.#dataset.target, teacher?.reference.outputs);
    for await (const batch of eachBatch(this.#dataset, this.#batchSize)) {
      const { data, step, valid, labels } = batch;
      const [output] = Object.values(await this.#job.run(state, data));
      if (output === undefined) continue;
      const targets = teacher === undefined ? batch.targets : await teacher.outputs.read(step, data);
      const scores = this.#isProbability ? scoresOf(output) : output;
      totals.add(scores, targets, valid, labels);
      onBatch?.(scores, targets, valid, labels);
    }
    return totals.result();
  }

  /** Returns the first batch whose outputs are not finite, or cannot be computed because of NaN; undefined without one. */
  async firstNonFinite(state: StateBuffers): Promise<Tensor | undefined> {
    for await (const { data } of eachBatch(this.#dataset, this.#batchSize)) {
      try {
        if (!Object.values(await this.#job.run(state, data)).every(isFiniteTensor)) return data;
      } catch (error) {
        if (error instanceof NotANumberError) return data;
        throw error;
      }
    }
    return undefined;
  }

  async release(): Promise<void> {
    await this.#job.release();
    await this.#teacher?.outputs.release();
  }
}

/**
 * Returns the metric and the loss of a network with its own parameters.
 *
 * @example
 * console.log((await evaluate(network, data.test, engine)).accuracy);
 */
export async function evaluate(
  network: Network,
  dataset: Dataset,
  engine: Engine,
  options: EvaluationOptions = {},
): Promise<EvaluationResult> {
  const evaluator = await Evaluator.create(network, dataset, engine, options);
  const state = new StateBuffers(network.parameters.map((parameter) => [parameter.name, parameter.value] as const));
  try {
    return await evaluator.run(state);
  } finally {
    await evaluator.release();
  }
}
