/** Where data sets that were fetched are kept, and what a configuration's data means as a folder. */

import { homedir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../errors.ts";
import { nearestWord } from "../qconfig/nearest-word.ts";
import type { TrainingConfig } from "./config-schema.ts";
import { dataNames } from "./config-schema.ts";

/**
 * The folder that fetched data sets are kept in: SUBBYTE_DATA, else subbyte's folder in the user's cache.
 * Not the working directory: the same 30 MB serve every project.
 */
export function dataHome(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  if (environment.SUBBYTE_DATA) return environment.SUBBYTE_DATA;
  const cache = environment.XDG_CACHE_HOME || environment.LOCALAPPDATA || join(homedir(), ".cache");
  return join(cache, "subbyte");
}

/** The folder of a configuration's data, or undefined for the part of Fashion-MNIST that comes with subbyte. */
export function dataFolder(data: TrainingConfig["data"]): string | undefined {
  if ("folder" in data && data.folder !== undefined) return data.folder;
  return "name" in data && data.name === "fashion-mnist" ? join(dataHome(), "fashion-mnist") : undefined;
}

/**
 * Reads a `--data` argument: the name of a data set, or a folder, which is told from a name by a slash or a leading dot,
 * so that a mistyped name is not taken for a folder.
 */
export function parseDataArgument(argument: string): { name: (typeof dataNames)[number] } | { folder: string } {
  const name = dataNames.find((known) => known === argument);
  if (name !== undefined) return { name };
  if (/[/\\]/.test(argument) || /^[.~]/.test(argument)) return { folder: argument };
  const nearest = nearestWord(argument, dataNames);
  const folder = `A folder is written with a slash: ./${argument}.`;
  throw new ConfigError(`no data set is called ${JSON.stringify(argument)}; there are ${dataNames.join(", ")}`, {
    where: "--data",
    remedy: nearest === undefined ? folder : `Did you mean ${nearest}? ${folder}`,
  });
}
