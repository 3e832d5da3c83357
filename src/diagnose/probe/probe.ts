/** A probe ready to run: the compiled graph, its session, and the measurements of a batch. */

import { cosineSimilarity, decibels, mean, median, normalDivergence, rootMeanSquare } from "../../base/statistics.ts";
import type { Network } from "../../ir/network.ts";
import { allocate, float32Data, makeTensor, type NumericArray, type Tensor } from "../../ir/tensor.ts";
import { elementCount } from "../../ir/types.ts";
import type { Target } from "../../ops/definition.ts";
import type { Engine, EngineSession } from "../../runtime/engine.ts";
import { emit } from "../../runtime/job.ts";
import { classificationMetrics } from "../../train/loop/metrics.ts";
import type { AdditionMeasurement, NormMeasurement, ProbeRecord, SiteMeasurement } from "./measurement.ts";
import { buildProbeStep, type ProbeConfig, type ProbeStep, probeOutput, type SitePlan } from "./probe-step.ts";
import { measureSite, type SiteSamples } from "./site-statistics.ts";
import type { StateReader } from "./weight-watch.ts";

/** The batch and the mode of a probe, and the number of elements to sample. */
export interface ProbeOptions extends Omit<ProbeConfig, "samples"> {
  /** Elements of each tensor to sample; default 2048. */
  readonly samples?: number;
}

/** The part of a record that a probe measures itself; the rest comes from the steps around it. */
export type ProbeResult = Pick<
  ProbeRecord,
  "loss" | "accuracy" | "floatLoss" | "floatAccuracy" | "runningLoss" | "sites" | "norms" | "additions"
> & {
  readonly weights: ReadonlyMap<string, { readonly gradientNorm: number; readonly gradientCosine: number }>;
};

/** Elements of a tensor that a probe samples. */
export const defaultSamples = 2048;

/** A compiled probe that measures a training's state. */
export class Probe {
  readonly #session: EngineSession;
  readonly #step: ProbeStep;
  readonly #outputs: Readonly<Record<string, Tensor>>;
  /** The values that the run began with, of what a probe compares with them. */
  readonly #start: ReadonlyMap<string, Float32Array>;
  readonly batchSize: number;

