/**
 * The first parameters of a BatchNormalization that was folded and put back. In training it divides by the deviation of the batch
 * and takes off its mean, which the folded network does not do: scale and offset undo that, so that the network computes
 * the same in training as in evaluation.
 */
import { buildChannelStatistics } from "../../compile/build/evaluation.ts";
import { nextName } from "../../compile/build/training-step.ts";
import { allocateBatch, type Dataset } from "../../data/dataset/dataset.ts";
import type { RestoredBatchNorm } from "../../importer/rewrite/restore-batch-norm.ts";
import { type Network, withParameterValues } from "../../ir/network.ts";
import { float32Data, float32Tensor, makeTensor, type Tensor } from "../../ir/tensor.ts";
import type { Target } from "../../ops/definition.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ForwardJob } from "../../runtime/job.ts";
import { StateBuffers } from "../../runtime/state.ts";
import { evenIndices } from "./calibrate.ts";
import { inputOf } from "./evaluate.ts";

/** Samples whose statistics are taken: enough for a mean, few enough for no delay. */
const measuredSamples = 512;

/**
 * Returns the network with the statistics of its restored BatchNormalizations, and the scales and offsets that undo them.
 *
 * @param restored As the import reports them.
 */
export async function withRestoredStatistics(
  network: Network,
  restored: readonly RestoredBatchNorm[],
  dataset: Dataset,
  options: { readonly batchSize: number; readonly engine: Engine; readonly target?: Target | undefined },
): Promise<Network> {
  if (restored.length === 0) return network;
  const batchSize = Math.min(options.batchSize, dataset.count);
  const scales = new Set(restored.map(({ scale }) => scale));
  const statistics = buildChannelStatistics(network, { batchSize, input: inputOf(dataset) }, scales);
  const job = await ForwardJob.create(options.engine, statistics, options.target);
  const values = new Map<string, Tensor>(network.parameters.map(({ name, value }) => [name, value]));
  const totals = new Map(restored.map((each) => [each, new Moments()]));
  try {
    const state = new StateBuffers(values);
    const batch = allocateBatch(dataset, batchSize);
    const data = makeTensor(dataset.sampleType, [batchSize, ...dataset.sampleShape], batch.samples);
    const batches = Math.max(1, Math.floor(Math.min(measuredSamples, dataset.count) / batchSize));
    const samples = evenIndices(dataset.count, batches * batchSize);
    for (let first = 0; first < samples.length; first += batchSize) {
      const indices = samples.subarray(first, first + batchSize);
      await dataset.prefetch?.(indices);
      dataset.readBatch(indices, batch);
      const outputs = await job.run(state, data);
      for (const [{ mean, variance }, total] of totals) total.add(outputs[nextName(mean)], outputs[nextName(variance)]);
    }
  } finally {
    await job.release();
  }
  for (const [{ scale, offset, mean, variance, epsilon }, total] of totals) {
    const bias = values.get(offset);
    if (bias === undefined) continue;
    const { means, variances } = total.result();
    const channels = bias.shape;
    const offsets = float32Data(bias).map((value, i) => value + (means[i] ?? 0));
    values.set(mean, float32Tensor(channels, means));
    values.set(variance, float32Tensor(channels, variances));
    values.set(
      scale,
      float32Tensor(
        channels,
        variances.map((value) => Math.sqrt(value + epsilon)),
      ),
    );
    values.set(offset, float32Tensor(channels, offsets));
  }
  return { ...network, ...withParameterValues(network, values) };
}

/** Mean and variance of each channel over batches of one size. */
class Moments {
  readonly #batches: { readonly means: Float32Array; readonly variances: Float32Array }[] = [];

  add(means: Tensor | undefined, variances: Tensor | undefined): void {
    if (means === undefined || variances === undefined) return;
    this.#batches.push({ means: float32Data(means).slice(), variances: float32Data(variances).slice() });
  }

  result(): { readonly means: Float32Array; readonly variances: Float32Array } {
    const count = Math.max(1, this.#batches.length);
    const channels = this.#batches[0]?.means.length ?? 0;
    const average = (value: (batch: { means: Float32Array; variances: Float32Array }) => number) =>
      this.#batches.reduce((sum, batch) => sum + value(batch), 0) / count;
    const means = Float32Array.from({ length: channels }, (_, i) => average((batch) => batch.means[i] ?? 0));
    const variances = Float32Array.from({ length: channels }, (_, i) =>
      average((batch) => (batch.variances[i] ?? 0) + ((batch.means[i] ?? 0) - (means[i] ?? 0)) ** 2),
    );
    return { means, variances };
  }
}
