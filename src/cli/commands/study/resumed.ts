/** What `subbyte study --resume FOLDER --dry-run` prints: the state of each trial, without training any. */

import { readStudy } from "../../../study/result/read-study.ts";
import { percent } from "../../../study/result/summary.ts";
import { outputColumns, print, printJson } from "../../output.ts";
import { oneLine } from "../../view/printable.ts";
import { tableLines } from "../../view/table.ts";

/** Prints what a study's folder holds, and how many trials a resumed study would train. */
export async function printResumed(folder: string, isJson: boolean): Promise<void> {
  const { records } = await readStudy(folder);
  const open = records.filter(({ status }) => status === "unfinished" || status === "waiting" || status === "failed");
  if (isJson) {
    const trials = records.map(({ id, status, accuracy, reason }) => ({ id, status, accuracy, reason }));
    return printJson({ schemaVersion: 1, trials, toTrain: open.map(({ id }) => id) });
  }
  const rows = records.map(({ id, status, accuracy, reason }) => [
    id,
    status,
    accuracy === null ? null : percent(accuracy),
    oneLine(reason ?? ""),
  ]);
  print(...tableLines(["trial", "state", "accuracy", "reason"], rows, outputColumns()));
  print(`subbyte study --resume would train ${open.length} of ${records.length} trials.`);
}
