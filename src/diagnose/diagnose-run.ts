/**
 * Diagnosis of the folder of a run, finished or still running: the measurements taken while it trained, a probe of its
 * last checkpoint, and on request the ablations.
 */
import { defined } from "../base/defined.ts";
import { isQuantized } from "../compile/sites.ts";
import { trainingBatches } from "../data/dataset/batches.ts";
import { allocateBatch, firstSamples } from "../data/dataset/dataset.ts";
import { FileFormatError, SubbyteError } from "../errors.ts";
import { makeTensor } from "../ir/tensor.ts";
import type { Target } from "../ops/definition.ts";
import type { Ablation } from "../runs/ablation.ts";
import type { Finding } from "../runs/finding.ts";
import { originFolder, runPaths } from "../runs/folder.ts";
import { readMetrics } from "../runs/metrics-log.ts";
import { readEpochs, readRunRecord } from "../runs/record.ts";
import { checkSums } from "../runs/sums.ts";
import type { Engine } from "../runtime/engine.ts";
import { StateBuffers } from "../runtime/state.ts";
import { type LoadedRun, loadRun } from "../train/load-run.ts";
import { inputOf } from "../train/loop/evaluate.ts";
import { metricOf } from "../train/loop/metric-text.ts";
import type { MetricName } from "../train/loop/metrics.ts";
import { modeOfEpoch } from "../train/loop/phases.ts";
import { targetTensor } from "../train/loop/trainer.ts";
import { recipeOf } from "../train/recipe-of.ts";
import { teacherOf } from "../train/teacher/teacher.ts";
import { ablate } from "./ablation.ts";
import { dataFactsOf } from "./data-facts.ts";
import { diagnose } from "./diagnose.ts";
import { examine } from "./examination.ts";
import { factsOf, sourceOfWeights } from "./facts.ts";
import { historyOf } from "./history.ts";
import type { DiagnosisInput } from "./input.ts";
import { type ProbeRecord, probeRecordSchema } from "./probe/measurement.ts";
import { Probe } from "./probe/probe.ts";
import { WeightWatch } from "./probe/weight-watch.ts";

