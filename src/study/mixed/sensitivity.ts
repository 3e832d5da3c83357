/**
 * How far a network is from its float self with some of its tensors quantized.
 *
 * Activations: for each number of bits there is one compiled evaluation in which every quantizer of activations has a
 * switch (diagnose/ablation.ts), so that one session serves all of them. Weights are quantized by a graph of their own and
 * fed in the place of the float ones, so that no evaluation quantizes them again.
 */

import { buildEvaluation } from "../../compile/build/evaluation.ts";
import { copyNode } from "../../compile/passes/copy.ts";
import { newBuilder } from "../../compile/registry.ts";
import type { QuantizedNetwork } from "../../compile/sites.ts";
import { trainingBatches } from "../../data/dataset/batches.ts";
import { allocateBatch, type Dataset } from "../../data/dataset/dataset.ts";
import { switchName, withSwitches } from "../../diagnose/ablation.ts";
import { GraphError } from "../../errors.ts";
import type { Value } from "../../ir/graph.ts";
import type { Network, ParameterId } from "../../ir/network.ts";
import { allocate, float32Scalar, makeTensor, type Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import type { Target } from "../../ops/definition.ts";
import type { Engine } from "../../runtime/engine.ts";
import { emit, ForwardJob } from "../../runtime/job.ts";
import { copyOf, StateBuffers } from "../../runtime/state.ts";
import { inputOf } from "../../train/loop/evaluate.ts";
import { type DistanceKind, distanceKindOf, outputDistance } from "./distance.ts";
import { giveTurn } from "./turns.ts";

/** The images that everything is measured on, and by what. */
export interface CalibrationData {
  readonly dataset: Dataset;
  readonly indices: readonly Int32Array[];
  readonly batches: readonly Tensor[];
  readonly samples: number;
  readonly distance: DistanceKind;
}

/** Input elements of a batch up to which a signal need not wait long for its end: 128 samples of 3×73×73. */
const batchElements = 2 ** 21;

/** A power of two for large samples; at most 128. */
function largestBatch({ sampleShape }: Dataset): number {
  return 2 ** Math.floor(Math.log2(Math.min(128, Math.max(8, batchElements / elementCount(sampleShape)))));
}

/** Reads `samples` training samples (a multiple of the batch) in the order of a seed. */
export async function calibrationData(dataset: Dataset, samples: number, seed: number): Promise<CalibrationData> {
  const batchSize = Math.min(samples, largestBatch(dataset), dataset.count);
  const count = Math.max(1, Math.floor(Math.min(samples, dataset.count) / batchSize));
  const order = trainingBatches(dataset, { seed, batchSize, cropPadding: 0, horizontalFlip: false });
  const indices = Array.from({ length: count }, (_, step) => order.indices(0, step));
  const batches: Tensor[] = [];
  for (const chosen of indices) {
    const batch = allocateBatch(dataset, batchSize);
    await dataset.prefetch?.(chosen);
    dataset.readBatch(chosen, batch);
    batches.push(makeTensor(dataset.sampleType, [batchSize, ...dataset.sampleShape], batch.samples));
  }
  return { dataset, indices, batches, samples: count * batchSize, distance: distanceKindOf(dataset.target) };
}

/** The float network, with its own outputs and what other weights make of them. */
export class FloatSubject {
  /** Its outputs for the calibration data, batch by batch. */
  readonly reference: readonly Tensor[];
  readonly #subject: Subject;
  readonly #data: CalibrationData;

  private constructor(subject: Subject, reference: readonly Tensor[], data: CalibrationData) {
    this.#subject = subject;
    this.reference = reference;
    this.#data = data;
  }

  static async create(float: Network, parts: SubjectParts): Promise<FloatSubject> {
    const subject = await Subject.create(float, parts);
    return new FloatSubject(subject, await subject.outputs(), parts.data);
  }

  /** The mean distance from its own outputs with another value of one parameter. */
  async measure(parameter: string, value: Tensor): Promise<number> {
    const { state } = this.#subject;
    const own = copyOf(state.get(parameter));
    state.set(parameter, value);
    const outputs = await this.#subject.outputs();
    state.set(parameter, own);
    return meanDistance(this.#data, this.reference, outputs);
  }

  release(): Promise<void> {
    return this.#subject.release();
  }
}

/** The quantized weights of a network, by the names of the parameters that they are made of. */
export async function quantizedWeights(
  network: QuantizedNetwork,
  engine: Engine,
  target?: Target,
): Promise<ReadonlyMap<ParameterId, Tensor>> {
  const builder = newBuilder(`${network.name} weights`);
  const outputOf = (weight: ParameterId) => `quantized.${weight}`;
  const values = new Map(network.parameters.map(({ name, value }) => [name, value]));
  const weights = new Set(network.sites.flatMap(({ kind, id }) => (kind === "weight" ? id : [])));
  const feeds: Record<string, Tensor> = {};
  const quantized = new Map<ParameterId, Tensor>();
  const input = (value: Value): Value => {
    const tensor = values.get(value.name);
    if (tensor === undefined) throw new GraphError("it is no parameter", { where: `value "${value.name}"` });
    feeds[value.name] = tensor;
    return builder.input(value.name, value.type);
  };
  for (const node of network.graph.nodes.filter(({ name }) => weights.has(name))) {
    const [weight] = node.inputs;
    const inputs = node.inputs.map((value) => value && input(value));
    const [output] = copyNode(builder, node, inputs);
    if (weight === undefined || output === undefined) continue;
    const { dtype, shape } = output.type;
    quantized.set(weight.name, makeTensor(dtype, shape, allocate(dtype, elementCount(shape))));
    builder.output(outputOf(weight.name), output);
  }
  const model = emit(builder.finish(), target ?? (await engine.target()));
  const session = await engine.createSession(model, { disableGraphRewrites: true });
  try {
    await session.run(feeds, Object.fromEntries([...quantized].map(([name, tensor]) => [outputOf(name), tensor])));
  } finally {
    await session.release();
  }
  return quantized;
}

/** A quantized form of the network whose distance from the float outputs can be measured, in whole and in parts. */
export class QuantizedSubject {
  readonly network: QuantizedNetwork;
  readonly #subject: Subject;
  readonly #reference: readonly Tensor[];
  readonly #parts: SubjectParts;
  /** Weights whose quantized values are in the state. */
  readonly #quantizedNow = new Set<ParameterId>();
  #weights: Promise<ReadonlyMap<ParameterId, Tensor>> | undefined;

  private constructor(network: QuantizedNetwork, subject: Subject, reference: readonly Tensor[], parts: SubjectParts) {
    this.network = network;
    this.#subject = subject;
    this.#reference = reference;
    this.#parts = parts;
  }

  /** Compiles a calibrated network. */
  static async create(
    network: QuantizedNetwork,
    reference: readonly Tensor[],
    parts: SubjectParts,
  ): Promise<QuantizedSubject> {
    const weightSites = network.sites.flatMap(({ kind, id }) => (kind === "weight" ? [id] : []));
    const subject = await Subject.create(withSwitches(network, new Set(weightSites)), parts);
    return new QuantizedSubject(network, subject, reference, parts);
  }

  /** Returns the quantized weights, by the names of the parameters that they are made of. */
  weights(): Promise<ReadonlyMap<ParameterId, Tensor>> {
    this.#weights ??= quantizedWeights(this.network, this.#parts.engine, this.#parts.target);
    return this.#weights;
  }

  /** The mean distance from the float outputs with the quantizers of these sites at work, and no others. */
  async measure(isOn: (site: string) => boolean): Promise<number> {
    const { state } = this.#subject;
    for (const { id, kind, parameter } of this.network.sites) {
      if (kind === "activation") state.set(switchName(id), float32Scalar(isOn(id) ? 1 : 0));
      else if (parameter !== undefined) await this.#setWeight(parameter, isOn(id));
    }
    return meanDistance(this.#parts.data, this.#reference, await this.#subject.outputs());
  }

  async #setWeight(parameter: ParameterId, isQuantized: boolean): Promise<void> {
    if (this.#quantizedNow.has(parameter) === isQuantized) return;
    const value = isQuantized
      ? (await this.weights()).get(parameter)
      : this.network.parameters.find(({ name }) => name === parameter)?.value;
    if (value === undefined) throw new GraphError("its value is not known", { where: `weight "${parameter}"` });
    this.#subject.state.set(parameter, value);
    if (isQuantized) this.#quantizedNow.add(parameter);
    else this.#quantizedNow.delete(parameter);
  }

  release(): Promise<void> {
    return this.#subject.release();
  }
}

function meanDistance(data: CalibrationData, reference: readonly Tensor[], outputs: readonly Tensor[]): number {
  const sums = outputs.map((output, index) => outputDistance(data.distance, reference[index] ?? output, output));
  return sums.reduce((sum, value) => sum + value, 0) / data.samples;
}

/** The data, the engine and the signal of a measurement. */
export interface SubjectParts {
  readonly data: CalibrationData;
  readonly engine: Engine;
  readonly target?: Target;
  readonly signal?: AbortSignal;
}

/** A compiled evaluation with its state. */
class Subject {
  readonly state: StateBuffers;
  readonly #job: ForwardJob;
  readonly #parts: SubjectParts;

  private constructor(job: ForwardJob, state: StateBuffers, parts: SubjectParts) {
    this.#job = job;
    this.state = state;
    this.#parts = parts;
  }

  static async create(network: Network, parts: SubjectParts): Promise<Subject> {
    const { data, engine, target } = parts;
    const batchSize = data.batches[0]?.shape[0] ?? 1;
    const job = buildEvaluation(network, { batchSize, input: inputOf(data.dataset) });
    const state = new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
    return new Subject(await ForwardJob.create(engine, job, target), state, parts);
  }

  async outputs(): Promise<Tensor[]> {
    const all: Tensor[] = [];
    for (const batch of this.#parts.data.batches) {
      // The engine runs on this thread.
      await giveTurn(this.#parts.signal);
      const [first] = Object.values(await this.#job.run(this.state, batch));
      if (first !== undefined) all.push(copyOf(first));
    }
    return all;
  }

  release(): Promise<void> {
    return this.#job.release();
  }
}
