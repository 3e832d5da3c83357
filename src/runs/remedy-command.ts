/** The command that trains a run again with the remedy of a finding, as it is copied into a shell. */

import { existsSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { defined } from "../base/defined.ts";
import type { Finding, Remedy } from "./finding.ts";
import { runPaths } from "./folder.ts";

/** A run that a command repeats with changes. */
export interface RepeatedRun {
  readonly folder: string;
  /** What the run began with, as its configuration says. */
  readonly from?: string | undefined;
  /** How a path is shown; default: as it is. */
  readonly show?: (path: string) => string;
}

/**
 * Returns the command that trains a run again with changes, as a new run; undefined where there is nothing to change, or a
 * path holds characters that a line of text does not show, so that it could not be copied.
 *
 * @param name What the new run's name adds to that of the run.
 *
 * @example
 * const changes = { "train.optimizer.learningRate": 0.005 };
 * console.log(repeatCommand({ folder: "runs/a" }, changes, "slower"));
 * // subbyte train --config runs/a/config.yaml --set train.optimizer.learningRate=0.005 --name a-slower
 */
export function repeatCommand(run: RepeatedRun, changes: Remedy["changes"], name: string): string | undefined {
  const { folder, show = (path) => path } = run;
  const entries = Object.entries(changes);
  if (entries.length === 0) return undefined;
  const own = startOfRun(run);
  const start = changes.from === undefined ? own : changes.from;
  // A study's folder is its own: the new run of a trial goes where runs go.
  const parent = own === run.from ? show(dirname(folder)) : "runs";
  const words = [
    ["--config", show(runPaths(folder).config)],
    ...(typeof start === "string" ? [["--from", show(start)]] : []),
    ...entries.flatMap(([key, value]) =>
      key === "from" && value !== null ? [] : [["--set", `${key}=${String(value)}`]],
    ),
    ["--name", `${basename(folder)}-${name}`],
    ...(parent === "runs" ? [] : [["--out", parent]]),
  ];
  const command = ["subbyte", "train", ...words.flat().map(shellWord)].join(" ");
  return isVisible(command) ? command : undefined;
}

/** Returns the findings with the commands that apply their remedies to a run. */
export function withCommands(findings: readonly Finding[], run: RepeatedRun): Finding[] {
  return findings.map((finding) => ({
    ...finding,
    ...defined({ command: repeatCommand(run, finding.remedy?.changes ?? {}, finding.cause) }),
  }));
}

/** Returns the path of what a run began with; undefined for random weights. A trial names the float network of its study by a path inside of the study's folder. */
export function startOfRun({ folder, from }: RepeatedRun): string | undefined {
  if (from === undefined || isAbsolute(from) || existsSync(from)) return from;
  const inStudy = join(folder, "..", "..", from);
  return existsSync(inStudy) ? resolve(inStudy) : from;
}

/** A word that a shell takes as it is. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Whether a text is one line without characters that are not seen or not defined. */
function isVisible(text: string): boolean {
  return !/[\p{C}\p{Zl}\p{Zp}]/u.test(text);
}
