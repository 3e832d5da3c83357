/** `subbyte report`: the report of a study or of a run. */

import type { FlagsOf, NewCommand } from "../command.ts";
import { print, printJson } from "../output.ts";

const examples = `
Writes report.html, one file that opens offline, and next to it each figure as SVG and each number as JSON. A study that
still runs can be reported too.

Examples:
  subbyte report studies/study
  subbyte report runs/lsq --out lsq-report
  subbyte report studies/study --png --json`;

const declare = (command: NewCommand) =>
  command
    .description("Write the report of a study or of a run: one HTML file, its figures and its numbers.")
    .argument("<folder>", "folder of a study or of a run")
    .option("-o, --out <folder>", "folder to write to (default: report/ inside of it)")
    .option("--png", "write each figure as PNG too")
    .option("--json", "print what was written as one JSON document")
    .option("-q, --quiet", "print nothing")
    .option("-v, --verbose", "list the files that were written")
    .addHelpText("after", examples);

/** Declares `subbyte report`. */
export const declareReport = (command: NewCommand) => declare(command).action(report);

async function report(folder: string, flags: FlagsOf<typeof declare>): Promise<void> {
  // The charts' library takes longer to load than everything that the help needs.
  const { writeReport } = await import("../../report/write-report.ts");
  const { page, files } = await writeReport(folder, {
    ...(flags.out === undefined ? {} : { out: flags.out }),
    ...(flags.png === true ? { png: true } : {}),
  });
  if (flags.json === true) return printJson({ schemaVersion: 1, page, files });
  if (flags.quiet === true) return;
  print(`${page} (and ${files.length - 1} files of figures and numbers next to it)`);
  if (flags.verbose === true) print(...files);
}
