/** A run from start to end: configuration, folder, data, network, training, summary; and its resumption. */

import { join } from "node:path";
import { defined } from "../base/defined.ts";
import { countQuantizers } from "../compile/passes/without-quantizers.ts";
import { isQuantized, type QuantizerSite } from "../compile/sites.ts";
import { configToYaml, resolveTrainingConfig } from "../config/config.ts";
import { readRunConfig } from "../config/file.ts";
import { quantizationOf } from "../config/quantization.ts";
import { modelTitle, type TrainingConfig } from "../config/schema/schema.ts";
import type { ConfigSource } from "../config/source.ts";
import { trainingBatches } from "../data/dataset/batches.ts";
import type { DatasetSplits, SkippedSample } from "../data/dataset/dataset.ts";
import { skippedSamples } from "../data/dataset/open-dataset.ts";
import { ConfigError, DivergenceError, FaultError, InterruptedError } from "../errors.ts";
import { removeFile, removeTemporaries } from "../io/atomic-file.ts";
import type { Network } from "../ir/network.ts";
import type { Shape } from "../ir/types.ts";
import type { Target } from "../ops/definition.ts";
import { checkPlugins } from "../plugins/changes.ts";
import { pluginRecords } from "../plugins/plugin-files.ts";
import { resolveQuantizer, type TensorQuantization } from "../qconfig/tensor-quantization.ts";
import { quantizerNamed } from "../quantizers/index.ts";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "../runs/checkpoint.ts";
import { bestCheckpoint, lastCheckpoint } from "../runs/checkpoint-names.ts";
import { claimRunFolder, defaultRunName, fillRunFolder, lockRun, type RunPaths, runPaths } from "../runs/folder.ts";
import { followLogs } from "../runs/log-extent.ts";
import { MetricsLog, truncateMetrics } from "../runs/metrics-log.ts";
import type { RunInputs } from "../runs/run-inputs.ts";
import { dropSums, writeSummary } from "../runs/sums.ts";
import type { Device, Engine } from "../runtime/engine.ts";
import { openEngine } from "../runtime/node/devices.ts";
import { checkState } from "./checkpoint-values.ts";
import { keepTestSamples } from "./held-out.ts";
import { checkInputs, runInputsOf } from "./inputs/recorded-inputs.ts";
import { bitsInEffect } from "./inputs/settings.ts";
import type { EpochProgress, StepProgress, TrainingResult, WatchedTraining } from "./loop/recipe.ts";
import { train } from "./loop/trainer.ts";
import type { TrainingWatcher } from "./loop/watcher.ts";
import { batchOptionsOf } from "./recipe-of.ts";
import { keepPrevious, resumePoint } from "./resume-point.ts";
import { loadData, type PreparedTraining, prepareTraining, targetOf } from "./setup.ts";

/** The folder of a run, its finished and total steps, and its device. */
export interface RunStart {
  readonly paths: RunPaths;
  readonly step: number;
  readonly totalSteps: number;
  /** Of one sample. */
  readonly sampleShape: Shape;
  readonly device: Device;
  /** Warnings about the network with the data, one sentence each. */
  readonly notes: readonly string[];
  /** Those of the notes that name a damaged file of the run, and what is used in its place. */
  readonly damaged: readonly string[];
}

/** What a run does before its first step: reads weights and calibrates, then compiles the step. */
export type RunPhase = "prepare" | "compile";

/** The listeners of a run. */
export interface RunListeners {
  readonly signal?: AbortSignal;
  /** At the start of each phase; the first step ends the last one. */
  readonly onPhase?: (phase: RunPhase) => void;
  /** Once, before the first step. */
  readonly onStart?: (start: RunStart) => void;
  readonly onStep?: (progress: StepProgress) => void;
  readonly onEpoch?: (progress: EpochProgress) => void;
  /** Makes the watcher of the run, before its first step. `step`: the one that it resumes from. */
  readonly watch?: (run: WatchedTraining & { readonly paths: RunPaths; readonly step: number }) => TrainingWatcher;
}

/** Files that an engine may keep after a run. */
export interface EnginePlace {
  /** Folder of graphs that the engine has optimised already, for runs of other processes; absent: none. */
  readonly modelCache?: string;
}

