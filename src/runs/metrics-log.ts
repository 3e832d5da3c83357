/**
 * metrics.jsonl: one JSON object a line, appended as the run goes, the machine-readable record of what happened.
 *
 * Two runs of one seed write the same bytes, so times and speeds do not belong in here. A resumed run first cuts the
 * log back to its checkpoint's step: what was logged after that step will be logged again.
 */

import { closeSync, openSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { DamagedFileError, InputOutputError } from "../errors.ts";
import { describeWriteFailure, writeFileAtomic } from "../io/atomic-file.ts";
import { describeSystemError, systemErrorCode } from "../io/system-error.ts";

/** One line of the log. `step` counts optimizer steps from the run's start, so that it only ever rises. */
export interface MetricsRecord {
  readonly step: number;
  readonly [key: string]: string | number | boolean | null;
}

/** The open log of a run. Each record is in the operating system's hands when `append` returns, so a kill cannot lose it. */
export class MetricsLog {
  readonly file: string;
  private readonly descriptor: number;

  constructor(file: string) {
    this.file = file;
    try {
      this.descriptor = openSync(file, "a");
    } catch (cause) {
      throw describeWriteFailure(file, cause);
    }
  }

  append(record: MetricsRecord): void {
    for (const [key, value] of Object.entries(record)) {
      // JSON has no NaN and no infinity; JSON.stringify would write null, which reads as "not measured".
      if (typeof value === "number" && !Number.isFinite(value)) record = { ...record, [key]: String(value) };
    }
    this.appendLine(JSON.stringify(record));
  }

  /** Appends a record that is JSON already: an object with a number called `step`. */
  appendLine(json: string): void {
    const bytes = Buffer.from(`${json}\n`);
    try {
      let written = 0;
      while (written < bytes.length) written += writeSync(this.descriptor, bytes, written);
    } catch (cause) {
      throw new InputOutputError(
        `cannot append: ${describeSystemError(cause).reason}; the records before this one are kept`,
        {
          where: this.file,
          remedy: "Free some space and resume the run: an unfinished last line is cut off then.",
          cause,
        },
      );
    }
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

interface Line {
  readonly record: MetricsRecord;
  /** Offset of the first byte after the line. */
  readonly end: number;
}

function parseLine(text: string, file: string, number: number): MetricsRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DamagedFileError("not a line of JSON", { where: `${file}:${number}`, cause });
  }
  if (typeof value !== "object" || value === null || !("step" in value) || typeof value.step !== "number") {
    throw new DamagedFileError("expected an object with a number called step", { where: `${file}:${number}` });
  }
  return { ...value, step: value.step };
}

/** The finished lines of a log; a last line without its line break was cut short by a kill and is left out. */
function splitLines(bytes: Buffer, file: string): Line[] {
  const lines: Line[] = [];
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    const record = parseLine(bytes.toString("utf8", start, end), file, lines.length + 1);
    lines.push({ record, end: end + 1 });
    start = end + 1;
  }
  return lines;
}

async function readLog(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return Buffer.alloc(0);
    throw new InputOutputError(`cannot read the metrics: ${describeSystemError(cause).reason}`, { where: file, cause });
  }
}

/** The records of a log; none when there is no such file. */
export async function readMetrics(file: string): Promise<MetricsRecord[]> {
  return splitLines(await readLog(file), file).map((line) => line.record);
}

/** Cuts a log back to the records of steps up to and with `step`. Returns how many records were cut off. */
export async function truncateMetrics(file: string, step: number): Promise<number> {
  const bytes = await readLog(file);
  const lines = splitLines(bytes, file);
  const cut = lines.findIndex((line) => line.record.step > step);
  const kept = cut < 0 ? lines.length : cut;
  const end = kept === 0 ? 0 : (lines[kept - 1]?.end ?? 0);
  if (end < bytes.length) await writeFileAtomic(file, bytes.subarray(0, end));
  return lines.length - kept;
}
