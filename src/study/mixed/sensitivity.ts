/**
 * How far a network is from its float self with some of its tensors quantized.
 *
 * Activations: for each number of bits there is one compiled evaluation in which every quantizer has a switch
 * (diagnose/ablation.ts), so that one session serves all of them. Weights are quantized by a graph of their own and fed
 * to the float network, whose evaluation is several times cheaper.
 */

import { buildEvaluation } from "../../compile/build/evaluation.ts";
import { copyNode } from "../../compile/passes/copy.ts";
import { quantize } from "../../compile/passes/quantize.ts";
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
import type { QuantizationConfig } from "../../qconfig/config.ts";
import type { Engine } from "../../runtime/engine.ts";
import { emit, ForwardJob } from "../../runtime/job.ts";
import { copyOf, StateBuffers } from "../../runtime/state.ts";
import { calibrate } from "../../train/loop/calibrate.ts";
import { inputOf } from "../../train/loop/evaluate.ts";
import { type DistanceKind, distanceKindOf, outputDistance } from "./distance.ts";

/** The images that everything is measured on, and by what. */
export interface CalibrationData {
  readonly dataset: Dataset;
  readonly indices: readonly Int32Array[];
  readonly batches: readonly Tensor[];
  readonly samples: number;
  readonly distance: DistanceKind;
}

/** Reads `samples` training samples (a multiple of the batch) in the order of a seed. */
export async function calibrationData(dataset: Dataset, samples: number, seed: number): Promise<CalibrationData> {
  const batchSize = Math.min(samples, 128, dataset.count);
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

  static async create(float: Network, data: CalibrationData, engine: Engine, target?: Target): Promise<FloatSubject> {
    const subject = await Subject.create(float, data, engine, target);
    return new FloatSubject(subject, await subject.outputs(), data);
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
  readonly #data: CalibrationData;

  private constructor(
    network: QuantizedNetwork,
    subject: Subject,
    reference: readonly Tensor[],
    data: CalibrationData,
  ) {
    this.network = network;
    this.#subject = subject;
    this.#reference = reference;
    this.#data = data;
  }

  /** Quantizes the float network; ranges of activations come from the first calibration batch. */
  static async create(
    float: Network,
    config: QuantizationConfig,
    parts: { readonly data: CalibrationData; readonly reference: readonly Tensor[] },
    engine: Engine,
    target?: Target,
  ): Promise<QuantizedSubject> {
    const { data, reference } = parts;
    const [first = new Int32Array(0)] = data.indices;
    const network = await calibrate(quantize(float, config), data.dataset, first, engine, target);
    const subject = await Subject.create(withSwitches(network), data, engine, target);
    return new QuantizedSubject(network, subject, reference, data);
  }

  /** The mean distance from the float outputs with the quantizers of these sites at work, and no others. */
  async measure(isOn: (site: string) => boolean): Promise<number> {
    for (const { id } of this.network.sites) {
      this.#subject.state.set(switchName(id), float32Scalar(isOn(id) ? 1 : 0));
    }
    return meanDistance(this.#data, this.#reference, await this.#subject.outputs());
  }

  release(): Promise<void> {
    return this.#subject.release();
  }
}

function meanDistance(data: CalibrationData, reference: readonly Tensor[], outputs: readonly Tensor[]): number {
  const sums = outputs.map((output, index) => outputDistance(data.distance, reference[index] ?? output, output));
  return sums.reduce((sum, value) => sum + value, 0) / data.samples;
}

/** A compiled evaluation with its state. */
class Subject {
  readonly state: StateBuffers;
  readonly #job: ForwardJob;
  readonly #data: CalibrationData;

  private constructor(job: ForwardJob, state: StateBuffers, data: CalibrationData) {
    this.#job = job;
    this.state = state;
    this.#data = data;
  }

  static async create(network: Network, data: CalibrationData, engine: Engine, target?: Target): Promise<Subject> {
    const batchSize = data.batches[0]?.shape[0] ?? 1;
    const job = buildEvaluation(network, { batchSize, input: inputOf(data.dataset) });
    const state = new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
    return new Subject(await ForwardJob.create(engine, job, target), state, data);
  }

  async outputs(): Promise<Tensor[]> {
    const all: Tensor[] = [];
    for (const batch of this.#data.batches) {
      const [first] = Object.values(await this.#job.run(this.state, batch));
      if (first !== undefined) all.push(copyOf(first));
    }
    return all;
  }

  release(): Promise<void> {
    return this.#job.release();
  }
}
