/**
 * The proof that a converted network is the simulation: every code of every layer, over a data set, by three programs that
 * share nothing but the network's data: the exact evaluation, a converted file, and (for some samples) the interpreter.
 */
import { eachBatch } from "../../data/dataset/batches.ts";
import type { Dataset } from "../../data/dataset/dataset.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ForwardJob } from "../../runtime/job.ts";
import { StateBuffers } from "../../runtime/state.ts";
import { floatForm } from "../assembly/assembly.ts";
import { interpretFast } from "../fast/interpret.ts";
import { codeOutput } from "../formula-graph.ts";
import type { IntegerNetwork, IntegerTensor } from "../integer-network.ts";
import { buildIntegerExactEvaluation } from "./exact-evaluation.ts";

/** A converted network that can be run: its tensors of codes and its outputs, by their numbers in the network. */
export interface ConvertedRunner {
  readonly name: string;
  /** Elements of a whole batch for each tensor that it can show, valid until the next run; codes without their container's offset. */
  run(batch: Tensor): Promise<ReadonlyMap<number, ArrayLike<number>>>;
  release(): Promise<void>;
}

/** The first difference between two programs. */
export interface Mismatch {
  readonly program: string;
  readonly layer: string;
  readonly sample: number;
  /** The element's place in the layer's tensor: channel, row, column. */
  readonly element: readonly number[];
  readonly simulated: number;
  readonly got: number;
}

/** The results of one program. */
export interface ProgramResult {
  readonly program: string;
  readonly samples: number;
  readonly layers: number;
  /** Elements compared. */
  readonly compared: number;
  readonly mismatches: number;
  readonly first?: Mismatch;
}

/** The comparison of converted programs with the simulation. */
export interface VerificationResult {
  readonly network: string;
  readonly dataset: string;
  readonly programs: readonly ProgramResult[];
  readonly agrees: boolean;
}

/** Options of the comparison of converted programs with the simulation. */
export interface VerifyOptions {
  readonly batchSize?: number;
  /** Samples that the interpreter runs; it is slow. */
  readonly interpretedSamples?: number;
  readonly runners?: readonly ConvertedRunner[];
}

/** Tensors that are compared: codes, and the network's outputs. */
export function comparedTensors(network: IntegerNetwork): IntegerTensor[] {
  const own = network.tensors.filter(({ form }) => form.kind !== "accumulator" && form.kind !== "quotient");
  // What the float tail gives has no tensor among the integers': it gets numbers after theirs.
  const results = network.tail?.network.graph.outputs ?? [];
  const first = network.tensors.length;
  return [
    ...own,
    ...results.map(({ name, value }, i) => ({ id: first + i, name, shape: value.type.shape, form: floatForm })),
  ];
}

/**
 * Runs a data set through every program.
 *
 * @example
 * const trained = await train({ network: quantized, recipe: recipeOf(config, data.train), data, engine });
 * const { mean, std } = data.test.normalization;
 * const integers = convert(trained.network, { input: { dtype: "uint8", mean, deviation: std } });
 * const proof = await verify(integers, data.test, engine, { interpretedSamples: 2 });
 * console.log(proof.programs.every(({ mismatches }) => mismatches === 0)); // true
 */
export async function verify(
  network: IntegerNetwork,
  dataset: Dataset,
  engine: Engine,
  options: VerifyOptions = {},
): Promise<VerificationResult> {
  const { runners = [], interpretedSamples = 8 } = options;
  const batchSize = Math.min(options.batchSize ?? 64, dataset.count);
  const exact = await exactRunner(network, engine, batchSize);
  const tallies = runners.map((runner) => new Tally(runner.name, network));
  const interpreted = new Tally("interpreter", network);
  const sampleSize = elementCount(dataset.sampleShape);
  try {
    for await (const { data, samples, step, valid } of eachBatch(dataset, batchSize)) {
      const first = step * batchSize;
      const simulated = await exact.run(data);
      for (const [index, runner] of runners.entries()) {
        tallies[index]?.compare(simulated, await runner.run(data), { first, count: valid, offset: 0 });
      }
      for (let i = 0; i < Math.min(valid, interpretedSamples - first); i++) {
        const results = interpretFast(network, samples.subarray(i * sampleSize, (i + 1) * sampleSize));
        interpreted.compare(simulated, new Map(results.entries()), { first: first + i, count: 1, offset: i });
      }
    }
  } finally {
    await exact.release();
  }
  const programs = [...tallies, ...(interpretedSamples > 0 ? [interpreted] : [])].map((tally) => tally.result());
  return {
    network: network.name,
    dataset: dataset.name,
    programs,
    agrees: programs.every((program) => program.mismatches === 0),
  };
}

/** The simulation in its exact mode. */
export async function exactRunner(
  network: IntegerNetwork,
  engine: Engine,
  batchSize: number,
): Promise<ConvertedRunner> {
  const evaluation = buildIntegerExactEvaluation(network, { batchSize, codes: true });
  const job = await ForwardJob.create(engine, evaluation);
  const state = new StateBuffers(evaluation.state.map(({ name, initial }) => [name, initial] as const));
  const codes = new CodeReader(network, () => 0);
  return {
    name: "simulation",
    async run(batch) {
      return codes.read(await job.run(state, batch));
    },
    release: () => job.release(),
  };
}