/** A run to start: its configuration, where it goes, and its name. */
export interface NewRun extends EnginePlace {
  readonly config: TrainingConfig;
  /** The configuration as given, kept next to the resolved one. */
  readonly source?: ConfigSource;
  /** Folder that the run's own folder is made in. */
  readonly parent: string;
  readonly name?: string;
  readonly existOk?: boolean;
  /** Data that is loaded already. */
  readonly data?: DatasetSplits;
}

/** A finished run. */
export interface RunResult extends TrainingResult {
  readonly paths: RunPaths;
  readonly summary: RunSummary;
  /** Samples of both parts that could not be read and were replaced by others. */
  readonly skipped: readonly SkippedSample[];
}

/** The contents of summary.json, which `--json` prints. */
export interface RunSummary extends Omit<TrainingResult, "network"> {
  readonly schemaVersion: 1;
  readonly folder: string;
  readonly model: string;
  readonly quantization: string;
  readonly levels: { readonly weights: number | null; readonly activations: number | null };
  readonly epochs: number;
  readonly seed: number;
  /** Samples that could not be read and were replaced by others. */
  readonly skipped: number;
}

/** Opens the engine of a configuration and chooses the target. */
export async function engineOf(
  config: TrainingConfig,
  { modelCache }: EnginePlace = {},
): Promise<{ readonly engine: Engine; readonly target: Target }> {
  const { device, threads } = config;
  const engine = await openEngine({
    device,
    threads,
    ...defined({ modelCache }),
  });
  const best = await engine.target();
  if (engine.device === "cpu") return { engine, target: targetOf(config, best.blockSize) ?? best };
  if (config.target !== "cpu") return { engine, target: best };
  throw new ConfigError(`the lowering for the CPU does not run on ${engine.device}`, {
    where: "target",
    remedy: "Leave target out, or set device: cpu.",
  });
}

/**
 * Starts a run in a new folder.
 *
 * @throws InterruptedError when the signal stopped it, FaultError when the watcher did, with how to resume; ConfigError for a folder that another process
 *   writes, or that holds other files than those of a run.
 *
 * @example
 * const started = await startRun({ config, parent: "runs", name: "mine" });
 * console.log(started.summary.accuracy, started.paths.folder);
 */
export async function startRun(run: NewRun, listeners: RunListeners = {}): Promise<RunResult> {
  const { config } = run;
  // Every error in the configuration is found before a folder is created.
  const data = run.data ?? (await loadData(config));
  trainingBatches(data.train, batchOptionsOf(config, data.train));
  const { engine, target } = await engineOf(config, run);
  listeners.onPhase?.("prepare");
  const prepared = await prepareTraining(config, data, engine, target);
  const folder = {
    parent: run.parent,
    name: run.name ?? defaultRunName(config, new Date()),
    config,
    ...defined({ source: run.source }),
    ...(run.existOk === true ? { existOk: true } : {}),
  };
  const paths = await claimRunFolder(folder);
  return locked(paths, async () => {
    await fillRunFolder(paths, folder);
    await keepTestSamples(paths, data.test);
    const inputs = await runInputsOf(config, data, engine);
    return execute({ config, data, inputs, prepared, engine, target, paths }, listeners);
  });
}

/**
 * Resumes the run in a folder, from its last checkpoint, from the one before it where the last is damaged, or from the start
 * when it has none yet.
 *
 * @throws ConfigError when the folder holds no run, another process writes it, or its checkpoint belongs to another
 *   configuration, FileFormatError when no checkpoint is sound or a log is damaged, PluginError for a plugin that changed since then.
 *
 * @example
 * const resumed = await resumeRun(runFolder); // a finished run returns its result
 * console.log(resumed.steps); // 2
 */
export async function resumeRun(
  folder: string,
  listeners: RunListeners = {},
  place: EnginePlace = {},
): Promise<RunResult> {
  const paths = runPaths(folder);
  const config = resolveTrainingConfig(await readRunConfig(paths.config));
  return locked(paths, () => resume(paths, config, listeners, place));
}

