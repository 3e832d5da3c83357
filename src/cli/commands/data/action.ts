/** What the commands of `subbyte data` do. */

import { join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { resolveTrainingConfig } from "../../../config/config.ts";
import { openConfiguredData, parseDataArgument } from "../../../config/data-folder.ts";
import { type Dataset, describeTarget } from "../../../data/dataset/dataset.ts";
import { skippedSamples } from "../../../data/dataset/open-dataset.ts";
import { fetchFashionMnist } from "../../../data/formats/fashion-mnist.ts";
import { dataHome } from "../../../io/data-home.ts";
import { loadData } from "../../../train/setup.ts";
import { interruptible } from "../../interrupt.ts";
import { note, outputColumns, print, printJson } from "../../output.ts";
import { configurationOverrides } from "../../train-overrides.ts";
import { formatBytes, sampleWord } from "../../view/progress-format.ts";
import { tableLines } from "../../view/table.ts";
import type { FetchFlags, InfoFlags } from "./data.ts";

const second = 1000;

/** Downloads Fashion-MNIST and prints where its files are. */
export async function fetchData(_name: string, flags: FetchFlags): Promise<void> {
  const folder = flags.out ?? join(dataHome(), "fashion-mnist");
  const silent = flags.json === true || flags.quiet === true;
  let shownAt = 0;
  let shownFile = -1;
  const files = await interruptible((signal) =>
    fetchFashionMnist(folder, {
      signal,
      onProgress: ({ file, fileIndex, fileCount, receivedBytes, totalBytes }) => {
        const isDue = fileIndex !== shownFile || receivedBytes >= totalBytes || Date.now() - shownAt > second;
        if (silent || !isDue) return;
        shownFile = fileIndex;
        shownAt = Date.now();
        const amount = `${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}`;
        note(`${file} (${fileIndex + 1} of ${fileCount}): ${amount}`);
      },
    }),
  );
  if (flags.json === true) return printJson({ schemaVersion: 1, folder, files });
  for (const { path, downloaded } of files) {
    print(`${path} ${downloaded ? "downloaded, checksum correct" : "already there"}`);
  }
}

function describePart(part: string, dataset: Dataset) {
  const { count, sampleShape, sampleType, target, normalization } = dataset;
  return { part, count, sampleShape, sampleType, target, normalization };
}

/** Numbers of a normalization that fit a table. */
const shownChannels = 3;
/** Classes that fit a line or two. */
const shownClasses = 20;

function firstOf(values: readonly (number | string)[], most: number, separator: string): string {
  const shown = values.slice(0, most).map((value) => (typeof value === "number" ? value.toFixed(4) : value));
  return `${shown.join(separator)}${values.length > most ? `${separator}…` : ""}`;
}

/** Prints what a data set holds. */
export async function describeData(argument: string, flags: InfoFlags): Promise<void> {
  const { model, set } = flags;
  const opened = await interruptible((signal) => {
    if (model === undefined && set.length === 0) {
      return openConfiguredData({ ...parseDataArgument(argument), crop: 0, flip: false }, {}, signal);
    }
    const overrides = configurationOverrides({ data: argument, set, ...defined({ model }) });
    return loadData(resolveTrainingConfig(undefined, overrides));
  });
  const { kind, path, notes } = opened;
  const parts = [describePart("train", opened.train), describePart("test", opened.test)];
  const skipped = skippedSamples(opened);
  if (flags.json === true) {
    return printJson({ schemaVersion: 1, kind, folder: path ?? null, parts, skipped, notes });
  }
  const isVerbose = flags.verbose === true;
  const channels = isVerbose ? Number.POSITIVE_INFINITY : shownChannels;
  const rows = parts.map(({ part, count, sampleShape, sampleType, normalization }) => [
    part,
    count,
    `${sampleType} ${sampleShape.join("x")}`,
    firstOf(normalization.mean, channels, " "),
    firstOf(normalization.std, channels, " "),
  ]);
  const each = sampleWord(opened.train.sampleShape);
  print(...tableLines(["part", each, "each", "mean", "std"], rows, outputColumns()));
  const { target } = opened.train;
  if (target.kind === "classes") {
    const { classes } = target;
    const shown = isVerbose ? classes.length : shownClasses;
    print(`${classes.length} classes: ${firstOf(classes, shown, ", ")}`);
  } else if (target.kind === "values") {
    print(`values to predict: ${target.shape.join("x") || 1} for each sample`);
  } else if (target.kind === "dense") {
    print(`a class for each of ${target.shape.join("x")} positions: ${target.classes.length} classes`);
  } else {
    print(describeTarget(target));
  }
  if (flags.quiet !== true) print(...notes);
  if (isVerbose) for (const { name, reason } of skipped) print(`skipped ${name}: ${reason}`);
}
