/** Initial values of activation quantizers, from the float activations of one batch. */
import { buildActivationSample, initializeActivations } from "../compile/evaluation.ts";
import type { QuantizedNetwork } from "../compile/quantize.ts";
import { allocateBatch, type Dataset } from "../data/dataset.ts";
import { makeTensor, type Tensor } from "../graph/tensor.ts";
import type { Target } from "../ops/operator.ts";
import type { Engine } from "../runtime/engine.ts";
import { ForwardJob } from "../runtime/job.ts";
import { StateBuffers } from "../runtime/state.ts";
import { inputOf } from "./evaluate.ts";

/**
 * The float values that reach each activation quantizer, by site name.
 *
 * @param indices The samples to look at; a batch of the training data.
 */
export async function sampleActivations(
  network: QuantizedNetwork,
  dataset: Dataset,
  indices: Int32Array,
  engine: Engine,
  target?: Target,
): Promise<ReadonlyMap<string, Tensor>> {
  const batch = allocateBatch(dataset, indices.length);
  await dataset.prefetch?.(indices);
  dataset.readBatch(indices, batch);
  const job = await ForwardJob.create(
    engine,
    buildActivationSample(network, { batchSize: indices.length, input: inputOf(dataset) }),
    target,
  );
  const state = new StateBuffers(network.parameters.map((parameter) => [parameter.name, parameter.value] as const));
  try {
    const data = makeTensor(dataset.sampleType, [indices.length, ...dataset.sampleShape], batch.samples);
    return new Map(Object.entries(await job.run(state, data)));
  } finally {
    await job.release();
  }
}

/** The network with initial values, from a batch, for every activation quantizer that no observer drives. */
export async function calibrate(
  network: QuantizedNetwork,
  dataset: Dataset,
  indices: Int32Array,
  engine: Engine,
  target?: Target,
): Promise<QuantizedNetwork> {
  const needed = network.sites.some((site) => site.kind === "activation" && site.spec.observer === undefined);
  if (!needed) return network;
  return initializeActivations(network, await sampleActivations(network, dataset, indices, engine, target));
}
