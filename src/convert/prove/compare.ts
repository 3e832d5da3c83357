/** Two models on the same data: accuracy, how far their outputs are apart, and at which layer they begin to differ. */

import { eachBatch } from "../../data/dataset/batches.ts";
import type { Dataset } from "../../data/dataset/dataset.ts";
import { ConfigError } from "../../errors.ts";
import type { GraphOutput } from "../../ir/graph.ts";
import type { Engine } from "../../runtime/engine.ts";
import { answerPlan } from "./answers.ts";
import type { ComparedModel } from "./compared-model.ts";

/** The difference of a layer's outputs in two models. */
export interface Difference {
  readonly layer: string;
  readonly largest: number;
  readonly mean: number;
  /** Signal to quantization noise: 10·log10(Σa² / Σ(a − b)²), in dB; null where the two are equal. */
  readonly sqnr: number | null;
}

/** The comparison of two models on data. */
export interface Comparison {
  readonly samples: number;
  /** Null where the data have no classes. */
  readonly accuracy: { readonly a: number; readonly b: number } | null;
  /** Share of the samples for which both name the same class. */
  readonly agreement: number;
  readonly output: Difference;
  /** Layers of the same name and shape, in the order of the first model; none where the two are built otherwise. */
  readonly layers: readonly Difference[];
  /** The first layer whose SQNR is below the threshold. */
  readonly firstDeparture: string | null;
}

/** Options of a comparison of two models. */
export interface CompareOptions {
  /** Default 64, or the next multiple of what a model can be run with. */
  readonly batchSize?: number;
  /** SQNR below which a layer has departed, in dB; default 20. */
  readonly departure?: number;
}

/** @throws ConfigError when the two have outputs of different shapes. */
export async function compareModels(
  a: ComparedModel,
  b: ComparedModel,
  dataset: Dataset,
  engine: Engine,
  options: CompareOptions = {},
): Promise<Comparison> {
  const { batchSize: wanted = 64, departure = 20 } = options;
  const [left, right] = [sampleShape(a.output), sampleShape(b.output)];
  if (left !== right) {
    throw new ConfigError(`their outputs have the shapes [${left}] and [${right}]`, {
      where: `"${a.name}" and "${b.name}"`,
      remedy: "Compare models for the same classes.",
    });
  }
  const shared = sharedLayers(a, b);
  const unit = (a.batchSize ?? 1) * (b.batchSize ?? 1);
  const batchSize = Math.ceil(Math.min(wanted, dataset.count) / unit) * unit;
  const tallies = new Map(shared.map((name) => [name, new DifferenceTally(name)]));
  const outputs = new DifferenceTally(a.output.name);
  const answers = answerPlan(dataset, a.output.value.type.shape.slice(1));
  const correct = { a: 0, b: 0 };
  let [same, compared, labelled] = [0, 0, 0];
  const [first, second] = await Promise.all([a, b].map((model) => model.prepare(shared, dataset, engine, batchSize)));
  try {
    for await (const { data, targets, valid } of eachBatch(dataset, batchSize)) {
      const [x, y] = [await first?.run(data), await second?.run(data)];
      for (const [name, tally] of tallies) tally.add(x?.get(name), y?.get(name), valid / batchSize);
      const [p, q] = [x?.get(a.output.name), y?.get(b.output.name)];
      outputs.add(p, q, valid / batchSize);
      for (let i = 0; i < valid * answers.positions; i++) {
        const [left, right] = [answers.of(p ?? [], i, batchSize), answers.of(q ?? [], i, batchSize)];
        compared++;
        if (left === right) same++;
        const label = answers.label(targets, i);
        if (label === undefined || label < 0) continue;
        labelled++;
        if (left === label) correct.a++;
        if (right === label) correct.b++;
      }
    }
  } finally {
    await Promise.all([first?.release(), second?.release()]);
  }
  const { count } = dataset;
  const layers = shared.flatMap((name) => tallies.get(name)?.result() ?? []);
  return {
    samples: count,
    accuracy: labelled > 0 ? { a: correct.a / labelled, b: correct.b / labelled } : null,
    agreement: same / compared,
    output: outputs.result(),
    layers,
    firstDeparture: layers.find(({ sqnr }) => sqnr !== null && sqnr < departure)?.layer ?? null,
  };
}

/** The shape of a result for one sample. */
function sampleShape({ value }: GraphOutput): string {
  return value.type.shape.slice(1).join();
}

/** Names of the layers that both have with results of the same shape. */
function sharedLayers(a: ComparedModel, b: ComparedModel): string[] {
  const shapes = new Map(b.results.map((result) => [result.name, sampleShape(result)]));
  const names = a.results.filter((result) => shapes.get(result.name) === sampleShape(result)).map(({ name }) => name);
  return [...new Set(names)];
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

  add(a: ArrayLike<number> | undefined, b: ArrayLike<number> | undefined, share: number): void {
    if (a === undefined || b === undefined) return;
    const count = Math.round(a.length * share);
    for (let i = 0; i < count; i++) {
      const value = a[i] ?? 0;
      const difference = Math.abs(value - (b[i] ?? 0));
      this.#signal += value * value;
      this.#noise += difference * difference;
      this.#sum += difference;
      if (difference > this.#largest) this.#largest = difference;
    }
    this.#count += count;
  }

  result(): Difference {
    const sqnr = this.#noise === 0 ? null : 10 * Math.log10(this.#signal / this.#noise);
    return { layer: this.#layer, largest: this.#largest, mean: this.#sum / Math.max(1, this.#count), sqnr };
  }
}
