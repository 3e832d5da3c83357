#!/usr/bin/env node
/** The executable `subbyte`. */

import { InputOutputError } from "../errors.ts";
import { describeSystemError } from "../io/system-error.ts";
import { run } from "./program.ts";
import { reportError } from "./report-error.ts";

// `subbyte … | head` closes the pipe early, which is no failure.
process.stdout.on("error", (cause: NodeJS.ErrnoException) => {
  if (cause.code === "EPIPE") process.exit();
  const { reason } = describeSystemError(cause);
  const error = new InputOutputError(`cannot write to the standard output: ${reason}`, { cause });
  process.exit(reportError(error, { stream: process.stderr }));
});
// A run must not end because nobody can read its progress any more: a lost terminal, a full disk, a closed pipe.
process.stderr.on("error", () => undefined);
process.on("uncaughtException", (error) => {
  process.exit(reportError(error, { stream: process.stderr }));
});

// The exit code is set and not forced, so that what was written to a pipe is not cut off.
const code = await run(process.argv.slice(2));
if (code !== 0) process.exitCode = code;