/** Does a job that writes a run's folder, while no other process may. */
async function locked<Result>(paths: RunPaths, job: () => Promise<Result>): Promise<Result> {
  const unlock = lockRun(paths);
  try {
    return await job();
  } finally {
    unlock();
  }
}

async function resume(
  paths: RunPaths,
  config: TrainingConfig,
  listeners: RunListeners,
  place: EnginePlace,
): Promise<RunResult> {
  const { folder } = paths;
  await dropSums(paths);
  await removeTemporaries(folder, { recursive: true });
  const point = await resumePoint(paths, config);
  const checkpoint = point?.checkpoint;
  checkPlugins(checkpoint?.plugins ?? [], pluginRecords(config.plugins), folder);
  const data = await loadData(config);
  const { engine, target } = await engineOf(config, place);
  const inputs = await runInputsOf(config, data, engine);
  const versionNotes = checkInputs(checkpoint?.inputs, inputs, folder);
  listeners.onPhase?.("prepare");
  const prepared = await prepareTraining(config, data, engine, target);
  if (point !== undefined) checkState(prepared.network, point.checkpoint.state, point.file);
  const step = checkpoint?.position.step ?? 0;
  // What the ablations measured belongs to findings that are about to be written again.
  await removeFile(paths.ablation);
  await truncateMetrics(paths.metrics, step);
  // A record is made before the step after its own number: the one at the checkpoint is made again.
  await truncateMetrics(paths.diagnosis, step - 1);
  const damaged = point?.notes ?? [];
  const parts = { config, data, inputs, prepared, engine, target, paths, damaged, notes: versionNotes };
  return execute(checkpoint === undefined ? parts : { ...parts, checkpoint }, listeners);
}

interface Parts {
  readonly config: TrainingConfig;
  readonly data: DatasetSplits;
  readonly inputs: RunInputs;
  readonly prepared: PreparedTraining;
  readonly engine: Engine;
  readonly target: Target;
  readonly paths: RunPaths;
  readonly checkpoint?: Checkpoint;
  /** Warnings about the state that it resumes from, and about other versions. */
  readonly damaged?: readonly string[];
  readonly notes?: readonly string[];
}

async function execute(parts: Parts, listeners: RunListeners): Promise<RunResult> {
  const { config, data, prepared, engine, target, paths, checkpoint, damaged = [], notes = [] } = parts;
  const { recipe } = prepared;
  const totalSteps = recipe.epochs * Math.floor(data.train.count / recipe.batchSize);
  const metrics = new MetricsLog(paths.metrics);
  const logs = followLogs(paths);
  const step = checkpoint?.position.step ?? 0;
  listeners.onStart?.({
    paths,
    step,
    totalSteps,
    sampleShape: data.train.sampleShape,
    device: engine.device,
    notes: [...prepared.notes, ...damaged, ...notes],
    damaged,
  });
  listeners.onPhase?.("compile");
  try {
    const watcher = listeners.watch?.({ ...prepared, data, engine, target, paths, step });
    const result = await train({
      ...prepared,
      data,
      engine,
      target,
      store: {
        metrics,
        save: async (name, state) => {
          if (name === lastCheckpoint) await keepPrevious(paths.checkpoints);
          await writeCheckpoint(join(paths.checkpoints, name), {
            ...state,
            config: configToYaml(config),
            plugins: pluginRecords(config.plugins),
            logs: await logs(),
            inputs: parts.inputs,
          });
        },
      },
      ...defined({
        resumeFrom: checkpoint,
        signal: listeners.signal,
        onStep: listeners.onStep,
        onEpoch: listeners.onEpoch,
        watcher,
      }),
    });
    const skipped = skippedSamples(data);
    const summary = { ...summarize(config, paths, result), skipped: skipped.length };
    await writeSummary(paths, { ...summary });
    return { ...result, paths, summary, skipped };
  } catch (error) {
    if (error instanceof DivergenceError) throw await withCheckpointToUse(error, paths);
    if (error instanceof FaultError) {
      const resume = `To train on as it is: subbyte train --resume ${paths.folder}`;
      throw new FaultError(error.message, {
        where: paths.folder,
        remedy: error.remedy === undefined ? resume : `${error.remedy}\n  ${resume}`,
        cause: error,
      });
    }
    if (!(error instanceof InterruptedError)) throw error;
    throw new InterruptedError(error.message, {
      where: paths.folder,
      remedy: `Resume with: subbyte train --resume ${paths.folder}`,
      cause: error,
    });
  } finally {
    metrics.close();
  }
}

