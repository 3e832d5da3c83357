/** Evaluation of a network over a data set. */
import { buildEvaluation } from "../compile/evaluation.ts";
import type { ImageInput } from "../compile/input.ts";
import { evaluationBatches } from "../data/batches.ts";
import { allocateBatch, type Dataset } from "../data/dataset.ts";
import { ConfigError } from "../errors.ts";
import type { Network } from "../graph/network.ts";
import { makeTensor } from "../graph/tensor.ts";
import type { Target } from "../ops/operator.ts";
import type { Engine } from "../runtime/engine.ts";
import { ForwardJob } from "../runtime/job.ts";
import { StateBuffers } from "../runtime/state.ts";
import { type EvaluationResult, metricTotals } from "./metrics.ts";

export type { EvaluationResult } from "./metrics.ts";

/** How a data set enters a graph: as it is, normalised inside. */
export function inputOf(dataset: Dataset): ImageInput {
  const { mean, std } = dataset.normalization;
  if (dataset.sampleType === "uint8") return { dtype: "uint8", mean, deviation: std };
  const isNone = mean.every((value) => value === 0) && std.every((value) => value === 1);
  return isNone ? { dtype: "float32" } : { dtype: "float32", mean, deviation: std };
}

/** A compiled evaluation that is run again and again, after each epoch. */
export class Evaluator {
  readonly #job: ForwardJob;
  readonly #dataset: Dataset;
  readonly #batchSize: number;

  private constructor(job: ForwardJob, dataset: Dataset, batchSize: number) {
    this.#job = job;
    this.#dataset = dataset;
    this.#batchSize = batchSize;
  }

  static async create(
    network: Network,
    dataset: Dataset,
    engine: Engine,
    options: { readonly batchSize?: number; readonly target?: Target } = {},
  ): Promise<Evaluator> {
    if (dataset.target.kind === "none") {
      throw new ConfigError("accuracy cannot be measured without labels", {
        where: `data set "${dataset.name}"`,
        remedy: "Compare with a teacher, or give data with labels.",
      });
    }
    const batchSize = Math.min(options.batchSize ?? 256, dataset.count);
    const job = await ForwardJob.create(
      engine,
      buildEvaluation(network, { batchSize, input: inputOf(dataset) }),
      options.target,
    );
    return new Evaluator(job, dataset, batchSize);
  }

  /** Accuracy and loss with the parameters in `state`. */
  async run(state: StateBuffers): Promise<EvaluationResult> {
    const batches = evaluationBatches(this.#dataset, this.#batchSize);
    const batch = allocateBatch(this.#dataset, this.#batchSize);
    const data = makeTensor(this.#dataset.sampleType, [this.#batchSize, ...this.#dataset.sampleShape], batch.samples);
    const totals = metricTotals(this.#dataset.target);
    for (let step = 0; step < batches.stepCount; step++) {
      await batches.prefetch(step);
      const valid = batches.read(step, batch);
      const [logits] = Object.values(await this.#job.run(state, data));
      if (logits !== undefined) totals.add(logits, batch.targets, valid);
    }
    return totals.result();
  }

  release(): Promise<void> {
    return this.#job.release();
  }
}

/** Accuracy and loss of a network with its own parameters. */
export async function evaluate(
  network: Network,
  dataset: Dataset,
  engine: Engine,
  options: { readonly batchSize?: number; readonly target?: Target } = {},
): Promise<EvaluationResult> {
  const evaluator = await Evaluator.create(network, dataset, engine, options);
  const state = new StateBuffers(network.parameters.map((parameter) => [parameter.name, parameter.value] as const));
  try {
    return await evaluator.run(state);
  } finally {
    await evaluator.release();
  }
}
