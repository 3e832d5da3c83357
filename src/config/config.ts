/**
 * From a configuration as a person wrote it to one with every default filled in.
 *
 * The source is YAML (JSON is a part of YAML, so one parser reads both). Over it go the overrides, in the order given:
 * `--set key=value` and the flags of the command line. Reading the file is config-file.ts's, so that this runs anywhere.
 */

import { type Document, isMap, isScalar, LineCounter, parseDocument, stringify } from "yaml";
import { ConfigError } from "../errors.ts";
import { pluginFile } from "../plugins/plugin-files.ts";
import { issuesToError, type Locate } from "./issues.ts";
import { adviceForUnknownKey, isKnownKey } from "./keys.ts";
import { type TrainingConfig, trainingConfigSchema } from "./schema.ts";

/** A configuration's text and the name that errors call it by. */
export interface ConfigSource {
  readonly name: string;
  readonly text: string;
}

/** One value laid over the source, and what asked for it (`--epochs 3`). */
export interface ConfigOverride {
  /** Dotted: `train.optimizer.learningRate`. */
  readonly path: string;
  readonly value: unknown;
  readonly origin: string;
}

type Mapping = Record<string, unknown>;

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function firstLine(text: string): string {
  return text.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? text;
}

/** What a flag's text means as a YAML value: `3` a number, `true` a truth value, anything that is not YAML the text itself. */
export function parseScalar(text: string): unknown {
  const document = parseDocument(text);
  return document.errors.length > 0 ? text : document.toJS();
}

/** Reads `train.epochs=3`; the value is a YAML scalar or flow list, so `true`, `1e-3`, `[3, 5]` and `null` mean what they look like. */
export function parseSetOption(text: string): ConfigOverride {
  const origin = `--set ${text}`;
  const cut = text.indexOf("=");
  const path = text.slice(0, Math.max(cut, 0)).trim();
  if (path === "") {
    throw new ConfigError("expected key=value", { where: origin, remedy: "Write for example --set train.epochs=3." });
  }
  const document = parseDocument(text.slice(cut + 1));
  const problem = document.errors[0];
  if (problem !== undefined) throw new ConfigError(firstLine(problem.message), { where: origin });
  return { path, value: document.toJS(), origin };
}

function parseSource(source: ConfigSource, lines: LineCounter): Document {
  const document = parseDocument(source.text, { lineCounter: lines, prettyErrors: true });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const at = problem.linePos?.[0];
    const where = at === undefined ? source.name : `${source.name}:${at.line}:${at.col}`;
    throw new ConfigError(firstLine(problem.message), { where, remedy: "Write the configuration as YAML or JSON." });
  }
  return document;
}

function mappingOf(document: Document, name: string): Mapping {
  let content: unknown;
  try {
    content = document.toJS();
  } catch (cause) {
    throw new ConfigError("the YAML aliases cannot be resolved", { where: name, cause });
  }
  if (content === null || content === undefined) return {};
  if (isMapping(content)) return content;
  throw new ConfigError("expected a mapping of keys", { where: `${name}:1:1`, remedy: "Write for example `seed: 0`." });
}

function applyOverride(root: Mapping, override: ConfigOverride): void {
  const keys = override.path.split(".");
  keys.forEach((key, depth) => {
    const parent = keys.slice(0, depth).join(".");
    if (isKnownKey(parent === "" ? key : `${parent}.${key}`)) return;
    const remedy = adviceForUnknownKey(parent, key);
    throw new ConfigError(`unknown key ${override.path}`, { where: override.origin, remedy });
  });
  let at = root;
  for (const key of keys.slice(0, -1)) {
    const child = at[key];
    // Setting a key inside of `quantization: null`, or of a key that is not there, makes the mapping.
    const next = isMapping(child) ? child : {};
    at[key] = next;
    at = next;
  }
  const last = keys.at(-1);
  if (last === undefined) return;
  // `from=null` takes back what the file said; only `quantization` has a meaning for null itself.
  if (override.value === null && override.path !== "quantization") delete at[last];
  else at[last] = override.value;
}

/** Finds where a path was written: in an override if one covers it, else in the file, at the nearest key that is there. */
function locator(document: Document, lines: LineCounter, name: string, overrides: readonly ConfigOverride[]): Locate {
  return (path, part) => {
    const dotted = path.map(String).join(".");
    const override = overrides.findLast(({ path: set }) => dotted === set || dotted.startsWith(`${set}.`));
    if (override !== undefined) return override.origin;
    for (let depth = path.length; depth > 0; depth--) {
      const map = document.getIn(path.slice(0, depth - 1), true);
      if (!isMap(map)) continue;
      const pair = map.items.find((item) => isScalar(item.key) && item.key.value === path[depth - 1]);
      if (pair === undefined) continue;
      const node = part === "value" && depth === path.length ? (pair.value ?? pair.key) : pair.key;
      const offset = isScalar(node) || isMap(node) ? node.range?.[0] : undefined;
      if (offset === undefined) break;
      const { line, col } = lines.linePos(offset);
      return `${name}:${line}:${col}`;
    }
    return name;
  };
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
  const lines = new LineCounter();
  const document = parseSource(given, lines);
  const root = mappingOf(document, given.name);
  for (const override of overrides) applyOverride(root, override);
  const result = trainingConfigSchema.safeParse(root);
  if (result.success) return withPluginFiles(result.data, given.name);
  throw issuesToError(result.error.issues, root, locator(document, lines, given.name, overrides));
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
  return stringify(config, { lineWidth: 120 });
}