  private constructor(session: EngineSession, step: ProbeStep, batchSize: number, network: Network) {
    this.#session = session;
    this.#step = step;
    const compared = new Set([
      ...step.norms.flatMap(({ scale, shift }) => [scale, shift]),
      ...step.sites.flatMap(({ trained }) => trained),
    ]);
    this.#start = new Map(
      network.parameters.filter(({ name }) => compared.has(name)).map(({ name, value }) => [name, float32Data(value)]),
    );
    this.batchSize = batchSize;
    this.#outputs = Object.fromEntries(
      step.graph.outputs.map(({ name, value: { type } }) => [
        name,
        makeTensor(type.dtype, type.shape, allocate(type.dtype, elementCount(type.shape))),
      ]),
    );
  }

  /** @throws RuntimeError when the engine refuses the graph. */
  static async create(engine: Engine, network: Network, options: ProbeOptions, target?: Target): Promise<Probe> {
    const step = buildProbeStep(network, { ...options, samples: options.samples ?? defaultSamples });
    const model = emit(step.graph, target ?? (await engine.target()));
    const session = await engine.createSession(model, { disableGraphRewrites: true });
    return new Probe(session, step, options.batchSize, network);
  }

  /** Measures on the first samples of a batch. The state stays as it is. */
  async measure(state: StateReader, batch: { readonly data: Tensor; readonly targets: Tensor }): Promise<ProbeResult> {
    const { dataInput, targetInput } = this.#step;
    const targets = firstRows(batch.targets, this.batchSize);
    const feeds: Record<string, Tensor> = { [dataInput.name]: firstRows(batch.data, this.batchSize) };
    if (targetInput !== undefined) feeds[targetInput.name] = targets;
    for (const name of this.#step.state) feeds[name] = state.get(name);
    await this.#session.run(feeds, this.#outputs);
    const weights = this.#weights(state);
    const scalar = (name: string) => this.#find(name)?.[0] ?? Number.NaN;
    return {
      loss: scalar(probeOutput.loss),
      accuracy: this.#accuracy(probeOutput.prediction, targets),
      floatLoss: scalar(this.#step.hasTwin ? probeOutput.floatLoss : probeOutput.loss),
      floatAccuracy: this.#accuracy(this.#step.hasTwin ? probeOutput.floatPrediction : probeOutput.prediction, targets),
      runningLoss: scalar(probeOutput.runningLoss),
      sites: this.#step.sites.map((plan) => this.#site(plan, state, weights)),
      weights,
      norms: this.#norms(state),
      additions: this.#additions(),
    };
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  #find(name: string): Float32Array | undefined {
    const tensor = this.#outputs[name];
    return tensor === undefined ? undefined : float32Data(tensor);
  }

  #read(what: string, name: string): Float32Array | undefined {
    return this.#find(probeOutput.of(what, name));
  }

  #accuracy(name: string, { data, shape }: Tensor): number {
    const prediction = this.#outputs[name];
    const areClasses = data instanceof Int32Array && shape.length === 1;
    if (prediction === undefined || !areClasses) return Number.NaN;
    return classificationMetrics(prediction, data, this.batchSize).correct / this.batchSize;
  }

  #weights(state: StateReader): Map<string, WeightGradient> {
    return new Map(
      this.#step.weights.map(({ name, plan }) => {
        const gradient = this.#read("weight.gradient", name) ?? new Float32Array(0);
        const float = this.#read("weight.float.gradient", name);
        return [
          name,
          {
            gradientNorm: rootMeanSquare(gradient) * Math.sqrt(plan.elements),
            gradientCosine: float === undefined ? Number.NaN : cosineSimilarity(gradient, float),
            weightNorm: rootMeanSquare(float32Data(state.get(name))) * Math.sqrt(plan.elements),
          },
        ];
      }),
    );
  }

  #site(plan: SitePlan, state: StateReader, weights: ReadonlyMap<string, WeightGradient>): SiteMeasurement {
    const { site } = plan;
    const empty = new Float32Array(0);
    const optional = (key: "dx" | "gradient" | "floatGradient", what: string) => {
      const sample = this.#read(what, site.id);
      return sample === undefined ? {} : { [key]: sample };
    };
    const samples: SiteSamples = {
      ...plan,
      x: this.#read("x", site.id) ?? empty,
      y: this.#read("y", site.id) ?? empty,
      ...optional("dx", "dx"),
      ...optional("gradient", "gradient"),
      ...optional("floatGradient", "float.gradient"),
      channelMin: this.#read("min", site.id) ?? empty,
      channelMax: this.#read("max", site.id) ?? empty,
      parameters: this.#parameters(plan, state),
      first: this.#firstParameters(plan),
    };
    return measureSite({ ...samples, ...this.#scaleGradient(plan, samples.parameters.scale, weights) });
  }

  /** Of trained parameters alone: an observer's begin at nothing that counts. */
  #firstParameters({ site, trained }: SitePlan): Record<string, Float32Array> {
    return Object.fromEntries(
      Object.entries(site.parameters).flatMap(([parameter, name]) => {
        const first = trained.includes(name) ? this.#start.get(name) : undefined;
        return first === undefined ? [] : [[parameter, first] as const];
      }),
    );
  }

  #parameters({ site, observed }: SitePlan, state: StateReader): Record<string, Float32Array> {
    return Object.fromEntries(
      Object.entries(site.parameters).map(([parameter, name]) => {
        const used = observed.includes(name) ? this.#read("parameter", name) : undefined;
        return [parameter, used ?? float32Data(state.get(name))];
      }),
    );
  }

  #scaleGradient({ site }: SitePlan, scale: Float32Array | undefined, weights: ReadonlyMap<string, WeightGradient>) {
    const name = site.parameters.scale;
    const gradient = name === undefined ? undefined : this.#read("gradient", name);
    if (gradient === undefined || scale === undefined) return {};
    const products = gradient.map((value, i) => value * (scale[i] ?? 0));
    const relative = mean(gradient.map((value, i) => Math.abs(value) / (scale[i] ?? 0)));
    const own = site.parameter ?? this.#step.weightsOfLayers.get(site.layer);
    const weight = own === undefined ? undefined : weights.get(own);
    return {
      scaleGradient: products.reduce((sum, value) => sum + value, 0),
      scaleBalance: weight === undefined ? Number.NaN : relative / (weight.gradientNorm / weight.weightNorm),
    };
  }

  /** Root mean square of the change of a parameter since the run began, over that of another one then. */
  #moved(name: string, over: string, state: StateReader): number {
    const [first, base] = [this.#start.get(name), this.#start.get(over)];
    if (first === undefined || base === undefined) return Number.NaN;
    const change = float32Data(state.get(name)).map((value, i) => value - (first[i] ?? 0));
    return rootMeanSquare(change) / rootMeanSquare(base);
  }

  #norms(state: StateReader): NormMeasurement[] {
    return this.#step.norms.map(({ name, ...running }) => {
      const batchMean = this.#read("mean", name) ?? new Float32Array(0);
      const batchVariance = this.#read("variance", name) ?? new Float32Array(0);
      const runningMean = float32Data(state.get(running.mean));
      const runningVariance = float32Data(state.get(running.variance));
      const channels = Array.from(batchMean, (value, c) => ({
        batch: { mean: value, variance: batchVariance[c] ?? 0 },
        running: { mean: runningMean[c] ?? 0, variance: runningVariance[c] ?? 1 },
      }));
      return {
        name,
        divergence: median(channels.map(({ batch, running }) => normalDivergence(batch, running))),
        meanShift: median(
          channels.map(
            ({ batch, running }) => Math.abs(batch.mean - running.mean) / Math.sqrt(running.variance + 1e-5),
          ),
        ),
        varianceShift: median(
          channels.map(({ batch, running }) => Math.abs(Math.log((batch.variance + 1e-5) / (running.variance + 1e-5)))),
        ),
        scaleDistance: this.#moved(running.scale, running.scale, state),
        shiftDistance: this.#moved(running.shift, running.scale, state),
      };
    });
  }

  #additions(): AdditionMeasurement[] {
    return this.#step.additions.map((name) => {
      const operand = (what: string) => {
        const used = this.#read(`add.${what}`, name) ?? new Float32Array(0);
        const before = this.#read(`add.${what}.before`, name) ?? used;
        const noise = rootMeanSquare(used.map((value, i) => value - (before[i] ?? 0))) ** 2;
        return { power: rootMeanSquare(before) ** 2, noise };
      };
      const a = operand("a");
      const b = operand("b");
      const smaller = Math.min(a.power, b.power);
      return {
        name,
        ratio: Math.sqrt(Math.max(a.power, b.power) / smaller),
        smallerSqnr: decibels(smaller, a.noise + b.noise),
      };
    });
  }
}

interface WeightGradient {
  readonly gradientNorm: number;
  readonly gradientCosine: number;
  readonly weightNorm: number;
}

/** The first samples of a batch, in the same memory. */
function firstRows(tensor: Tensor, rows: number): Tensor {
  const { dtype, shape, data } = tensor;
  if (shape[0] === rows || !isNumeric(data)) return tensor;
  const rest = shape.slice(1);
  return makeTensor(dtype, [rows, ...rest], data.subarray(0, rows * elementCount(rest)));
}

function isNumeric(data: Tensor["data"]): data is NumericArray {
  return ArrayBuffer.isView(data) && !(data instanceof BigInt64Array) && !(data instanceof BigUint64Array);
}
