/** Reads a training configuration from a file. */

import { readFile } from "node:fs/promises";
import { InputOutputError } from "../errors.ts";
import { describeSystemError } from "../io/system-error.ts";
import type { ConfigSource } from "./config.ts";

/** The text of a configuration file, named as the user named it. */
export async function readConfigFile(file: string): Promise<ConfigSource> {
  try {
    return { name: file, text: await readFile(file, "utf8") };
  } catch (cause) {
    const message = `cannot read the configuration: ${describeSystemError(cause).reason}`;
    throw new InputOutputError(message, {
      where: file,
      remedy: "Give an existing YAML or JSON file, or leave it out for the defaults.",
      cause,
    });
  }
}
