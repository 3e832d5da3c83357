/**
 * Checkpoints: the whole state of a run in one safetensors file, written atomically. The tensors are the network's
 * parameters under their own names and the optimizer's state under `optimizer.*`; the metadata hold what else a run
 * needs to resume, and a checksum of the whole file.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { configToYaml, resolveTrainingConfig } from "../config/config.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import { ConfigError, DamagedFileError, FileFormatError, InputOutputError, SubbyteError } from "../errors.ts";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { readWhole } from "../io/read-limited.ts";
import { describeSystemError } from "../io/system-error.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type PluginRecord, pluginRecordsSchema } from "../plugins/plugin-files.ts";
import { type LogExtent, logExtentSchema } from "./log-extent.ts";
import { type RunInputs, runInputsSchema } from "./run-inputs.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";
import { isIntact, openSeal, sealed } from "./seal.ts";

const format = "subbyte checkpoint 2";
/** The format of earlier versions, which has no checksum. */
const unsealedFormat = "subbyte checkpoint 1";

/** Where a run stands between two steps. */
export interface RunPosition {
  /** Steps done since the run's start. */
  readonly step: number;
  /** Sums over the steps of the epoch under way, so that its mean does not depend on interruptions. */
  readonly epochLoss: number;
  readonly epochCorrect: number;
  /** Best test accuracy of a finished epoch, or null. */
  readonly bestAccuracy: number | null;
}

/** State, position and configuration of a training. */
export interface Checkpoint {
  readonly state: ReadonlyMap<string, Tensor>;
  readonly position: RunPosition;
  /** Text of the configuration that the run was started with. */
  readonly config: string;
  /** The plugin files that the network was trained with; absent where there were none. */
  readonly plugins?: readonly PluginRecord[];
  /** How far each log of the run's folder went, by the name of its file; absent in checkpoints of earlier versions. */
  readonly logs?: Readonly<Record<string, LogExtent>>;
  /** What the run was trained on; absent in checkpoints of earlier versions. */
  readonly inputs?: RunInputs;
}

/** A short hash of a configuration's text: a run is resumed only with the configuration that it was started with. */
export function configHash(config: string): string {
  return createHash("sha256").update(config).digest("hex").slice(0, 16);
}

/** Writes a checkpoint atomically. @throws InputOutputError when it cannot be written. */
export async function writeCheckpoint(file: string, checkpoint: Checkpoint): Promise<void> {
  const { state, position, config, plugins = [], logs, inputs } = checkpoint;
  const metadata = {
    // First, so that nothing before it can look like it.
    sha256: openSeal,
    format,
    config,
    configHash: configHash(config),
    position: encodePosition(position),
    ...(plugins.length === 0 ? {} : { plugins: JSON.stringify(plugins) }),
    ...(logs === undefined ? {} : { logs: JSON.stringify(logs) }),
    ...(inputs === undefined ? {} : { inputs: JSON.stringify(inputs) }),
  };
  await writeFileAtomic(file, sealed(encodeSafetensors({ tensors: state, metadata })));
}

/**
 * Reads a checkpoint. One of an earlier version has no checksum and is taken as it is.
 *
 * @throws InputOutputError when the file cannot be read, FileFormatError when it is no checkpoint or is damaged, ConfigError
 *   when its name is that of a model.
 */
export async function readCheckpoint(file: string): Promise<Checkpoint> {
  if (/\.onnx$/i.test(file)) {
    throw new ConfigError("it is an ONNX model, and not a run or a checkpoint", {
      where: file,
      remedy:
        "train takes it with --model or --teacher, inspect describes it, and compare measures it next to another.",
    });
  }
  const bytes = await readWhole(file).catch((cause: unknown) => {
    if (cause instanceof SubbyteError) throw cause;
    throw new InputOutputError(`cannot read the checkpoint: ${describeSystemError(cause).reason}`, {
      where: file,
      remedy: "Name a checkpoint file (*.safetensors) or the folder of a run that has one.",
      cause,
    });
  });
  const { tensors, metadata } = decodeSafetensors(bytes, file);
  if (metadata.format === format && !isIntact(bytes, metadata.sha256 ?? "")) {
    throw new DamagedFileError("the content does not match the checksum: the file is damaged or was edited", {
      where: file,
      remedy: damageRemedy,
    });
  }
  if (metadata.format !== format && metadata.format !== unsealedFormat) {
    throw new FileFormatError(`it is not a checkpoint of this version (format ${metadata.format ?? "not given"})`, {
      where: file,
      remedy: `Expected the metadata format "${format}".`,
    });
  }
  return {
    state: tensors,
    position: parsePosition(metadata.position ?? "", file),
    config: metadata.config ?? "",
    ...(metadata.plugins === undefined ? {} : { plugins: parsePlugins(metadata.plugins, file) }),
    ...(metadata.logs === undefined ? {} : { logs: parseLogs(metadata.logs, file) }),
    ...(metadata.inputs === undefined ? {} : { inputs: parseInputs(metadata.inputs, file) }),
  };
}

const damageRemedy =
  "Take another copy, or resume the run, which uses the checkpoint before it: subbyte train --resume RUN.";

/**
 * Checks that a run's configuration is the one that its checkpoint was written with.
 *
 * @throws ConfigError naming the checkpoint.
 */
export function checkConfiguration(checkpoint: Checkpoint, config: TrainingConfig, file: string): void {
  const text = configToYaml(config);
  if (configHash(checkpoint.config) === configHash(text) || completed(checkpoint.config, file) === text) return;
  throw new ConfigError("the checkpoint was written with another configuration than the run's config.yaml", {
    where: file,
    remedy: "Undo the change of config.yaml, or start a new run with --from.",
  });
}

/** A configuration's text with the defaults that have been added since it was written; undefined where it is not valid now. */
function completed(text: string, name: string): string | undefined {
  try {
    return configToYaml(resolveTrainingConfig({ name, text, isKept: true }));
  } catch (error) {
    if (error instanceof SubbyteError) return undefined;
    throw error;
  }
}

function parseLogs(text: string, where: string): Readonly<Record<string, LogExtent>> {
  try {
    return z.record(z.string(), logExtentSchema).parse(JSON.parse(text));
  } catch (cause) {
    throw new FileFormatError("the checkpoint's list of logs cannot be read", { where, cause });
  }
}

function parseInputs(text: string, where: string): RunInputs {
  try {
    return runInputsSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new FileFormatError("the checkpoint's record of its data cannot be read", { where, cause });
  }
}

function parsePlugins(text: string, where: string): readonly PluginRecord[] {
  try {
    return pluginRecordsSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new FileFormatError("the checkpoint's list of plugins cannot be read", { where, cause });
  }
}

/** Numbers as text, because JSON has no NaN and a diverged run has one. */
function encodePosition({ step, epochLoss, epochCorrect, bestAccuracy }: RunPosition): string {
  return JSON.stringify([step, epochLoss, epochCorrect, bestAccuracy].map(String));
}

function parsePosition(text: string, where: string): RunPosition {
  let parts: unknown;
  try {
    parts = JSON.parse(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  const [step, epochLoss, epochCorrect, bestAccuracy] = Array.isArray(parts) ? parts.map(String) : [];
  if (step === undefined || !Number.isSafeInteger(Number(step)) || Number(step) < 0) {
    throw new FileFormatError("the checkpoint does not say at which step it was written", { where });
  }
  return {
    step: Number(step),
    epochLoss: Number(epochLoss),
    epochCorrect: Number(epochCorrect),
    bestAccuracy: bestAccuracy === "null" ? null : Number(bestAccuracy),
  };
}
