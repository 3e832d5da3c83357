/** Reads fuzzed inputs in a watched process: one that takes too long or too much memory is ended, and the next is read. */

import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formats as known } from "./formats/index.ts";
import { type FuzzResult, fuzzResultSchema } from "./protocol.ts";

/** What one input may take. */
export interface FuzzLimits {
  readonly seconds: number;
  readonly bytes: number;
}

/** 10 s and 2 GB. */
export const fuzzLimits: FuzzLimits = { seconds: 10, bytes: 2e9 };

/** The inputs to read: `count` of each format, from number `from` of a seed. */
export interface FuzzOrder {
  readonly formats: readonly string[];
  readonly seed: number;
  readonly from?: number;
  readonly count: number;
}

const child = join(import.meta.dirname, "child.ts");

/** Reads inputs of the formats in turn and tells how each ended. */
export async function fuzz(order: FuzzOrder, limits: FuzzLimits = fuzzLimits): Promise<FuzzResult[]> {
  const { formats, from = 0, count } = order;
  const to = (from + count) * formats.length;
  const folder = mkdtempSync(join(tmpdir(), "subbyte-fuzz-"));
  const results: FuzzResult[] = [];
  try {
    for (const { name, prepare } of known) if (formats.includes(name)) await prepare?.(folder);
    for (let next = from * formats.length; next < to; ) {
      const ended = await readUntilStopped(order, folder, next, to, limits);
      results.push(...ended);
      next += ended.length;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return results;
}

/** Reads inputs until all are read, or one had to be stopped, which is the last of the results. */
function readUntilStopped(
  { formats, seed }: FuzzOrder,
  folder: string,
  from: number,
  to: number,
  limits: FuzzLimits,
): Promise<FuzzResult[]> {
  return new Promise((resolve, reject) => {
    const results: FuzzResult[] = [];
    const process = fork(child, {
      execArgv: ["--import", "tsx", "--expose-gc", `--max-old-space-size=${Math.ceil(limits.bytes / 2 ** 20)}`],
      env: { ...environment, TSX_DISABLE_CACHE: "1", ORT_DISABLE_TELEMETRY: "1" },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let errors = "";
    process.stderr?.on("data", (part) => {
      errors = `${errors}${part}`.slice(-2000);
    });
    let isReady = false;
    let since = Date.now();
    let stopped: "hang" | "memory" | undefined;
    const watch = setInterval(() => {
      if (!isReady || stopped !== undefined) return;
      if (residentBytes(process) > limits.bytes) stopped = "memory";
      else if (Date.now() - since > limits.seconds * 1000) stopped = "hang";
      if (stopped !== undefined) process.kill("SIGKILL");
    }, 50);
    process.on("message", (message) => {
      since = Date.now();
      if (message === "ready") {
        isReady = true;
        process.send({ formats, seed, from, to, folder });
        return;
      }
      results.push(fuzzResultSchema.parse(message));
      if (from + results.length === to) {
        process.disconnect();
        process.kill("SIGKILL");
      }
    });
    process.on("error", reject);
    // Not "close": a service of the loader may hold the process's stderr open.
    let isOver = false;
    const end = () => {
      if (!isOver || process.connected) return;
      clearInterval(watch);
      const position = from + results.length;
      if (!isReady) reject(new Error(`the reading process did not start: ${errors}`));
      else if (position === to) resolve(results);
      else {
        // A process that ends by itself ran out of memory, or met what no handler catches.
        const kind = stopped ?? (/heap out of memory/i.test(errors) ? "memory" : "defect");
        const milliseconds = Date.now() - since;
        const format = formats[position % formats.length] ?? "";
        const index = Math.floor(position / formats.length);
        resolve([...results, { format, index, kind, text: errors, milliseconds, outside: [], control: false }]);
      }
    };
    process.on("disconnect", end);
    process.on("exit", () => {
      isOver = true;
      process.stderr?.destroy();
      end();
    });
  });
}

const environment = process.env;

/** The memory that a process holds, where the system tells. */
function residentBytes({ pid }: ChildProcess): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
