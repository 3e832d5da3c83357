/** Changes of a training configuration by dotted keys: what a remedy asks for. */

import { resolveTrainingConfig } from "./config.ts";
import type { TrainingConfig } from "./schema/schema.ts";
import { deletePath, type Mapping, setPath } from "./source.ts";

/** Changes of a training configuration: dotted keys and their new values; null takes a key away. */
export type ConfigChanges = Readonly<Record<string, string | number | boolean | null>>;

/** Lays changes over a configuration in place. null takes a key away, except `quantization`, where it means float. */
export function layChanges(root: Mapping, changes: ConfigChanges): void {
  for (const [path, value] of Object.entries(changes)) {
    if (value === null && path !== "quantization") deletePath(root, path);
    else setPath(root, path, value);
  }
}

/**
 * Returns a configuration with changes, as `subbyte train --config FILE --set KEY=VALUE …` resolves it.
 *
 * @throws ConfigError for changes that contradict the configuration.
 *
 * @example
 * console.log(withChanges(config, { "train.epochs": 3 }).train.epochs); // 3
 */
export function withChanges(config: TrainingConfig, changes: ConfigChanges): TrainingConfig {
  const overrides = Object.entries(changes).map(([path, value]) => ({
    path,
    value,
    origin: `--set ${path}=${String(value)}`,
  }));
  return resolveTrainingConfig({ name: "configuration", text: JSON.stringify(config) }, overrides);
}

/** Returns the value at a dotted key; undefined where there is none. */
export function settingAt(settings: object, path: string): unknown {
  let value: unknown = settings;
  for (const key of path.split(".")) {
    value =
      typeof value === "object" && value !== null
        ? new Map<string, unknown>(Object.entries(value)).get(key)
        : undefined;
  }
  return value;
}
