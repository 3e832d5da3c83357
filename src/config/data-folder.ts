/** Where data sets that were fetched are kept, and the data that a configuration or an argument names. */

import { existsSync } from "node:fs";
import { defined } from "../base/defined.ts";
import { nearestWord } from "../base/nearest-word.ts";
import { type OpenedData, openDataset } from "../data/dataset/open-dataset.ts";
import { ConfigError } from "../errors.ts";
import type { TrainingConfig } from "./schema/schema.ts";
import { dataNames } from "./schema/schema.ts";

/** Opens the data that a configuration says. @throws as openDataset does. */
export function openConfiguredData(data: TrainingConfig["data"], signal?: AbortSignal): Promise<OpenedData> {
  const { crop: _crop, flip: _flip, ...options } = data;
  const source = "name" in data ? data.name : (data.folder ?? dataNames[0]);
  return openDataset(source, { ...options, ...defined({ signal }) });
}

const fileEndings = /\.(csv|tsv|npy|npz)$/i;

/**
 * Reads a `--data` argument: the name of a data set, or a folder or file that is there. A path is told from a mistyped name
 * by a slash, a leading dot or a file's ending.
 */
export function parseDataArgument(argument: string): { name: (typeof dataNames)[number] } | { folder: string } {
  const name = dataNames.find((known) => known === argument);
  if (name !== undefined) return { name };
  if (/[/\\]/.test(argument) || /^[.~]/.test(argument) || fileEndings.test(argument)) return { folder: argument };
  if (existsSync(argument)) return { folder: argument };
  const nearest = nearestWord(argument, dataNames);
  throw new ConfigError(`there is no folder, file or data set ${JSON.stringify(argument)}`, {
    where: "--data",
    remedy: `${nearest === undefined ? "" : `Did you mean ${nearest}? `}Check the path; the data sets are ${dataNames.join(", ")}.`,
  });
}
