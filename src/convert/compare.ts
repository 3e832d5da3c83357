/** Two networks on the same data: accuracy, how far their outputs are apart, and at which layer they begin to differ. */
import { buildEvaluation } from "../compile/evaluation.ts";
import { evaluationBatches } from "../data/batches.ts";
import { allocateBatch, type Dataset } from "../data/dataset.ts";
import { ConfigError } from "../errors.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { Network } from "../graph/network.ts";
import { float32Data, makeTensor, type Tensor } from "../graph/tensor.ts";
import { elementCount } from "../graph/types.ts";
import type { Engine } from "../runtime/engine.ts";
import { ForwardJob } from "../runtime/job.ts";
import { StateBuffers } from "../runtime/state.ts";
import { inputOf } from "../train/evaluate.ts";
import { classificationMetrics } from "../train/metrics.ts";

/** Layers whose results are compared. */
const comparedOperators = new Set(["Conv", "Gemm", "MatMul", "BatchNormalization", "Relu", "Add"]);

export interface Difference {
  readonly layer: string;
  readonly largest: number;
  readonly mean: number;
  /** Signal to quantization noise: 10·log10(Σa² / Σ(a − b)²), in dB; null where the two are equal. */
  readonly sqnr: number | null;
}

export interface Comparison {
  readonly samples: number;
  readonly accuracy: { readonly a: number; readonly b: number };
  /** Share of the samples for which both name the same class. */
  readonly agreement: number;
  readonly output: Difference;
  /** In the order of the network. */
  readonly layers: readonly Difference[];
  /** The first layer whose SQNR is below the threshold. */
  readonly firstDeparture: string | null;
}

/** @throws ConfigError when the two have no layer in common, or outputs of other shapes. */
export async function compareNetworks(
  a: Network,
  b: Network,
  dataset: Dataset,
  engine: Engine,
  options: { readonly batchSize?: number; readonly departure?: number } = {},
): Promise<Comparison> {
  const { batchSize: wanted = 64, departure = 20 } = options;
  const batchSize = Math.min(wanted, dataset.count);
  const shared = sharedLayers(a.graph, b.graph);
  const [output] = a.graph.outputs;
  if (output === undefined || shared.length === 0) {
    throw new ConfigError("the two networks have no layer of the same name and shape", {
      where: `networks "${a.name}" and "${b.name}"`,
      remedy: "Compare networks of the same model.",
    });
  }
  const runners = await Promise.all([a, b].map((network) => runner(network, shared, dataset, engine, batchSize)));
  const tallies = new Map([...shared, output.name].map((name) => [name, new DifferenceTally(name)]));
  const batches = evaluationBatches(dataset, batchSize);
  const batch = allocateBatch(dataset, batchSize);
  const data = makeTensor(dataset.sampleType, [batchSize, ...dataset.sampleShape], batch.samples);
  const correct = [0, 0];
  let same = 0;
  for (let step = 0; step < batches.stepCount; step++) {
    await batches.prefetch(step);
    const valid = batches.read(step, batch);
    const results: Readonly<Record<string, Tensor>>[] = [];
    for (const run of runners) results.push(await run(data));
    for (const [name, tally] of tallies) tally.add(results[0]?.[name], results[1]?.[name], valid / batchSize);
    const [left, right] = results.map((result) => result[output.name]);
    if (left === undefined || right === undefined) continue;
    [left, right].forEach((logits, i) => {
      correct[i] = (correct[i] ?? 0) + classificationMetrics(logits, batch.targets, valid).correct;
    });
    same += classificationMetrics(left, classesOf(right), valid).correct;
  }
  const layers = shared.flatMap((name) => tallies.get(name)?.result() ?? []);
  const outputs = tallies.get(output.name)?.result();
  if (outputs === undefined) throw new ConfigError("the two networks have outputs of other names");
  const { count } = dataset;
  return {
    samples: count,
    accuracy: { a: (correct[0] ?? 0) / count, b: (correct[1] ?? 0) / count },
    agreement: same / count,
    output: outputs,
    layers,
    firstDeparture: layers.find(({ sqnr }) => sqnr !== null && sqnr < departure)?.layer ?? null,
  };
}

/** Names of the layers that both graphs have with results of the same shape. */
function sharedLayers(a: Graph, b: Graph): string[] {
  const shapes = new Map(b.nodes.map((node) => [node.name, node.outputs[0]?.type.shape.slice(1).join()]));
  return a.nodes
    .filter((node) => comparedOperators.has(node.op))
    .filter((node) => shapes.get(node.name) === node.outputs[0]?.type.shape.slice(1).join())
    .map((node) => node.name);
}

async function runner(
  network: Network,
  layers: readonly string[],
  dataset: Dataset,
  engine: Engine,
  batchSize: number,
) {
  const makers = new Map(network.graph.nodes.map((node) => [node.name, node.outputs[0]]));
  const known = new Set(network.graph.outputs.map(({ value }) => value));
  const extra = layers.flatMap((name) => {
    const value: Value | undefined = makers.get(name);
    return value === undefined || known.has(value) ? [] : [{ name, value }];
  });
  const graph = { ...network.graph, outputs: [...network.graph.outputs, ...extra] };
  const job = buildEvaluation({ ...network, graph }, { batchSize, input: inputOf(dataset) });
  const ready = await ForwardJob.create(engine, job);
  const state = new StateBuffers(job.state.map(({ name, initial }) => [name, initial] as const));
  return (data: Tensor) => ready.run(state, data);
}

/** The class that each row of logits names. */
function classesOf(logits: Tensor): Int32Array {
  const data = float32Data(logits);
  const [rows = 0] = logits.shape;
  const classes = elementCount(logits.shape) / rows;
  return Int32Array.from({ length: rows }, (_, row) => {
    let best = 0;
    for (let k = 1; k < classes; k++) {
      if ((data[row * classes + k] ?? 0) > (data[row * classes + best] ?? 0)) best = k;
    }
    return best;
  });
}

class DifferenceTally {
  readonly #layer: string;
  #signal = 0;
  #noise = 0;
  #sum = 0;
  #count = 0;
  #largest = 0;

  constructor(layer: string) {
    this.#layer = layer;
  }

  add(a: Tensor | undefined, b: Tensor | undefined, share: number): void {
    if (a === undefined || b === undefined) return;
    const [left, right] = [float32Data(a), float32Data(b)];
    const count = Math.round(left.length * share);
    for (let i = 0; i < count; i++) {
      const value = left[i] ?? 0;
      const difference = Math.abs(value - (right[i] ?? 0));
      this.#signal += value * value;
      this.#noise += difference * difference;
      this.#sum += difference;
      if (difference > this.#largest) this.#largest = difference;
    }
    this.#count += count;
  }

  result(): Difference | undefined {
    if (this.#count === 0) return undefined;
    const sqnr = this.#noise === 0 ? null : 10 * Math.log10(this.#signal / this.#noise);
    return { layer: this.#layer, largest: this.#largest, mean: this.#sum / this.#count, sqnr };
  }
}
