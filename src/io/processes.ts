/** Other processes and threads of this package, and whether a process is alive. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { systemErrorCode } from "./system-error.ts";

/** A file to run in a process of its own, and the flags that Node.js needs for it. */
export interface ProcessEntry {
  readonly file: string;
  readonly execArgv: readonly string[];
}

/** Whether the package runs from its TypeScript sources, as in tests, and not from what the compiler made of them. */
const runsFromSources = import.meta.url.endsWith(".ts");

/**
 * Finds the file next to a module that another process is to run: `worker.ts` from the sources, with the loader of
 * TypeScript, else `worker.js`.
 *
 * @example processEntry(import.meta.url, "worker")
 */
export function processEntry(moduleUrl: string, name: string): ProcessEntry {
  const file = fileURLToPath(entryUrl(moduleUrl, name));
  return {
    file,
    execArgv: runsFromSources ? ["--import", pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href] : [],
  };
}

/** Starts the file next to a module as a thread; see {@link processEntry}. */
export function startThread(moduleUrl: string, name: string): Worker {
  const url = entryUrl(moduleUrl, name);
  if (!runsFromSources) return new Worker(url);
  // A loader given as a flag takes no part in a thread's start, so the thread registers it itself.
  const folder = dirname(createRequire(import.meta.url).resolve("tsx/esm/api"));
  const loader = pathToFileURL(join(folder, "index.mjs")).href;
  return new Worker(`import("${loader}").then(({ register }) => (register(), import("${url.href}")))`, { eval: true });
}

function entryUrl(moduleUrl: string, name: string): URL {
  return new URL(`./${name}.${runsFromSources ? "ts" : "js"}`, moduleUrl);
}

/** Whether a process of this number runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === "EPERM";
  }
}
