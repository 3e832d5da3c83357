/** The flags of `subbyte train` as overrides of the configuration. Each override keeps the flag as it was written, so that errors can name it. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { nearestWord } from "../base/nearest-word.ts";
import { parseDataArgument } from "../config/data-folder.ts";
import { type ConfigOverride, parseScalar } from "../config/source.ts";
import { type taskChoices, taskOfChoice } from "../data/dataset/loaded-data.ts";
import { ConfigError } from "../errors.ts";
import { isModelName, modelNames } from "../models/names.ts";
import { type FlagTexts, flagOverrides, setOverrides } from "./flag-overrides.ts";
import { pluginOverrides } from "./plugins.ts";

/** Flags that are numbers: their key in the configuration, and how they are written. */
const numberFlags = [
  ["epochs", "--epochs", "train.epochs"],
  ["batch", "--batch", "train.batchSize"],
  ["lr", "--lr", "train.optimizer.learningRate"],
  ["weightBits", "--weight-bits", "quantization.weightBits"],
  ["activationBits", "--activation-bits", "quantization.activationBits"],
  ["seed", "--seed", "seed"],
  ["threads", "--threads", "threads"],
] as const;

/** Flags that are texts, taken as they are: a model that is called `1` would be no number. */
const textFlags = [
  ["placement", "--placement", "quantization.placement"],
  ["device", "--device", "device"],
  ["recompute", "--recompute", "train.recompute"],
] as const;

/** Flags that are files or folders. */
const pathFlags = [
  ["from", "--from", "from"],
  ["teacher", "--teacher", "train.distillation.teacher"],
] as const;

/** The flags that say something about the configuration, as texts: the configuration's schema checks them. */
export interface ConfigFlags extends FlagTexts<typeof numberFlags | typeof textFlags | typeof pathFlags> {
  readonly set?: readonly string[];
  readonly model?: string;
  /** False for `--no-restore-batch-norm`. */
  readonly restoreBatchNorm?: boolean;
  readonly data?: string;
  readonly task?: (typeof taskChoices)[number];
  readonly preset?: string;
  readonly stripQuantizers?: true;
}

function taskOverrides({ task }: ConfigFlags): ConfigOverride[] {
  if (task === undefined) return [];
  return [{ path: "data.task", value: taskOfChoice[task], origin: `--task ${task}` }];
}

function presetOverrides(flags: ConfigFlags): ConfigOverride[] {
  if (flags.preset === undefined) return [];
  const origin = `--preset ${flags.preset}`;
  if (flags.preset !== "float") return [{ path: "quantization.preset", value: flags.preset, origin }];
  const pointless = [
    flags.weightBits === undefined ? [] : ["--weight-bits"],
    flags.activationBits === undefined ? [] : ["--activation-bits"],
    flags.placement === undefined ? [] : ["--placement"],
  ].flat();
  if (pointless.length > 0) {
    const remedy = "Leave them out, or choose another preset.";
    throw new ConfigError(`a float training has no ${pointless.join(", ")}`, { where: origin, remedy });
  }
  return [{ path: "quantization", value: null, origin }];
}

/** Returns the overrides of `--data`. */
export function dataOverrides(flags: Pick<ConfigFlags, "data">): ConfigOverride[] {
  if (flags.data === undefined) return [];
  const origin = `--data ${flags.data}`;
  const data = parseDataArgument(flags.data);
  // The file may name the data in the other way, which would contradict: that one is taken back. The path is kept whole, so
  // that a run can be resumed from another folder.
  return [
    { path: "data.name", value: "name" in data ? data.name : null, origin },
    { path: "data.folder", value: "folder" in data ? resolve(data.folder) : null, origin },
  ];
}

/** Returns the overrides of `--model`. */
export function modelOverrides(flags: Pick<ConfigFlags, "model">): ConfigOverride[] {
  if (flags.model === undefined) return [];
  const origin = `--model ${flags.model}`;
  const isFile = isModelFile(flags.model);
  // As with data: what the file says in the other way is taken back, and the path is kept whole.
  return [
    { path: "model.name", value: isFile ? null : flags.model, origin },
    { path: "model.file", value: isFile ? resolve(flags.model) : null, origin },
  ];
}

function batchNormOverrides({ restoreBatchNorm }: ConfigFlags): ConfigOverride[] {
  if (restoreBatchNorm !== false) return [];
  return [{ path: "model.restoreBatchNorm", value: false, origin: "--no-restore-batch-norm" }];
}

function stripOverrides({ stripQuantizers }: ConfigFlags): ConfigOverride[] {
  if (stripQuantizers !== true) return [];
  return [{ path: "model.stripQuantizers", value: true, origin: "--strip-quantizers" }];
}

/** Whether a `--model` argument is a file. @throws ConfigError when it is neither that nor the name of a network. */
function isModelFile(argument: string): boolean {
  if (isModelName(argument)) return false;
  if (/\.onnx$/i.test(argument) || /[/\\]/.test(argument) || existsSync(argument)) return true;
  const nearest = nearestWord(argument, modelNames);
  throw new ConfigError(`there is no network or file ${JSON.stringify(argument)}`, {
    where: "--model",
    remedy: `${nearest === undefined ? "" : `Did you mean ${nearest}? `}Give an ONNX file, or one of ${modelNames.join(", ")}.`,
  });
}

/** Returns the overrides that the flags ask for, `--set` first, so that a flag of its own wins over it. */
export function trainOverrides(flags: ConfigFlags): ConfigOverride[] {
  return [...configurationOverrides(flags), ...pluginOverrides()];
}

/** Returns the overrides of {@link trainOverrides} without those of `--plugin`. */
export function configurationOverrides(flags: ConfigFlags): ConfigOverride[] {
  return [
    ...setOverrides(flags.set),
    ...modelOverrides(flags),
    ...batchNormOverrides(flags),
    ...stripOverrides(flags),
    ...dataOverrides(flags),
    ...taskOverrides(flags),
    ...presetOverrides(flags),
    ...flagOverrides(flags, numberFlags, parseScalar),
    ...flagOverrides(flags, textFlags, (text) => text),
    ...flagOverrides(flags, pathFlags, (text) => resolve(text)),
  ];
}
