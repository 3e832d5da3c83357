/**
 * Switches off ONNX Runtime's telemetry, which otherwise writes a lasting device id and an event for each session into the
 * user's cache folder and uploads them. It reads a variable of the process when the first session is opened; imported before
 * the library, this file has set it by then. A variable that the user has set stays as it is.
 */
import { isMainThread } from "node:worker_threads";

const variable = "ORT_DISABLE_TELEMETRY";
const wanted = process.env[variable] ?? "1";
process.env[variable] = wanted;

/** Milliseconds that the main thread has to answer; it answers in one, also while it waits. */
const patience = 5000;
const remedy = `Set ${variable}=1 for the process, or import subbyte in the main thread too.`;

let done: Promise<void> | undefined;

/** Resolves when the telemetry is off in the whole process; to be awaited before a session is opened. */
export function telemetryOff(): Promise<void> {
  done ??= isMainThread
    ? Promise.resolve()
    : setInMainThread().catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        process.emitWarning(`ONNX Runtime's telemetry may be on: ${reason}. ${remedy}`);
      });
  return done;
}

/** A worker thread has only a copy of the environment, which the library does not see. */
async function setInMainThread(): Promise<void> {
  const { Session } = await import("node:inspector");
  const session = new Session();
  session.connectToMainThread();
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error("the main thread does not answer")), patience);
      const expression = `process.env.${variable} ??= ${JSON.stringify(wanted)}`;
      session.post("Runtime.evaluate", { expression, returnByValue: true }, (error, answer) => {
        if (error !== null) reject(error);
        else if (answer.exceptionDetails !== undefined) reject(new Error(answer.exceptionDetails.text));
        else resolve();
      });
    });
  } finally {
    clearTimeout(timer);
    session.disconnect();
  }
}
