/** Ctrl-C once: finish the step, save, say how to resume. Twice: stop at once. */

import { defined } from "../base/defined.ts";
import { exitCodeOf, InterruptedError, type StopSignal } from "../errors.ts";
import { note } from "./output.ts";

const stopSignals: readonly StopSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/**
 * Runs a job with a signal that the first SIGINT, SIGTERM or SIGHUP aborts. The job is expected to save what it has and to
 * throw an InterruptedError, which then has the exit code of that signal; a second one ends the process without waiting.
 */
export async function interruptible<Result>(
  job: (signal: AbortSignal) => Promise<Result>,
  notice: (text: string) => void = (text) => note("", text),
): Promise<Result> {
  const controller = new AbortController();
  let first: StopSignal | undefined;
  const handlers = stopSignals.map((name) => {
    const stop = () => {
      if (first !== undefined) process.exit(exitCodeOf(name));
      first = name;
      controller.abort();
      notice(
        name === "SIGINT"
          ? "stopping after this step; press Ctrl-C again to stop at once"
          : `stopping after this step (${name})`,
      );
    };
    process.on(name, stop);
    return { name, stop };
  });
  try {
    return await job(controller.signal);
  } catch (error) {
    throw error instanceof InterruptedError ? withSignal(error, first) : error;
  } finally {
    for (const { name, stop } of handlers) process.off(name, stop);
  }
}

function withSignal({ message, where, remedy, cause }: InterruptedError, signal?: StopSignal): InterruptedError {
  return new InterruptedError(message, { ...defined({ where, remedy }), cause }, signal);
}
