/** Reads a configuration from a file, with the plugins that it needs. */

import { readFile } from "node:fs/promises";
import { InputOutputError } from "../errors.ts";
import { describeSystemError } from "../io/system-error.ts";
import { loadPluginsOf } from "./plugins.ts";
import type { ConfigSource } from "./source.ts";

/** Returns the text of a configuration file, named as the user named it; the plugins that it lists are loaded. */
export async function readConfigFile(file: string): Promise<ConfigSource> {
  let source: ConfigSource;
  try {
    source = { name: file, text: await readFile(file, "utf8") };
  } catch (cause) {
    const message = `cannot read the configuration: ${describeSystemError(cause).reason}`;
    throw new InputOutputError(message, {
      where: file,
      remedy: "Give an existing YAML or JSON file, or leave it out for the defaults.",
      cause,
    });
  }
  await loadPluginsOf(source);
  return source;
}
