/** A measurement in a process of its own, with limits on its time and its memory. */

import { execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { MeasureOptions } from "./measure.ts";
import { type Description, type Part, partSchema, type Row } from "./row.ts";

/** The limits of one network's process. */
export interface Limits {
  readonly seconds: number;
  readonly megabytes: number;
}

const measureFile = fileURLToPath(new URL("measure.ts", import.meta.url));

/** Resident megabytes of a process and its children; 0 where they cannot be read. */
async function residentMegabytes(pid: number): Promise<number> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-e", "-o", "pgid=,rss="]);
    const sizes = stdout
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([group, size = 0]) => (group === pid ? [size] : []));
    return sizes.reduce((sum, size) => sum + size, 0) / 1024;
  } catch {
    return 0;
  }
}

/** Returns the row with a part that came later. */
function withPart(row: Part, part: Part): Part {
  return {
    ...row,
    ...part,
    ...(part.scores === undefined ? {} : { scores: { ...row.scores, ...part.scores } }),
    ...(part.milliseconds === undefined ? {} : { milliseconds: { ...row.milliseconds, ...part.milliseconds } }),
  };
}

/**
 * Measures one network. What it reported before an error, or a limit, is in the row.
 *
 * @returns undefined where the signal stopped it: nothing is to be written.
 */
export async function measureApart(
  folder: string,
  description: Description,
  options: MeasureOptions,
  limits: Limits,
  signal: AbortSignal,
): Promise<Row | undefined> {
  const start = performance.now();
  const passed = () => (performance.now() - start) / 1000;
  const args = [...process.execArgv, measureFile, folder, description.name, JSON.stringify(options)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  let ended: string | undefined;
  const kill = () => {
    // Its group: the compiler and Python run below it.
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, "SIGKILL");
  };
  signal.addEventListener("abort", kill);
  const watch = setInterval(async () => {
    const used = await residentMegabytes(child.pid ?? 0);
    if (passed() > limits.seconds) ended = `after the limit of ${limits.seconds} s`;
    else if (used > limits.megabytes) ended = `above the limit of ${limits.megabytes} MB`;
    if (ended !== undefined) kill();
  }, 1000);
  let [text, errors] = ["", ""];
  child.stdout.on("data", (chunk) => {
    text += String(chunk);
  });
  child.stderr.on("data", (chunk) => {
    errors = (errors + String(chunk)).slice(-2000);
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearInterval(watch);
  signal.removeEventListener("abort", kill);
  if (signal.aborted) return undefined;
  let part: Part = {};
  for (const line of text.split("\n")) {
    if (line.startsWith("{") && line.endsWith("}")) part = withPart(part, partSchema.parse(JSON.parse(line)));
  }
  if (ended === undefined && code !== 0) ended = `exit code ${code}: ${errors.trim().split("\n").slice(-3).join(" ")}`;
  const why = ended ?? part.ended;
  return { ...description, ...part, ...(why === undefined ? {} : { ended: why }), seconds: Math.round(passed()) };
}
