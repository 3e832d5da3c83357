#!/usr/bin/env node
/** The executable `subbyte`. */

import { run } from "./program.ts";
import { reportError } from "./report-error.ts";

// `subbyte … | head` closes the pipe early, which is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  throw error;
});
process.on("uncaughtException", (error) => {
  process.exit(reportError(error, { stream: process.stderr }));
});

// The exit code is set and not forced, so that what was written to a pipe is not cut off.
const code = await run(process.argv.slice(2));
if (code !== 0) process.exitCode = code;