/** Adds the run's folder to an error, and the best checkpoint as a start, because the last may be poor. */
async function withCheckpointToUse(error: DivergenceError, paths: RunPaths): Promise<DivergenceError> {
  const file = join(paths.checkpoints, bestCheckpoint);
  const step = await readCheckpoint(file).then(
    ({ position }) => position.step,
    () => undefined,
  );
  const { suggestedLearningRate: rate, origin, where, remedy, ...rest } = error;
  const flags = rate === undefined ? "" : ` --lr ${rate}`;
  const restart =
    step === undefined
      ? "No epoch was finished: start again from the weights that this run began with."
      : `The best checkpoint, of step ${step}, is intact: start from it with --from ${file}${flags}.`;
  return new DivergenceError(error.message, {
    step: rest.step,
    epoch: rest.epoch,
    reason: rest.reason,
    where: `${paths.folder}, ${where}`,
    remedy: `${remedy}\n  ${restart}`,
    ...defined({ origin, suggestedLearningRate: rate }),
    cause: error,
  });
}

/**
 * Returns the levels that a configuration really gives to weights and to activations after a ReLU; null in float.
 *
 * @param network The network of the run. A float run of a file with quantizers has the levels of most of these.
 */
export function levelsOf(config: TrainingConfig, network?: Network): RunSummary["levels"] {
  if (config.quantization === null) {
    const sites = network !== undefined && isQuantized(network) ? network.sites : [];
    const levels = (kind: QuantizerSite["kind"]) =>
      mostCommon(
        sites.flatMap((site) => (site.kind === kind ? [quantizerNamed(site.spec.quantizer).levels(site.spec)] : [])),
      );
    return { weights: levels("weight"), activations: levels("activation") };
  }
  const { weight, activation } = quantizationOf(config.quantization);
  // The shapes only have to be plausible: a level count follows from the quantization, not from the layer.
  const count = (quantization: TensorQuantization, kind: "weight" | "activation"): number => {
    const type = { dtype: "float32", shape: [64, 64, 4, 4] } as const;
    const spec = resolveQuantizer(quantization, { name: `${kind}s`, type, nonNegative: kind === "activation", kind });
    return quantizerNamed(spec.quantizer).levels(spec);
  };
  return {
    weights: weight === null ? null : count(weight, "weight"),
    activations: activation === null ? null : count(activation, "activation"),
  };
}

/** The number that occurs most often; null for none. */
function mostCommon(numbers: readonly number[]): number | null {
  const counts = [...new Set(numbers)].map(
    (number) => [number, numbers.filter((each) => each === number).length] as const,
  );
  return counts.sort(([, a], [, b]) => b - a)[0]?.[0] ?? null;
}

function summarize(config: TrainingConfig, paths: RunPaths, result: TrainingResult): Omit<RunSummary, "skipped"> {
  const { quantization } = config;
  const float = isQuantized(result.network) ? `of the file: ${countQuantizers(result.network)}` : "float";
  const bits = quantization === null ? float : bitsInEffect(quantization);
  return {
    schemaVersion: 1,
    folder: paths.folder,
    model: modelTitle(config.model),
    quantization:
      quantization === null
        ? bits
        : `${quantization.preset} ${bits}${quantization.overrides === undefined ? "" : " with overrides"}`,
    levels: levelsOf(config, result.network),
    metric: result.metric,
    accuracy: result.accuracy,
    bestAccuracy: result.bestAccuracy,
    ...defined({ top5Accuracy: result.top5Accuracy, perplexity: result.perplexity, macroF1: result.macroF1 }),
    ...defined({ meanAbsoluteError: result.meanAbsoluteError }),
    loss: result.loss,
    epochs: config.train.epochs,
    steps: result.steps,
    seconds: result.seconds,
    imagesPerSecond: result.imagesPerSecond,
    dataSeconds: result.dataSeconds,
    seed: config.seed,
  };
}
