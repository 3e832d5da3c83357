/**
 * Diagnosis of a run while it trains: a probe at a fixed interval of steps, weights watched over the last steps before it,
 * findings on request. Measurements go to diagnosis.jsonl. The run itself does not change.
 */
import { defined } from "../base/defined.ts";
import { isQuantized } from "../compile/sites.ts";
import type { FaultError } from "../errors.ts";
import type { Network } from "../ir/network.ts";
import type { Finding } from "../runs/finding.ts";
import { MetricsLog } from "../runs/metrics-log.ts";
import { inputOf } from "../train/loop/evaluate.ts";
import type { EpochProgress, WatchedTraining } from "../train/loop/recipe.ts";
import type { TrainingWatcher, UpcomingStep } from "../train/loop/watcher.ts";
import { type DataFacts, dataFactsOf } from "./data-facts.ts";
import { diagnose } from "./diagnose.ts";
import { type EarlyFinding, EarlyFindings, faultOf } from "./early-findings.ts";
import { type Examination, examine } from "./examination.ts";
import { type FactsOptions, factsOf } from "./facts.ts";
import { type History, historyOf } from "./history.ts";
import type { DiagnosisInput, EpochFacts } from "./input.ts";
import { ParameterWatch } from "./probe/learned-parameters.ts";
import { encodeRecord, type ProbeRecord } from "./probe/measurement.ts";
import { Probe } from "./probe/probe.ts";
import { WeightWatch } from "./probe/weight-watch.ts";

/** How often, and on how much, a training is measured. */
export interface WatchOptions extends Omit<FactsOptions, "recipe"> {
  /** Steps between two probes; default {@link probeInterval}. */
  readonly every?: number;
  /** Samples of the batch that a probe sees; default 32. */
  readonly batchSize?: number;
  /** File for the records; absent: they are kept in memory only. */
  readonly file?: string;
  /** The run's folder, from which the float run that it began with is found; absent: that run is not looked at. */
  readonly folder?: string;
  /** Called at a probe that makes a finding certain or takes one back, before the step that it saw. */
  readonly onEarly?: (findings: readonly EarlyFinding[]) => void;
  /** Whether the training stops where a finding is certain; default: no. */
  readonly stopOnFault?: boolean;
}

/** Bounds of the interval between two probes, and how many a run gets at least. */
const [shortestInterval, longestInterval, leastProbes] = [16, 200, 12];

/**
 * Returns the steps between two probes of a run. A probe costs about as much as two or three steps: at 200 steps that is less than
 * 2 % (bench/diagnosis/planted.ts --cost prints it); a short run is watched more closely.
 */
export function probeInterval(totalSteps: number): number {
  return Math.min(longestInterval, Math.max(shortestInterval, Math.round(totalSteps / leastProbes)));
}

const defaultBatchSize = 32;
/** Steps before a probe over which weights are watched. */
const windowSteps = 6;

/** Probes from which on only every second one is diagnosed while the run trains, then every third: that costs the same for any length. */
const mostDiagnosed = 100;

/** A watched run and its records so far. */
export interface RunWatch {
  readonly watcher: TrainingWatcher;
  readonly records: readonly ProbeRecord[];
  /** Everything that is known of the run so far. */
  input(): DiagnosisInput;
  /** The findings of the records so far, highest confidence first. */
  findings(): Finding[];
}

/**
 * Returns a watch for a run that is about to start. Nothing is compiled before its first probe.
 *
 * @example
 * const watch = watchTraining({ network: quantized, recipe: recipeOf(config, data.train), data, engine });
 * const trained = await train({ network: quantized, recipe: recipeOf(config, data.train), data, engine, watcher: watch.watcher });
 * console.log(trained.accuracy, watch.findings());
 */
export function watchTraining(run: WatchedTraining, options: WatchOptions = {}): RunWatch {
  const watch = new Watch(run, options);
  return {
    watcher: watch,
    records: watch.records,
    input: () => watch.input(),
    findings: () => diagnose(watch.input()),
  };
}

interface CompiledProbe {
  readonly key: string;
  readonly network: Network;
  readonly probe: Probe;
}

/** What is watched over the steps before a probe. */
interface StepWatch {
  readonly network: Network;
  readonly weights: WeightWatch;
  readonly parameters: ParameterWatch;
}

function resetSteps(steps: StepWatch | undefined): void {
  steps?.weights.reset();
  steps?.parameters.reset();
}

class Watch implements TrainingWatcher {
  readonly records: ProbeRecord[] = [];
  readonly epochs: EpochFacts[] = [];
  readonly #run: WatchedTraining;
  readonly #options: WatchOptions;
  #every = longestInterval;
  #network: Network;
  #steps: StepWatch | undefined;
  #log: MetricsLog | undefined;
  #probe: CompiledProbe | undefined;
  #losses: number[] = [];
  #data: DataFacts | undefined;
  #history: History | undefined;
  #examination: Examination | undefined;
  #isBegun = false;
  readonly #early = new EarlyFindings();
  #fault: FaultError | undefined;

  constructor(run: WatchedTraining, options: WatchOptions) {
    this.#run = run;
    this.#options = options;
    this.#network = run.network;
  }

