/** What `subbyte report` does. */

import { print, printJson } from "../../output.ts";
import { noteReplaced } from "../../write-output.ts";
import type { ReportFlags } from "./report.ts";

/** Runs `subbyte report`. */
export async function reportAction(folder: string, flags: ReportFlags): Promise<void> {
  // The charts' library takes longer to load than everything that the help needs.
  const { writeReport } = await import("../../../report/write-report.ts");
  const { page, files, replaced } = await writeReport(folder, {
    ...(flags.out === undefined ? {} : { out: flags.out }),
    ...(flags.png === true ? { png: true } : {}),
  });
  noteReplaced(replaced);
  if (flags.json === true) return printJson({ schemaVersion: 1, page, files });
  if (flags.quiet === true) return;
  print(`${page} (and ${files.length - 1} files of figures and numbers next to it)`);
  if (flags.verbose === true) print(...files);
}
