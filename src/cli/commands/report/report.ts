/** `subbyte report`: the report of a study or of a run. */

import type { FlagsOf, NewCommand } from "../../command.ts";

const examples = `
Writes report.html, one file that opens offline, and next to it each figure as SVG and each number as JSON. A study that
still runs can be reported too.

Examples:
  subbyte report studies/study
  subbyte report runs/lsq --out lsq-report
  subbyte report studies/study --png --json`;

/** Declares `subbyte report`. */
export const declareReport = (command: NewCommand) =>
  command
    .description("Write the report of a study or of a run: one HTML file, its figures and its numbers.")
    .argument("<folder>", "folder of a study or of a run")
    .option("-o, --out <folder>", "folder to write to (default: report/ inside of it)")
    .option("--png", "write each figure as PNG too")
    .option("--json", "print what was written as one JSON document")
    .option("-q, --quiet", "print nothing")
    .option("-v, --verbose", "list the files that were written")
    .addHelpText("after", examples);

/** The flags of `subbyte report`. */
export type ReportFlags = FlagsOf<typeof declareReport>;