  input(): DiagnosisInput {
    const { records, epochs } = this;
    const facts = factsOf(this.#network, { ...this.#options, recipe: this.#run.recipe });
    const known = defined({ data: this.#data, history: this.#history, examination: this.#examination });
    return { facts, records, epochs, ...known };
  }

  async beforeStep(upcoming: UpcomingStep): Promise<void> {
    if (!this.#isBegun) {
      this.#every = this.#options.every ?? probeInterval(this.#run.recipe.epochs * upcoming.stepsPerEpoch);
      await this.#begin();
    }
    this.#network = upcoming.network;
    // A run resumed at the start of an epoch knows nothing of the steps before. So that it measures the same as an
    // uninterrupted run, both discard what the previous epoch left.
    if (upcoming.stepInEpoch === 0 && upcoming.stepsPerEpoch >= this.#every) {
      this.#losses = [];
      resetSteps(this.#steps);
    }
    const steps = this.#stepsOf(upcoming.network);
    const toNext = (this.#every - (upcoming.step % this.#every)) % this.#every;
    if (toNext > windowSteps) return;
    await upcoming.state.toHost();
    steps.weights.see(upcoming.state);
    steps.parameters.see(upcoming.state);
    if (toNext > 0) return;
    const record = await this.#measure(upcoming, steps);
    resetSteps(steps);
    this.records.push(record);
    this.#append(record);
    this.#tell(upcoming.step);
  }

  fault(): FaultError | undefined {
    return this.#fault;
  }

  /** Nobody listens: then the findings wait for the end. */
  #tell(step: number): void {
    const { onEarly, stopOnFault = false } = this.#options;
    if (onEarly === undefined && !stopOnFault) return;
    // A diagnosis looks at all probes: in a long run not every one of them waits for it.
    if (this.records.length % Math.ceil(this.records.length / mostDiagnosed) !== 0) return;
    const early = this.#early.at(step, diagnose(this.input()));
    if (early.length > 0) onEarly?.(early);
    const certain = early.find(({ kind }) => kind === "found");
    if (stopOnFault && certain !== undefined) this.#fault = faultOf(certain);
  }

  afterStep(_step: number, loss: number): void {
    this.#losses.push(loss);
  }

  afterEpoch({ epoch, trainLoss, test }: EpochProgress): void {
    this.epochs.push({ epoch, trainLoss, testLoss: test.loss, testAccuracy: test.accuracy });
  }

  async #begin(): Promise<void> {
    this.#isBegun = true;
    this.#data = await dataFactsOf(this.#run.data);
    const { folder, settings } = this.#options;
    if (folder !== undefined && settings !== undefined) this.#history = await historyOf(folder, settings);
  }

  /** Looks at the trained network once more. */
  async afterTraining(network: Network): Promise<void> {
    const { recipe, data, engine, target } = this.#run;
    // A run that had ended before it was resumed takes no step.
    if (!this.#isBegun) await this.#begin();
    this.#examination = await examine(network, data, {
      engine,
      ...defined({ target, teacher: recipe.distillation?.teacher }),
    });
  }

  async release(): Promise<void> {
    this.#log?.close();
    this.#log = undefined;
    await this.#probe?.probe.release();
    this.#probe = undefined;
  }

  async #measure(upcoming: UpcomingStep, { weights, parameters }: StepWatch): Promise<ProbeRecord> {
    const { state, batch, step, epoch, stepInEpoch, stepsPerEpoch, mode, learningRate } = upcoming;
    const probe = await this.#probeFor(upcoming);
    const { weights: gradients, ...result } = await probe.measure(state, batch);
    const watched = weights.measure(state);
    const losses = this.#losses;
    this.#losses = [];
    const finite = losses.filter(Number.isFinite);
    return {
      schemaVersion: 1,
      step,
      epoch: epoch + stepInEpoch / stepsPerEpoch,
      observing: mode.observe,
      batchNorm: mode.batchNorm,
      learningRate,
      ...result,
      sites: parameters.addTo(result.sites),
      recent: {
        steps: losses.length,
        mean: finite.length === 0 ? Number.NaN : finite.reduce((sum, loss) => sum + loss, 0) / finite.length,
        max: finite.length === 0 ? Number.NaN : Math.max(...finite),
        notFinite: losses.length - finite.length,
      },
      weights: [...watched].map(([name, measured]) => ({
        name,
        gradientNorm: gradients.get(name)?.gradientNorm ?? Number.NaN,
        gradientCosine: gradients.get(name)?.gradientCosine ?? Number.NaN,
        ...measured,
      })),
    };
  }

  #stepsOf(network: Network): StepWatch {
    if (this.#steps?.network === network) return this.#steps;
    const { parameters } = network;
    const sites = isQuantized(network) ? network.sites : [];
    const watches = { weights: new WeightWatch(parameters, sites), parameters: new ParameterWatch(parameters, sites) };
    this.#steps = { network, ...watches };
    return this.#steps;
  }

  async #probeFor({ network, mode, batch }: UpcomingStep): Promise<Probe> {
    const key = JSON.stringify(mode);
    if (this.#probe?.key === key && this.#probe.network === network) return this.#probe.probe;
    await this.#probe?.probe.release();
    this.#probe = undefined;
    const { data, engine, target, recipe } = this.#run;
    const size = batch.data.shape[0] ?? 1;
    const probe = await Probe.create(
      engine,
      network,
      {
        batchSize: Math.min(size, this.#options.batchSize ?? defaultBatchSize),
        input: inputOf(data.train),
        loss: recipe.loss,
        mode,
      },
      target,
    );
    this.#probe = { key, network, probe };
    return probe;
  }

  #append(record: ProbeRecord): void {
    const { file } = this.#options;
    if (file === undefined) return;
    this.#log ??= new MetricsLog(file);
    this.#log.appendLine(encodeRecord(record));
  }
}