/** How a run on disk is diagnosed. */
export interface DiagnoseRunOptions {
  readonly engine: Engine;
  readonly target?: Target;
  readonly checkpoint?: "last" | "best";
  /** A float run that a remedy may start from; default: the one that the run started from. */
  readonly floatRun?: string;
  /** Whether to measure the checkpoint too; default: yes. */
  readonly probe?: boolean;
  /** Whether to run the ablations, and on how many test samples at most (default 1000). */
  readonly ablate?: boolean;
  readonly ablationSamples?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** The findings about a run, with the facts and measurements that they rest on. */
export interface RunDiagnosis {
  readonly folder: string;
  /** Steps done when the checkpoint was written. */
  readonly step: number;
  readonly findings: readonly Finding[];
  /** The measurements taken while the run trained, then that of its checkpoint unless `probe` is false. */
  readonly records: readonly ProbeRecord[];
  readonly ablation?: Ablation;
  readonly gap?: FloatGap;
  /** All that the findings were derived from. */
  readonly input: DiagnosisInput;
  /** How the data and the files differ from those that the run was trained on, in sentences. */
  readonly notes: readonly string[];
}

/** The final accuracy of a quantized run, and that of the float run that it started from. */
export interface FloatGap {
  readonly metric: MetricName;
  readonly accuracy: number;
  readonly float: number;
  readonly floatRun: string;
}

/**
 * Diagnoses the run in a folder.
 *
 * @throws InputOutputError or FileFormatError naming the file of the run that is missing or damaged.
 *
 * @example
 * const diagnosis = await diagnoseRun(runFolder, { engine });
 * console.log(diagnosis.findings.map(({ title, confidence }) => `${title}: ${confidence}`));
 */
export async function diagnoseRun(folder: string, options: DiagnoseRunOptions): Promise<RunDiagnosis> {
  const run = await loadRun(folder, options.checkpoint);
  const paths = runPaths(folder);
  await checkSums(paths);
  const measured = await readProbeRecords(paths.diagnosis);
  const records =
    options.probe === false ? measured : [...measured, await probeCheckpoint(run, options, measured.at(-1))];
  const epochs = await readEpochs(paths.metrics);
  const floatRun = options.floatRun ?? run.config.from;
  const from = sourceOfWeights(run.config);
  const facts = factsOf(run.network, {
    recipe: recipeOf(run.config, run.data.train, run.teacher ?? (await teacherIfReadable(run))),
    settings: run.config,
    ...defined({ from, floatRun }),
  });
  const ablation = options.ablate === true ? await ablateRun(run, options) : undefined;
  const data = await dataFactsOf(run.data);
  const examination =
    options.probe === false
      ? undefined
      : await examine(run.network, run.data, {
          engine: options.engine,
          ...defined({ target: options.target, teacher: facts.recipe?.distillation?.teacher }),
        });
  const history = await historyOf(folder, run.config);
  const input = { facts, records, epochs, data, ...defined({ ablation, examination, history }) };
  const findings = diagnose(input);
  const gap = await floatGap(run, floatRun, options.checkpoint);
  return { folder, step: run.step, findings, records, input, notes: run.notes, ...defined({ ablation, gap }) };
}

/** Returns the teacher of a run; undefined where it has none, or the teacher's file is gone since: the labels are there still. */
async function teacherIfReadable({ config, data }: LoadedRun) {
  try {
    return await teacherOf(config, data);
  } catch (error) {
    if (error instanceof SubbyteError) return undefined;
    throw error;
  }
}

/** Returns the accuracies of a run and of its float run; undefined where one is not finished, or the run is in float itself. */
async function floatGap(
  { folder, config, data, teacher }: LoadedRun,
  from: string | undefined,
  checkpoint: DiagnoseRunOptions["checkpoint"],
): Promise<FloatGap | undefined> {
  if (config.quantization === null || from === undefined) return undefined;
  const floatRun = originFolder(folder, from);
  if (floatRun === undefined) return undefined;
  const [own, float] = await Promise.all([readRunRecord(runPaths(folder)), readRunRecord(runPaths(floatRun))]);
  if (own.summary === undefined || float.summary === undefined) return undefined;
  const metric = metricOf(data.test.target, teacher?.outputs);
  const accuracy = checkpoint === "best" ? own.summary.bestAccuracy : own.summary.accuracy;
  return { metric, accuracy, float: float.summary.accuracy, floatRun };
}

/** Reads the records of a diagnosis.jsonl; none where the file does not exist. */
export async function readProbeRecords(file: string): Promise<ProbeRecord[]> {
  const lines = await readMetrics(file);
  return lines.map((line, index) => {
    const result = probeRecordSchema.safeParse(line);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    throw new FileFormatError(
      `the line is not a probe record: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`,
      {
        where: `${file}:${index + 1}`,
        remedy: "Delete the file: the checkpoint can be diagnosed without it.",
      },
    );
  });
}

function ablateRun({ network, data, teacher }: LoadedRun, options: DiagnoseRunOptions): Promise<Ablation | undefined> {
  const { target, onProgress } = options;
  const samples = firstSamples(data.test, Math.min(data.test.count, options.ablationSamples ?? 1000));
  return ablate(network, samples, options.engine, {
    statistics: data.train,
    ...defined({ teacher, target, onProgress }),
  });
}

/** Measures the checkpoint on the first training batch. Values that need several steps come from the previous record. */
async function probeCheckpoint(
  { network, data, config, step, teacher }: LoadedRun,
  { engine, target }: DiagnoseRunOptions,
  before: ProbeRecord | undefined,
): Promise<ProbeRecord> {
  const recipe = recipeOf(config, data.train, teacher);
  const stepsPerEpoch = Math.floor(data.train.count / recipe.batchSize);
  const epoch = step / stepsPerEpoch;
  const mode = modeOfEpoch(recipe, network, Math.max(0, Math.ceil(epoch) - 1));
  const batchSize = Math.min(recipe.batchSize, 64);
  const probe = await Probe.create(
    engine,
    network,
    { batchSize, input: inputOf(data.train), loss: recipe.loss, mode },
    target,
  );
  try {
    const state = new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
    const batches = trainingBatches(data.train, { ...recipe, batchSize });
    const buffers = allocateBatch(data.train, batchSize);
    await batches.prefetch(0, 0);
    batches.read(0, 0, buffers);
    const { samples, targets } = buffers;
    const { weights: gradients, ...result } = await probe.measure(state, {
      data: makeTensor(data.train.sampleType, [batchSize, ...data.train.sampleShape], samples),
      targets: targetTensor(targets, batchSize, data.train.target),
    });
    const watched = new WeightWatch(network.parameters, isQuantized(network) ? network.sites : []).measure(state);
    return {
      schemaVersion: 1,
      step,
      epoch,
      observing: mode.observe,
      batchNorm: mode.batchNorm,
      learningRate: before?.learningRate ?? recipe.learningRate,
      ...result,
      // The checkpoint's own values are the start of its probe: how far they went is known from the run.
      sites: result.sites.map((site) => {
        const known = before?.sites.find(({ name }) => name === site.name);
        const unknown = { scaleChange: Number.NaN, largestScaleChange: Number.NaN, learned: [] };
        const { scaleChange, largestScaleChange, learned } = known ?? unknown;
        return { ...site, scaleChange, largestScaleChange, learned };
      }),
      norms: result.norms.map((norm) => {
        const known = before?.norms.find(({ name }) => name === norm.name);
        const { scaleDistance, shiftDistance } = known ?? { scaleDistance: Number.NaN, shiftDistance: Number.NaN };
        return { ...norm, scaleDistance, shiftDistance };
      }),
      recent: before?.recent ?? { steps: 0, mean: Number.NaN, max: Number.NaN, notFinite: 0 },
      weights: [...watched].map(([name, { norm }]) => {
        const known = before?.weights.find((weight) => weight.name === name);
        return {
          name,
          norm,
          gradientNorm: gradients.get(name)?.gradientNorm ?? Number.NaN,
          gradientCosine: gradients.get(name)?.gradientCosine ?? Number.NaN,
          distance: known?.distance ?? Number.NaN,
          update: known?.update ?? Number.NaN,
          updateInSteps: known?.updateInSteps ?? Number.NaN,
          flipRate: known?.flipRate ?? Number.NaN,
          oscillatingShare: known?.oscillatingShare ?? Number.NaN,
        };
      }),
    };
  } finally {
    await probe.release();
  }
}
