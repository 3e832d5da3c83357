/**
 * From a configuration as a person wrote it to one with every default filled in.
 *
 * Over the source go the overrides, in the order given: `--set key=value` and the flags of the command line. Reading the
 * file is file.ts's, so that this runs anywhere.
 */

import { ConfigError } from "../errors.ts";
import { pluginFile } from "../plugins/plugin-files.ts";
import { issuesToError } from "./issues.ts";
import { adviceForUnknownKey, isKnownKey } from "./keys.ts";
import { resolvedRoot } from "./path-keys.ts";
import { type TrainingConfig, trainingConfigSchema } from "./schema/schema.ts";
import { type ConfigOverride, type ConfigSource, deletePath, type Mapping, parseSource, setPath } from "./source.ts";
import { yamlText } from "./yaml.ts";

function applyOverride(root: Mapping, override: ConfigOverride): void {
  const keys = override.path.split(".");
  keys.forEach((key, depth) => {
    const parent = keys.slice(0, depth).join(".");
    if (isKnownKey(parent === "" ? key : `${parent}.${key}`)) return;
    const remedy = adviceForUnknownKey(parent, key);
    throw new ConfigError(`unknown key ${override.path}`, { where: override.origin, remedy });
  });
  // `from=null` takes back what the file said; only `quantization` has a meaning for null itself.
  if (override.value === null && override.path !== "quantization") deletePath(root, override.path);
  else setPath(root, override.path, override.value);
}

/**
 * Parses, overrides, checks and completes a configuration. Throws a ConfigError that names every mistake and its place.
 *
 * @example
 * const resolved = resolveTrainingConfig({ name: "qat.yaml", text: "train: { epochs: 3 }" });
 * console.log(resolved.train.epochs, resolved.train.batchSize); // 3 64
 */
export function resolveTrainingConfig(
  source: ConfigSource | undefined,
  overrides: readonly ConfigOverride[] = [],
): TrainingConfig {
  const given = source ?? { name: "configuration", text: "" };
  const { locate } = parseSource(given);
  const root = resolvedRoot(given);
  for (const override of overrides) applyOverride(root, override);
  const result = trainingConfigSchema.safeParse(root);
  if (result.success) return withPluginFiles(result.data, given.name);
  throw issuesToError(result.error.issues, root, locate(overrides));
}

/** Plugins by absolute paths, so that the configuration means the same wherever it is kept. */
function withPluginFiles(config: TrainingConfig, source: string): TrainingConfig {
  const { plugins } = config;
  return plugins === undefined ? config : { ...config, plugins: plugins.map((given) => pluginFile(source, given)) };
}

/**
 * The configuration as YAML that resolves to itself.
 *
 * @example
 * console.log(configToYaml(config));
 */
export function configToYaml(config: TrainingConfig): string {
  return yamlText(config);
}
