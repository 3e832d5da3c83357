/** What `subbyte report` does. */
import { writeReport } from "../../report/write-report.ts";

/** The flags of `subbyte report`. */
export interface ReportFlags {
  readonly out?: string;
  readonly png?: true;
  readonly json?: true;
  readonly quiet?: true;
}

/** Writes the report of a study or of a run and prints where it is. */
export async function report(folder: string, flags: ReportFlags): Promise<void> {
  const { page, files } = await writeReport(folder, {
    ...(flags.out === undefined ? {} : { out: flags.out }),
    ...(flags.png === true ? { png: true } : {}),
  });
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ schemaVersion: 1, page, files }, undefined, 2)}\n`);
  } else if (flags.quiet !== true) {
    process.stdout.write(`${page} (and ${files.length - 1} files of figures and numbers beside it)\n`);
  }
}
