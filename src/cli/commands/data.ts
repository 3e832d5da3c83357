/** `subbyte data`: fetch and look at data sets. What it does is in actions/data.ts. */

import { Argument } from "@commander-js/extra-typings";
import type { ParentCommand } from "./common.ts";

const fetchExamples = `
Without --out the files go to the folder that --data fashion-mnist reads: subbyte's folder in your cache, or the folder
that the variable SUBBYTE_DATA names. Files that are there and right are kept.

Examples:
  subbyte data fetch fashion-mnist
  subbyte data fetch fashion-mnist --out ./fashion`;

const infoExamples = `
What lies in a folder is recognised: images in a folder for each class (or train/ and val/ with such folders), CIFAR-10
and CIFAR-100 (binary), IDX files, x_train.npy with y_train.npy. Files: .npz, .npy, .csv.

Examples:
  subbyte data info
  subbyte data info ./flowers
  subbyte data info iris.csv --json`;

/** Adds the command, with its own commands, to the program. */
export function addDataCommand(program: ParentCommand): void {
  const data = program
    .command("data")
    .description("Fetch data sets and look at them.")
    .summary("fetch and look at data");
  data
    .command("fetch")
    .description("Download a data set and check every file against its SHA-256.")
    .addArgument(new Argument("<name>", "the data set").choices(["fashion-mnist"] as const))
    .option("-o, --out <dir>", "folder to put the files in")
    .option("--json", "print the files as one JSON document, and no progress")
    .option("-q, --quiet", "print no progress")
    .addHelpText("after", fetchExamples)
    .action(async (_name, flags) => {
      const { fetchData } = await import("../actions/data.ts");
      await fetchData(flags);
    });
  data
    .command("info")
    .description("Print what a data set holds.")
    .argument(
      "[name|folder]",
      "fashion-mnist-part, fashion-mnist, or a folder or file such as ./mine",
      "fashion-mnist-part",
    )
    .option("--json", "print it as one JSON document")
    .addHelpText("after", infoExamples)
    .action(async (dataset, flags) => {
      const { describeData } = await import("../actions/data.ts");
      await describeData(dataset, flags);
    });
}
