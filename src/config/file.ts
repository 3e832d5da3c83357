/** Reads a configuration from a file, with the plugins that it needs. */

import { dirname, resolve } from "node:path";
import { InputOutputError, SubbyteError } from "../errors.ts";
import { readTextLimited } from "../io/read-limited.ts";
import { describeSystemError } from "../io/system-error.ts";
import { loadPluginsOf } from "./plugins.ts";
import { type ConfigSource, mostTextBytes } from "./source.ts";

/**
 * Returns the text of a configuration file, named as the user named it; the plugins that it lists are loaded. Relative paths in
 * it resolve against its folder.
 *
 * @throws InputOutputError where it cannot be read, FileFormatError for a device or more than 1 MB.
 */
export async function readConfigFile(file: string): Promise<ConfigSource> {
  const folder = dirname(resolve(file));
  return withPlugins({ ...(await sourceOf(file)), resolvePath: (given) => resolve(folder, given) });
}

/**
 * Returns the configuration that a run's folder keeps. Its paths are absolute; only a trial names the float network of its study by
 * a path inside of the study's folder, in which it runs.
 */
export async function readRunConfig(file: string): Promise<ConfigSource> {
  return withPlugins({ ...(await sourceOf(file)), isKept: true });
}

async function withPlugins(source: ConfigSource): Promise<ConfigSource> {
  await loadPluginsOf(source);
  return source;
}

async function sourceOf(file: string): Promise<ConfigSource> {
  try {
    return { name: file, text: await readTextLimited(file, mostTextBytes) };
  } catch (cause) {
    if (cause instanceof SubbyteError) throw cause;
    const message = `cannot read the configuration: ${describeSystemError(cause).reason}`;
    throw new InputOutputError(message, {
      where: file,
      remedy: "Give an existing YAML or JSON file, or leave it out for the defaults.",
      cause,
    });
  }
}
