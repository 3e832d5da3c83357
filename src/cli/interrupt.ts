/** Ctrl-C once: finish the step, save, say how to resume. Twice: stop at once. */

import { exitCodes } from "../errors.ts";
import { note } from "./output.ts";

/**
 * Runs a job with a signal that the first SIGINT or SIGTERM aborts. The job is expected to save what it has and to
 * throw an InterruptedError; a second Ctrl-C ends the process without waiting for that.
 */
export async function interruptible<Result>(
  job: (signal: AbortSignal) => Promise<Result>,
  notice: (text: string) => void = (text) => note("", text),
): Promise<Result> {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort();
    notice("stopping after this step; press Ctrl-C again to stop at once");
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    return await job(controller.signal);
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}
