/** What a training takes over from the run that it starts from: that run's model, data, normalization and task. */
import { existsSync } from "node:fs";
import { defined } from "../base/defined.ts";
import { resolveTrainingConfig } from "../config/config.ts";
import { readRunConfig } from "../config/file.ts";
import { resolvedRoot } from "../config/path-keys.ts";
import { modelTitle, type TrainingConfig } from "../config/schema/schema.ts";
import { type ConfigOverride, type ConfigSource, isMapping, type Mapping, setPath } from "../config/source.ts";
import { SubbyteError } from "../errors.ts";
import { readCheckpoint } from "../runs/checkpoint.ts";
import { runFolderOf, runPaths } from "../runs/folder.ts";
import type { RunInputs } from "../runs/run-inputs.ts";
import { checkpointAt } from "./network.ts";

/** Keys of `data` that belong to the network's input, and not to the data that it was trained on. */
const inputKeys: ReadonlySet<string> = new Set([
  "normalization",
  "size",
  "channels",
  "layout",
  "task",
  "ignoreIndex",
  "strides",
  "audio",
  "maskToken",
  "maskShare",
  "vocabulary",
  "specialTokens",
  "tokenizer",
  "length",
]);

/** The overrides that stand for what is taken over, and a sentence about it; null where nothing is. */
export interface TakenOver {
  readonly overrides: readonly ConfigOverride[];
  readonly sentence: string | null;
}

/**
 * Returns what a configuration takes over from the run or checkpoint that it starts from: each key of `model` and `data` that
 * neither the source nor the overrides give. Of a run on other data only the keys of the network's input are taken.
 *
 * @param keys The dotted keys that may name the run, `from` or `float.from`.
 * @throws FileFormatError for a damaged checkpoint, ConfigError for a run whose configuration is wrong.
 */
export async function takenFromRun(
  source: ConfigSource | undefined,
  overrides: readonly ConfigOverride[],
  keys: readonly string[] = ["from"],
): Promise<TakenOver> {
  const nothing = { overrides: [], sentence: null };
  const given = source === undefined ? {} : resolvedRoot(source);
  for (const { path, value } of overrides) setPath(given, path, value);
  const from = keys.map((key) => valueAt(given, key)).find((value) => typeof value === "string");
  // A path that names nothing is refused when the weights are read.
  if (typeof from !== "string" || !existsSync(from)) return nothing;
  const { config, inputs } = await originOf(from);
  const origin = `from ${from}`;
  const taken: ConfigOverride[] = [];
  const parts: string[] = [];
  if (!names(given.model, ["name", "file", "width", "stem"])) {
    taken.push({ path: "model", value: { ...config.model }, origin });
    parts.push(`model ${modelTitle(config.model)}`);
  }
  const ownData: Mapping = isMapping(given.data) ? given.data : {};
  const isSameData = !names(ownData, ["name", "folder"]) || sourceOf(ownData) === sourceOf(config.data);
  const data = Object.entries(config.data).filter(([key]) => !(key in ownData) && (isSameData || inputKeys.has(key)));
  for (const [key, value] of data) taken.push({ path: `data.${key}`, value, origin });
  const measured: Mapping = isSameData || inputs === undefined ? {} : inputOfRun(config.data, inputs);
  for (const [key, value] of Object.entries(measured)) {
    if (!(key in ownData)) taken.push({ path: `data.${key}`, value, origin });
  }
  const takes = (key: string) => data.some(([name]) => name === key);
  if (takes("name") || takes("folder")) parts.push(`data ${sourceOf(config.data)}`);
  const isMeasured = "normalization" in measured && !("normalization" in ownData);
  if (isMeasured) parts.push("normalization by the run's mean and std");
  else if (takes("normalization")) parts.push(`normalization ${showNormalization(config.data.normalization)}`);
  if (Array.isArray(measured.size) && !("size" in ownData)) parts.push(`images of ${measured.size.join("x")}`);
  if (takes("task")) parts.push(`task ${config.data.task === "none" ? "distillation" : config.data.task}`);
  return {
    overrides: taken,
    sentence: parts.length === 0 ? null : `taken from ${from}: ${parts.join(", ")}; flags and --set change them`,
  };
}

/** What the network of a run was given, by the keys of `data` that the run left to its data. */
function inputOfRun(data: TrainingConfig["data"], { mean, std, sampleShape }: RunInputs): Mapping {
  const [channels, height, width] = sampleShape;
  const isImage = sampleShape.length === 3;
  return {
    ...(mean.length > 0 && (data.normalization === undefined || data.normalization === "measure")
      ? { normalization: { mean, std } }
      : {}),
    ...(isImage && data.size === undefined ? { size: [height, width] } : {}),
    ...(isImage && data.channels === undefined && (channels === 1 || channels === 3) ? { channels } : {}),
  };
}

interface Origin {
  readonly config: TrainingConfig;
  /** Absent where the checkpoint is of an earlier version, or cannot be read: that is refused when the weights are. */
  readonly inputs?: RunInputs;
}

/** The configuration of a run, or that which a checkpoint carries, and what it was trained on. */
async function originOf(path: string): Promise<Origin> {
  const folder = runFolderOf(path);
  if (folder === undefined) {
    const { config, inputs } = await readCheckpoint(path);
    return { config: resolveTrainingConfig({ name: path, text: config, isKept: true }), ...defined({ inputs }) };
  }
  const config = resolveTrainingConfig(await readRunConfig(runPaths(folder).config));
  const { inputs } = await checkpointAt(path).catch((error: unknown) => {
    if (error instanceof SubbyteError) return { inputs: undefined };
    throw error;
  });
  return { config, ...defined({ inputs }) };
}

function valueAt(root: Mapping, path: string): unknown {
  let value: unknown = root;
  for (const key of path.split(".")) value = isMapping(value) ? value[key] : undefined;
  return value;
}

/** Whether a part of a configuration gives any of these keys. */
function names(part: unknown, keys: readonly string[]): boolean {
  return isMapping(part) && keys.some((key) => part[key] !== undefined && part[key] !== null);
}

/** The folder or the name of data. */
function sourceOf(data: { readonly name?: unknown; readonly folder?: unknown }): string {
  return String(data.folder ?? data.name);
}

function showNormalization(normalization: TrainingConfig["data"]["normalization"]): string {
  return typeof normalization === "object" ? "by the run's mean and std" : (normalization ?? "measured");
}
