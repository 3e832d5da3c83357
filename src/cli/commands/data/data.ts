import { Argument } from "@commander-js/extra-typings";
import type { FlagsOf, NewCommand } from "../../command.ts";
import { collect } from "../../flag-values.ts";

const fetchExamples = `
Without --out the files go to the folder that --data fashion-mnist reads: subbyte's folder in your cache, or the folder
that the variable SUBBYTE_DATA names. Files that are already there and correct are kept.

Examples:
  subbyte data fetch fashion-mnist
  subbyte data fetch fashion-mnist --out ./fashion`;

const infoExamples = `
A folder may hold: images in one folder per class (or train/ and val/ with such folders), CIFAR-10 and CIFAR-100 (binary),
IDX files, x_train.npy with y_train.npy. Files: .npz, .npy, .csv, .tsv, .csv.gz; .jsonl for a model of tokens.
Images: JPEG, PNG, WebP, GIF, TIFF, AVIF, BMP, PPM, PGM, PBM.

Examples:
  subbyte data info
  subbyte data info ./flowers
  subbyte data info iris.csv --json
  subbyte data info reviews.jsonl --model bert.onnx --set data.tokenizer=tokenizer.json`;

/** Declares `subbyte data fetch`. */
export const declareFetch = (command: NewCommand) =>
  command
    .description("Download a data set and check every file against its SHA-256.")
    .addArgument(new Argument("<name>", "the data set").choices(["fashion-mnist"] as const))
    .option("-o, --out <folder>", "folder to put the files in")
    .option("--json", "print the files as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .addHelpText("after", fetchExamples);

/** Declares `subbyte data info`. */
export const declareInfo = (command: NewCommand) =>
  command
    .description("Print what a data set contains.")
    .argument(
      "[name|folder]",
      "fashion-mnist-part, fashion-mnist, or a folder or file such as ./mine",
      "fashion-mnist-part",
    )
    .option("-m, --model <file>", "the model's file that the data is for, whose inputs name arrays and take tokens")
    .option("--set <key=value>", "a key of the data, e.g. data.tokenizer=tokenizer.json (repeatable)", collect, [])
    .option("--json", "print it as one JSON document")
    .option("-q, --quiet", "print no notes")
    .option("-v, --verbose", "print every class, every channel and every skipped sample")
    .addHelpText("after", infoExamples);

/** The flags of `subbyte data fetch`. */
export type FetchFlags = FlagsOf<typeof declareFetch>;

/** The flags of `subbyte data info`. */
export type InfoFlags = FlagsOf<typeof declareInfo>;
