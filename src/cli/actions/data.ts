/** What `subbyte data` does. */

import { join } from "node:path";
import { openConfiguredData, parseDataArgument } from "../../config/data-folder.ts";
import type { Dataset } from "../../data/dataset/dataset.ts";
import { skippedSamples } from "../../data/dataset/open-dataset.ts";
import { fetchFashionMnist } from "../../data/formats/fashion-mnist.ts";
import { dataHome } from "../../io/data-home.ts";
import type { DataFetchFlags, DataInfoFlags } from "../flags.ts";
import { interruptible } from "../interrupt.ts";
import { formatBytes } from "../view/progress-format.ts";
import { formatTable } from "../view/table.ts";

const second = 1000;

/** Downloads Fashion-MNIST and prints where its files are. */
export async function fetchData(flags: DataFetchFlags): Promise<void> {
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
        process.stderr.write(`${file} (${fileIndex + 1} of ${fileCount}): ${amount}\n`);
      },
    }),
  );
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ schemaVersion: 1, folder, files }, undefined, 2)}\n`);
    return;
  }
  for (const { path, downloaded } of files) {
    process.stdout.write(`${path} ${downloaded ? "downloaded, checksum right" : "was there already"}\n`);
  }
}

function describePart(part: string, dataset: Dataset) {
  const { count, sampleShape, sampleType, target, normalization } = dataset;
  return { part, count, sampleShape, sampleType, target, normalization };
}

/** So many numbers of a normalization fit a table. */
const shownChannels = 3;
/** So many classes fit a line or two. */
const shownClasses = 20;

function firstOf(values: readonly (number | string)[], most: number, separator: string): string {
  const shown = values.slice(0, most).map((value) => (typeof value === "number" ? value.toFixed(4) : value));
  return `${shown.join(separator)}${values.length > most ? `${separator}…` : ""}`;
}

/** Prints what a data set holds. */
export async function describeData(argument: string, flags: DataInfoFlags): Promise<void> {
  const opened = await interruptible((signal) =>
    openConfiguredData({ ...parseDataArgument(argument), crop: 0, flip: false }, signal),
  );
  const { kind, path, notes } = opened;
  const parts = [describePart("train", opened.train), describePart("test", opened.test)];
  const skipped = skippedSamples(opened);
  if (flags.json === true) {
    const document = { schemaVersion: 1, kind, folder: path ?? null, parts, skipped, notes };
    process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
    return;
  }
  const rows = parts.map(({ part, count, sampleShape, sampleType, normalization }) => [
    part,
    count,
    `${sampleType} ${sampleShape.join("x")}`,
    firstOf(normalization.mean, shownChannels, " "),
    firstOf(normalization.std, shownChannels, " "),
  ]);
  const each = opened.train.sampleShape.length === 3 ? "images" : "samples";
  process.stdout.write(`${formatTable(["part", each, "each", "mean", "std"], rows, process.stdout.columns)}\n`);
  const { target } = opened.train;
  if (target.kind === "classes") {
    const { classes } = target;
    process.stdout.write(`${classes.length} classes: ${firstOf(classes, shownClasses, ", ")}\n`);
  } else if (target.kind === "values") {
    process.stdout.write(`values to predict: ${target.shape.join("x") || 1} for each sample\n`);
  } else {
    process.stdout.write("no labels\n");
  }
  for (const note of notes) process.stdout.write(`${note}\n`);
}
