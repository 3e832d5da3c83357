/** `subbyte report`: its flags and its help. What it does is in actions/report.ts. */

import type { ParentCommand } from "./common.ts";

const examples = `
Writes report.html, which needs nothing else and opens offline, with each figure beside it as SVG and each number as
JSON. Works on a study that still runs, too.

Examples:
  subbyte report studies/study
  subbyte report runs/lsq --out lsq-report
  subbyte report studies/study --png --json`;

/** Adds the command to the program. */
export function addReportCommand(program: ParentCommand): void {
  program
    .command("report")
    .summary("write the report of a study or of a run")
    .description("Write a report of a study or of a run: one HTML file, its figures and its numbers.")
    .argument("<folder>", "a study's folder, or a run's directory")
    .option("-o, --out <dir>", "folder to write to (default: report/ inside of it)")
    .option("--png", "write each figure as PNG too")
    .option("--json", "print what was written as one JSON document")
    .option("-q, --quiet", "print nothing")
    .addHelpText("after", examples)
    .action(async (folder, flags) => {
      const { report } = await import("../actions/report.ts");
      await report(folder, flags);
    });
}
