/** The keys of configurations whose values are paths of files and folders, and how relative ones become absolute. */
import { type ConfigOverride, type ConfigSource, isMapping, type Mapping, parseSource, setPath } from "./source.ts";

/** Dotted keys of trainings and studies; `plugins` is a list, which plugins.ts reads. */
export const pathKeys = [
  "model.file",
  "data.folder",
  "data.cache",
  "data.tokenizer",
  "train.distillation.teacher",
  "from",
  "float.from",
] as const;

/** Returns the mapping at a dotted key's parent, and the last part of the key; undefined where there is none. */
function parentOf(root: Mapping, path: string): { readonly parent: Mapping; readonly key: string } | undefined {
  const keys = path.split(".");
  const key = keys.pop() ?? "";
  let parent: unknown = root;
  for (const name of keys) parent = isMapping(parent) ? parent[name] : undefined;
  return isMapping(parent) ? { parent, key } : undefined;
}

/** Replaces the paths of a configuration by what `resolvePath` makes of them. */
export function resolvePaths(root: Mapping, resolvePath: (given: string) => string): void {
  for (const path of pathKeys) {
    const place = parentOf(root, path);
    const given = place?.parent[place.key];
    if (place !== undefined && typeof given === "string" && given !== "") place.parent[place.key] = resolvePath(given);
  }
}

/** Adds the keys that a run of an earlier version did not write: what it did, where the present default differs. */
function completeKept({ model }: Mapping): void {
  // The network of a file was trained as it was, and so are the parameters of the checkpoint.
  if (isMapping(model) && model.file !== undefined && model.restoreBatchNorm === undefined)
    model.restoreBatchNorm = false;
}

/** Returns the keys of a source, its paths resolved as the source says. */
export function resolvedRoot(source: ConfigSource): Mapping {
  const { root } = parseSource(source);
  if (source.resolvePath !== undefined) resolvePaths(root, source.resolvePath);
  if (source.isKept === true) completeKept(root);
  return root;
}

/** Returns an override whose paths are resolved, also those inside of a mapping: `--set 'model={file: mine.onnx}'`. */
export function withResolvedPaths(override: ConfigOverride, resolvePath: (given: string) => string): ConfigOverride {
  const root: Mapping = {};
  setPath(root, override.path, structuredClone(override.value));
  resolvePaths(root, resolvePath);
  let value: unknown = root;
  for (const key of override.path.split(".")) value = isMapping(value) ? value[key] : undefined;
  return { ...override, value };
}
