/**
 * Re-estimation of batch normalization: running statistics lag behind weights that jump between codes, so they are taken
 * again as the mean over some batches with the weights as they stand (Nagel et al., arXiv 2203.11086, section 4.1; AIMET
 * has the same).
 */
import { buildBatchNormStatistics } from "../../compile/build/evaluation.ts";
import { nextName } from "../../compile/build/training-step.ts";
import { trainingBatches } from "../../data/dataset/batches.ts";
import { allocateBatch, type Dataset } from "../../data/dataset/dataset.ts";
import type { Network } from "../../ir/network.ts";
import { float32Data, float32Tensor, makeTensor } from "../../ir/tensor.ts";
import type { Target } from "../../ops/definition.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ForwardJob } from "../../runtime/job.ts";
import type { StateBuffers } from "../../runtime/state.ts";
import { inputOf } from "./evaluate.ts";

/** A compiled re-estimation that is run after each epoch. */
export class BatchNormReestimator {
  /** undefined: the network has no batch normalization. */
  readonly #job: ForwardJob | undefined;
  readonly #dataset: Dataset;
  readonly #options: { readonly batchSize: number; readonly seed: number };

  private constructor(job: ForwardJob | undefined, dataset: Dataset, options: { batchSize: number; seed: number }) {
    this.#job = job;
    this.#dataset = dataset;
    this.#options = options;
  }

  static async create(
    network: Network,
    dataset: Dataset,
    engine: Engine,
    options: { readonly batchSize: number; readonly seed: number; readonly target?: Target },
  ): Promise<BatchNormReestimator> {
    const { batchSize, seed } = options;
    const statistics = buildBatchNormStatistics(network, { batchSize, input: inputOf(dataset) });
    const isNone = statistics.graph.outputs.length === 0;
    const job = isNone ? undefined : await ForwardJob.create(engine, statistics, options.target);
    return new BatchNormReestimator(job, dataset, { batchSize, seed });
  }

  /** Replaces the running statistics in `state` by their mean over `count` batches of an epoch's order, unaugmented. */
  async run(state: StateBuffers, epoch: number, count: number): Promise<void> {
    if (this.#job === undefined) return;
    const { batchSize, seed } = this.#options;
    const batches = trainingBatches(this.#dataset, { seed, batchSize, cropPadding: 0, horizontalFlip: false });
    const batch = allocateBatch(this.#dataset, batchSize);
    const data = makeTensor(this.#dataset.sampleType, [batchSize, ...this.#dataset.sampleShape], batch.samples);
    const sums = new Map<string, { readonly shape: readonly number[]; readonly sum: Float64Array }>();
    const steps = Math.min(count, batches.stepsPerEpoch);
    const running = state.names;
    for (let step = 0; step < steps; step++) {
      await batches.prefetch(epoch, step);
      batches.read(epoch, step, batch);
      const outputs = await this.#job.run(state, data);
      for (const name of running) {
        const tensor = outputs[nextName(name)];
        if (tensor === undefined) continue;
        const values = float32Data(tensor);
        const total = sums.get(name) ?? { shape: tensor.shape, sum: new Float64Array(values.length) };
        sums.set(name, total);
        values.forEach((value, i) => {
          total.sum[i] = (total.sum[i] ?? 0) + value;
        });
      }
    }
    for (const [name, { shape, sum }] of sums) {
      const mean = Float32Array.from(sum, (value) => value / steps);
      state.set(name, float32Tensor(shape, mean));
    }
  }

  async release(): Promise<void> {
    await this.#job?.release();
  }
}
