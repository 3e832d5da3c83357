/** Resolves the configuration of a study from its file and flags, and derives those of its trials. */

import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { defined } from "../../base/defined.ts";
import { didYouMean } from "../../base/nearest-word.ts";
import { type ConfigChanges, layChanges } from "../../config/changes.ts";
import { resolveTrainingConfig } from "../../config/config.ts";
import { formerNames } from "../../config/former-names.ts";
import { issuesToError, type Locate } from "../../config/issues.ts";
import { resolvedRoot, resolvePaths } from "../../config/path-keys.ts";
import { type TrainingConfig, trainingConfigSchema } from "../../config/schema/schema.ts";
import {
  type ConfigOverride,
  type ConfigSource,
  deletePath,
  isMapping,
  type Mapping,
  parseSource,
  setPath,
} from "../../config/source.ts";
import { yamlText } from "../../config/yaml.ts";
import { ConfigError } from "../../errors.ts";
import { pluginFile } from "../../plugins/plugin-files.ts";
import { type Recipe, type StudyConfig, studyDefaults, studyFormat, studySchema } from "./schema.ts";
import type { TrialKey } from "./trial-names.ts";

/**
 * Parses, overrides, checks and completes. Keys of earlier versions are accepted.
 *
 * @param onRenamedKey Called for each such key.
 * @throws ConfigError naming every mistake and its source position.
 */
export function resolveStudyConfig(
  source: ConfigSource | undefined,
  overrides: readonly ConfigOverride[] = [],
  onRenamedKey: (old: string, present: string) => void = () => undefined,
): StudyConfig {
  const given = source ?? { name: "study", text: "" };
  const parsed = parseSource(given);
  const root = resolvedRoot(given);
  for (const [key, value] of Object.entries(defaultsFor(root, overrides))) if (!(key in root)) root[key] = value;
  for (const { path, value } of overrides) {
    // Null takes back what the file says, except where it has a meaning of its own.
    if (value === null && path.includes(".")) deletePath(root, path);
    else setPath(root, path, value);
  }
  renameKeys(root, onRenamedKey);
  const locate = parsed.locate(overrides);
  checkFormat(root, given.name);
  checkKeys(root, locate);
  const result = studySchema.safeParse(root);
  // The parts that training shares are checked by its own schema, so that a mistake is named before anything runs.
  const { model, data, train, target } = result.success ? result.data : { ...root };
  const shared = trainingConfigSchema.safeParse({ model, data, train, target });
  const issues = [...(result.error?.issues ?? []), ...(shared.error?.issues ?? [])];
  if (!result.success || issues.length > 0) throw issuesToError(issues, root, locate);
  for (const [index, recipe] of result.data.recipes.entries()) {
    checkRecipe(result.data, recipe, locate(["recipes", index], "value"));
  }
  const { plugins } = result.data;
  if (plugins === undefined) return result.data;
  return { ...result.data, plugins: plugins.map((file) => pluginFile(given.name, file)) };
}

/**
 * The parts that a study has where its file has none. With weights that are trained already, those of a model's file, the float
 * stage is short, and the learning rate is the default for such weights.
 */
function defaultsFor(root: Mapping, overrides: readonly ConfigOverride[]): Mapping {
  const asked = structuredClone(root);
  for (const { path, value } of overrides) setPath(asked, path, value);
  const has = (part: unknown, key: string) => isMapping(part) && part[key] !== undefined && part[key] !== null;
  const { model, data, train, float } = structuredClone(studyDefaults);
  const { epochs, batchSize } = train;
  const isFile = has(asked.model, "file");
  return {
    model: isFile ? {} : model,
    data,
    train: isFile ? { epochs, batchSize } : train,
    float: has(asked.float, "from") ? {} : isFile ? { epochs } : float,
  };
}

/** Former keys, each with the present one. */
const renamedKeys: Readonly<Record<string, string>> = { [formerNames.fix]: "fix" };

function renameKeys(root: Mapping, onRenamedKey: (old: string, present: string) => void): void {
  for (const [old, present] of Object.entries(renamedKeys)) {
    if (!Object.hasOwn(root, old)) continue;
    const [before, now] = [root[old], root[present]];
    root[present] = isMapping(before) && isMapping(now) ? { ...before, ...now } : (now ?? before);
    delete root[old];
    onRenamedKey(old, present);
  }
}

