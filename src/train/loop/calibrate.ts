/** Initial values of activation quantizers, from the float activations of one batch. */
import {
  buildActivationSample,
  buildSiteSample,
  type EvaluationJob,
  initializeActivations,
} from "../../compile/build/evaluation.ts";
import { addStoredQuantizers } from "../../compile/passes/stored-codes.ts";
import type { QuantizedNetwork } from "../../compile/sites.ts";
import { allocateBatch, type Dataset } from "../../data/dataset/dataset.ts";
import { makeTensor, type Tensor } from "../../ir/tensor.ts";
import type { Target } from "../../ops/definition.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ForwardJob } from "../../runtime/job.ts";
import { StateBuffers } from "../../runtime/state.ts";
import { inputOf } from "./evaluate.ts";

/**
 * Returns the float values that reach each activation quantizer, by site name.
 *
 * @param indices The samples to use; a batch of the training data.
 */
export async function sampleActivations(
  network: QuantizedNetwork,
  dataset: Dataset,
  indices: Int32Array,
  engine: Engine,
  target?: Target,
): Promise<ReadonlyMap<string, Tensor>> {
  const job = buildActivationSample(network, { batchSize: indices.length, input: inputOf(dataset) });
  return runOn(job, dataset, indices, engine, target);
}

/** Returns the outputs of a job for some samples. */
async function runOn(
  job: EvaluationJob,
  dataset: Dataset,
  indices: Int32Array,
  engine: Engine,
  target: Target | undefined,
): Promise<ReadonlyMap<string, Tensor>> {
  const batch = allocateBatch(dataset, indices.length);
  await dataset.prefetch?.(indices);
  dataset.readBatch(indices, batch);
  const ready = await ForwardJob.create(engine, job, target);
  const state = new StateBuffers(job.state.map(({ name, initial }) => [name, initial] as const));
  try {
    const data = makeTensor(dataset.sampleType, [indices.length, ...dataset.sampleShape], batch.samples);
    return new Map(Object.entries(await ready.run(state, data)));
  } finally {
    await ready.release();
  }
}

/**
 * Returns the network with initial values from a batch for every activation quantizer without an observer.
 *
 * @example
 * const calibrated = await calibrate(quantized, data.train, Int32Array.of(0, 1, 2, 3), engine);
 * console.log(calibrated.sites.length); // their scales now fit these four samples
 */
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

/**
 * Returns the trained network with quantizers of `bits` bits on both branches of its residual additions and before its
 * average pools, where it has none (see addStoredQuantizers). Their ranges come from samples with everything else quantized.
 *
 * @param indices The samples to use; a batch of the training data.
 */
export async function withStoredQuantizers(
  network: QuantizedNetwork,
  bits: number,
  dataset: Dataset,
  indices: Int32Array,
  engine: Engine,
  target?: Target,
): Promise<QuantizedNetwork> {
  const extended = addStoredQuantizers(network, bits);
  const added = extended.sites.slice(network.sites.length).map(({ id }) => id);
  if (added.length === 0) return network;
  const job = buildSiteSample(extended, { batchSize: indices.length, input: inputOf(dataset) }, added);
  return initializeActivations(extended, await runOn(job, dataset, indices, engine, target));
}

/** Returns `wanted` indices of a data set, evenly spread, or all of them. */
export function evenIndices(count: number, wanted: number): Int32Array {
  const taken = Math.min(count, wanted);
  return Int32Array.from({ length: taken }, (_, i) => Math.floor((i * count) / taken));
}
