/** Starts workers as child processes and says how each one ended. */
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { processEntry } from "../../io/processes.ts";
import { stopRequest, type WorkerEvent, type WorkerJob, workerEventSchema } from "./worker-protocol.ts";

/** How a worker ended. */
export type WorkerEnd =
  | { readonly kind: "finished"; readonly accuracy: number; readonly peakMemoryBytes: number }
  | { readonly kind: "interrupted" }
  /** It reported an error: a full disk, an invalid configuration. */
  | { readonly kind: "failed"; readonly reason: string }
  /** It was killed or crashed; it may be restarted. */
  | { readonly kind: "died"; readonly reason: string };

/** A worker process. */
export interface RunningWorker {
  readonly pid: number | undefined;
  readonly end: Promise<WorkerEnd>;
  /** Asks it to save and to end. */
  stop(): void;
  /** Ends it at once; its last checkpoint remains. */
  kill(): void;
}

/** Starts a worker in a study's folder. Replaceable, so that a test can have workers that fail as it likes. */
export type Launch = (folder: string, job: WorkerJob, onEvent: (event: WorkerEvent) => void) => RunningWorker;

/** Characters of a worker's own words that are kept for the case that they are its last. */
const keptWords = 4000;

/** The file that a worker's process runs. */
const entry = processEntry(import.meta.url, "worker");

/** A worker as a child process of this one. */
export const launchWorker: Launch = (folder, job, onEvent) => {
  const child = fork(entry.file, [job.name], {
    cwd: folder,
    execArgv: [...entry.execArgv],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let words = "";
  let last: WorkerEvent | undefined;
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-keptWords);
  });
  child.on("message", (message) => {
    const event = workerEventSchema.safeParse(message);
    if (!event.success) return;
    last = event.data;
    onEvent(event.data);
  });
  const end = new Promise<WorkerEnd>((settle) => {
    child.on("error", (error) => settle({ kind: "died", reason: `the process could not be run: ${error.message}` }));
    // "close" and not "exit": by then all messages and words have come.
    child.on("close", (code, signal) => settle(endOf(last, code, signal, words)));
  });
  // The channel of a worker that died at once may close before the job is sent, which "close" reports.
  child.send(job, () => undefined);
  return {
    pid: child.pid,
    end,
    stop: () => {
      if (child.connected) child.send(stopRequest, () => undefined);
    },
    kill: () => {
      child.kill("SIGKILL");
    },
  };
};

/** How a worker ended, from its last event and, where it had no time to say, from how its process ended. */
export function endOf(
  last: WorkerEvent | undefined,
  code: number | null,
  signal: NodeJS.Signals | null,
  words: string,
): WorkerEnd {
  if (last?.kind === "finished") return last;
  if (last?.kind === "interrupted") return last;
  if (last?.kind === "failed") return last;
  if (/heap out of memory|heap limit|bad_alloc|Cannot allocate memory/i.test(words)) {
    return {
      kind: "died",
      reason: "it ran out of memory; run fewer trials at a time (--parallel) or smaller batches",
    };
  }
  const tail = words.trim().split("\n").at(-1);
  const said = tail === undefined || tail === "" ? "" : `; last output: ${tail}`;
  if (signal === "SIGKILL") {
    return { kind: "died", reason: `it was killed (SIGKILL), probably because the system ran out of memory${said}` };
  }
  if (signal !== null) return { kind: "died", reason: `it was ended by ${signal}${said}` };
  return { kind: "died", reason: `its process ended with code ${code} before it was done${said}` };
}

/** Whether the process of this number is the worker of this trial, as far as the system tells; undefined: it does not. */
export function isWorkerOf(pid: number, name: string): boolean | undefined {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words.includes(name) && words.includes(entry.file);
  } catch {
    return undefined;
  }
}
