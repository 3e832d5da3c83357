/** Opens the data that a configuration names, and parses the `--data` argument. */

import { existsSync } from "node:fs";
import { defined } from "../base/defined.ts";
import { nearestWord } from "../base/nearest-word.ts";
import { type OpenedData, openDataset } from "../data/dataset/open-dataset.ts";
import { ConfigError } from "../errors.ts";
import type { FileInput } from "../onnx/read/file.ts";
import { dataNames, type TrainingConfig } from "./schema/schema.ts";

/**
 * Opens the data that a configuration names.
 *
 * @param network The inputs of the network that the data is for, as its file states them, and those that nothing reads.
 * @throws as openDataset does.
 */
export function openConfiguredData(
  data: TrainingConfig["data"],
  network: { readonly inputs?: readonly FileInput[]; readonly unused?: readonly string[] } = {},
  signal?: AbortSignal,
): Promise<OpenedData> {
  const { crop: _crop, flip: _flip, ...options } = data;
  const source = "name" in data ? data.name : (data.folder ?? dataNames[0]);
  return openDataset(source, {
    ...options,
    ...defined({ inputs: network.inputs, unusedInputs: network.unused, signal }),
  });
}

const fileEndings = /\.(csv|tsv|npy|npz|jsonl|ndjson)$/i;

/**
 * Parses a `--data` argument: the name of a data set, or the path of a folder or file. A slash, a leading dot or a file
 * extension marks a path; any other text must be a name or exist, because it may be a mistyped name.
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