function checkFormat(root: Mapping, name: string): void {
  if (root.format === undefined || root.format === studyFormat) return;
  throw new ConfigError(`it was written by another version of subbyte (format ${String(root.format)})`, {
    where: name,
    remedy: `This version reads format ${studyFormat}: use the version that wrote it, or start a new study.`,
  });
}

/** Unknown keys of the study itself; those of its parts are found by the schemas. */
function checkKeys(root: Mapping, locate: Locate): void {
  const known = Object.keys(studySchema.shape);
  const key = Object.keys(root).find((name) => !known.includes(name));
  if (key === undefined) return;
  throw new ConfigError(`unknown key ${key}`, {
    where: locate([key], "key"),
    remedy: didYouMean(key, known) ?? `Known keys here: ${known.join(", ")}.`,
  });
}

/** Checks a recipe at 8 bits: one that is invalid there is an error; one that is invalid at fewer bits fails in its cell. */
function checkRecipe(config: StudyConfig, recipe: Recipe, where: string): void {
  try {
    trialConfig(config, { recipe, weightBits: 8, activationBits: 8, seed: 0 });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`recipe ${recipe.name}: ${error.message}`, {
      where,
      cause: error,
      ...defined({ remedy: error.remedy }),
    });
  }
}

/** A cell of the grid for one recipe and seed. */
export interface GridCell extends Omit<TrialKey, "recipe"> {
  readonly recipe: Recipe;
  /** Overrides of the recipe, for a recipe with its fixes. */
  readonly changes?: ConfigChanges;
}

function trainWith(config: StudyConfig, change: { readonly epochs?: number; readonly learningRate?: number }): Mapping {
  const { epochs, learningRate } = change;
  const optimizer = isMapping(config.train.optimizer) ? config.train.optimizer : {};
  return {
    ...config.train,
    ...defined({ epochs }),
    ...(learningRate === undefined ? {} : { optimizer: { ...optimizer, learningRate } }),
  };
}

/**
 * Returns the training configuration of a trial. `from` is the float checkpoint; `changes` override the study before
 * defaults are filled in, so that another preset brings its own.
 *
 * @throws ConfigError when it contradicts itself.
 */
export function trialConfig(
  config: StudyConfig,
  cell: GridCell,
  from?: string,
  changes: ConfigChanges = {},
): TrainingConfig {
  const { name, epochs, learningRate, ...quantization } = cell.recipe;
  const { weightBits, activationBits, seed } = cell;
  const change = defined({ epochs, learningRate });
  const value = structuredClone({
    ...sharedParts(config),
    train: trainWith(config, change),
    quantization: { ...quantization, weightBits, activationBits },
    seed,
    ...defined({ from }),
  });
  layChanges(value, changes);
  return trainingConfigOf(`recipe ${name}`, value);
}

/** Returns the training configuration of the float stage; undefined when none is trained. */
export function floatConfig(config: StudyConfig): TrainingConfig | undefined {
  if (config.float === null || config.float.from !== undefined) return undefined;
  return trainingConfigOf("float stage", {
    ...sharedParts(config),
    train: trainWith(config, config.float),
    seed: config.seeds[0] ?? 0,
    threads: config.threads * config.parallel,
  });
}

function sharedParts({ model, data, device, target, threads, plugins }: StudyConfig): Mapping {
  return { model, data, device, target, threads, ...defined({ plugins }) };
}

function trainingConfigOf(name: string, value: Mapping): TrainingConfig {
  return resolveTrainingConfig({ name, text: JSON.stringify(value) });
}

/**
 * Fixes what depends on the machine or on the working folder, once when the study is created: results may depend on the
 * number of threads, and trials run inside of the study's folder.
 */
export function settleStudyConfig(config: StudyConfig, cores: number = availableParallelism()): StudyConfig {
  const parallel = config.parallel === 0 ? cores : config.parallel;
  const threads = config.threads === 0 ? Math.max(1, Math.floor(cores / parallel)) : config.threads;
  const settled = structuredClone({ ...config, parallel, threads });
  resolvePaths(settled, (given) => resolve(given));
  return settled;
}

/** Returns the configuration as YAML that resolves to itself. */
export function studyToYaml(config: StudyConfig): string {
  return yamlText(config);
}