/** Reads codes out of the results of a graph, as float32, which holds them exactly. */
export class CodeReader {
  readonly #network: IntegerNetwork;
  readonly #offsetOf: (tensor: IntegerTensor) => number;
  /** Kept, because allocating that much memory again for every batch takes longer than filling it. */
  readonly #codes = new Map<number, Float32Array>();

  /** @param offsetOf What a tensor's container has added to its codes. */
  constructor(network: IntegerNetwork, offsetOf: (tensor: IntegerTensor) => number) {
    this.#network = network;
    this.#offsetOf = offsetOf;
  }

  /** Codes by tensor number, without their containers' offsets; they are valid until the next batch is read. */
  read(results: Readonly<Record<string, Tensor>>): Map<number, ArrayLike<number>> {
    const { tail, outputs: given, tensors } = this.#network;
    const isResult = (name: string): boolean =>
      tail?.results.some((each) => each.isDirect && each.name === name) ?? true;
    const outputs = new Map(given.flatMap(({ name, tensor }) => (isResult(name) ? [[tensor, name] as const] : [])));
    tail?.network.graph.outputs.forEach(({ name }, i) => {
      outputs.set(tensors.length + i, name);
    });
    const found = new Map<number, ArrayLike<number>>();
    for (const tensor of comparedTensors(this.#network)) {
      const result = results[outputs.get(tensor.id) ?? codeOutput(tensor.id, tensor.name)];
      if (result === undefined) continue;
      const { data } = result;
      if (data instanceof BigInt64Array || data instanceof BigUint64Array || !ArrayBuffer.isView(data)) continue;
      const offset = this.#offsetOf(tensor);
      found.set(
        tensor.id,
        data instanceof Float32Array && offset === 0 ? data : this.#lessOffset(tensor.id, data, offset),
      );
    }
    return found;
  }

  #lessOffset(id: number, data: ArrayLike<number>, offset: number): Float32Array {
    const codes = this.#codes.get(id) ?? new Float32Array(data.length);
    this.#codes.set(id, codes);
    codes.set(data);
    if (offset !== 0) for (let i = 0; i < codes.length; i++) codes[i] = (codes[i] ?? 0) - offset;
    return codes;
  }
}

/** Counts what was compared and keeps the first disagreement. */
class Tally {
  readonly #program: string;
  readonly #tensors: readonly IntegerTensor[];
  readonly #seen = new Set<number>();
  #samples = 0;
  #compared = 0;
  #mismatches = 0;
  #first: Mismatch | undefined;

  constructor(program: string, network: IntegerNetwork) {
    this.#program = program;
    this.#tensors = comparedTensors(network);
  }

  /** `offset`: the sample in the simulation's batch at which `got` starts. */
  compare(
    simulated: ReadonlyMap<number, ArrayLike<number>>,
    got: ReadonlyMap<number, ArrayLike<number>>,
    range: { readonly first: number; readonly count: number; readonly offset: number },
  ): void {
    this.#samples += range.count;
    for (const tensor of this.#tensors) {
      const [expected, actual] = [simulated.get(tensor.id), got.get(tensor.id)];
      if (expected === undefined || actual === undefined) continue;
      this.#seen.add(tensor.id);
      const size = elementCount(tensor.shape);
      this.#compared += range.count * size;
      const start = range.offset * size;
      if (isEqual(expected, start, actual, range.count * size)) continue;
      for (let i = 0; i < range.count * size; i++) {
        const a = expected[start + i];
        const b = actual[i];
        if (a === b) continue;
        this.#mismatches++;
        this.#first ??= {
          program: this.#program,
          layer: tensor.name,
          sample: range.first + Math.floor(i / size),
          element: placeOf(i % size, tensor.shape.slice(1)),
          simulated: a ?? Number.NaN,
          got: b ?? Number.NaN,
        };
      }
    }
  }

  result(): ProgramResult {
    return {
      program: this.#program,
      samples: this.#samples,
      layers: this.#seen.size,
      compared: this.#compared,
      mismatches: this.#mismatches,
      ...(this.#first === undefined ? {} : { first: this.#first }),
    };
  }
}

/**
 * Whether `count` numbers are the same. Both as float32, which holds codes exactly: loops over arrays of one kind are
 * several times as fast, and nearly all comparisons end here.
 */
function isEqual(expected: ArrayLike<number>, start: number, actual: ArrayLike<number>, count: number): boolean {
  const [a, b] = [float32Of(expected), float32Of(actual)];
  for (let i = 0; i < count; i++) if (a[start + i] !== b[i]) return false;
  return true;
}

function float32Of(numbers: ArrayLike<number>): Float32Array {
  if (numbers instanceof Float32Array) return numbers;
  const floats = new Float32Array(numbers.length);
  floats.set(numbers);
  return floats;
}

/** The indices of a row-major element. */
function placeOf(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  let rest = index;
  for (const size of [...shape].reverse()) {
    place.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return place;
}

/** `layer "fc.input.quantizer", sample 3, element [1, 4, 4]: 7 simulated, 8 by onnx int`. */
export function showMismatch({ layer, sample, element, simulated, got, program }: Mismatch): string {
  return `layer "${layer}", sample ${sample}, element [${element.join(", ")}]: ${simulated} simulated, ${got} by ${program}`;
}
