/** `subbyte data`: download data sets and look at them. */

import { join } from "node:path";
import { Argument, Command } from "@commander-js/extra-typings";
import { openConfiguredData, parseDataArgument } from "../../config/data-folder.ts";
import type { Dataset } from "../../data/dataset/dataset.ts";
import { skippedSamples } from "../../data/dataset/open-dataset.ts";
import { fetchFashionMnist } from "../../data/formats/fashion-mnist.ts";
import { dataHome } from "../../io/data-home.ts";
import type { FlagsOf, NewCommand } from "../command.ts";
import { interruptible } from "../interrupt.ts";
import { note, outputColumns, print, printJson } from "../output.ts";
import { formatBytes } from "../view/progress-format.ts";
import { tableLines } from "../view/table.ts";

const fetchExamples = `
Without --out the files go to the folder that --data fashion-mnist reads: subbyte's folder in your cache, or the folder
that the variable SUBBYTE_DATA names. Files that are already there and correct are kept.

Examples:
  subbyte data fetch fashion-mnist
  subbyte data fetch fashion-mnist --out ./fashion`;

const infoExamples = `
A folder may hold: images in one folder per class (or train/ and val/ with such folders), CIFAR-10 and CIFAR-100 (binary),
IDX files, x_train.npy with y_train.npy. Files: .npz, .npy, .csv.

Examples:
  subbyte data info
  subbyte data info ./flowers
  subbyte data info iris.csv --json`;

const declareFetch = (command: NewCommand) =>
  command
    .description("Download a data set and check every file against its SHA-256.")
    .addArgument(new Argument("<name>", "the data set").choices(["fashion-mnist"] as const))
    .option("-o, --out <folder>", "folder to put the files in")
    .option("--json", "print the files as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .addHelpText("after", fetchExamples);

const declareInfo = (command: NewCommand) =>
  command
    .description("Print what a data set contains.")
    .argument(
      "[name|folder]",
      "fashion-mnist-part, fashion-mnist, or a folder or file such as ./mine",
      "fashion-mnist-part",
    )
    .option("--json", "print it as one JSON document")
    .option("-q, --quiet", "print no notes")
    .option("-v, --verbose", "print every class, every channel and every skipped sample")
    .addHelpText("after", infoExamples);

/** Declares `subbyte data`. */
export const declareData = (command: NewCommand) => {
  command.description("Download data sets and look at them.");
  const sub = (name: string) => {
    const added: NewCommand = new Command(name);
    command.addCommand(
      added.copyInheritedSettings(command).showHelpAfterError(`  See \`subbyte data ${name} --help\`.`),
    );
    return added;
  };
  declareFetch(sub("fetch")).action(fetchData);
  declareInfo(sub("info")).action(describeData);
  return command;
};

const second = 1000;

/** Downloads Fashion-MNIST and prints where its files are. */
async function fetchData(_name: string, flags: FlagsOf<typeof declareFetch>): Promise<void> {
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
async function describeData(argument: string, flags: FlagsOf<typeof declareInfo>): Promise<void> {
  const opened = await interruptible((signal) =>
    openConfiguredData({ ...parseDataArgument(argument), crop: 0, flip: false }, signal),
  );
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
  const each = opened.train.sampleShape.length === 3 ? "images" : "samples";
  print(...tableLines(["part", each, "each", "mean", "std"], rows, outputColumns()));
  const { target } = opened.train;
  if (target.kind === "classes") {
    const { classes } = target;
    const shown = isVerbose ? classes.length : shownClasses;
    print(`${classes.length} classes: ${firstOf(classes, shown, ", ")}`);
  } else if (target.kind === "values") {
    print(`values to predict: ${target.shape.join("x") || 1} for each sample`);
  } else {
    print("no labels");
  }
  if (flags.quiet !== true) print(...notes);
  if (isVerbose) for (const { name, reason } of skipped) print(`skipped ${name}: ${reason}`);
}
