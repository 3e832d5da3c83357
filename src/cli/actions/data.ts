/** What `subbyte data` does. */

import { join } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import { fetchFashionMnist, loadFashionMnist } from "../../data/fashion-mnist.ts";
import { dataFolder, dataHome, parseDataArgument } from "../../train/data-folder.ts";
import type { DataFetchFlags, DataInfoFlags } from "../flags.ts";
import { interruptible } from "../interrupt.ts";
import { formatBytes } from "../progress-format.ts";
import { formatTable } from "../table.ts";

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

/** Prints what a data set holds. */
export async function describeData(argument: string, flags: DataInfoFlags): Promise<void> {
  const folder = dataFolder({ ...parseDataArgument(argument), crop: 0, flip: false });
  const splits = await loadFashionMnist(folder === undefined ? {} : { folder });
  const parts = [describePart("train", splits.train), describePart("test", splits.test)];
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ schemaVersion: 1, folder: folder ?? null, parts }, undefined, 2)}\n`);
    return;
  }
  const rows = parts.map(({ part, count, sampleShape, sampleType, normalization }) => [
    part,
    count,
    `${sampleType} ${sampleShape.join("x")}`,
    normalization.mean.map((value) => value.toFixed(4)).join(" "),
    normalization.std.map((value) => value.toFixed(4)).join(" "),
  ]);
  process.stdout.write(`${formatTable(["part", "images", "each", "mean", "std"], rows, process.stdout.columns)}\n`);
  const { target } = splits.train;
  if (target.kind === "classes")
    process.stdout.write(`${target.classes.length} classes: ${target.classes.join(", ")}\n`);
}
