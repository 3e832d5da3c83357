/** The one place where an error becomes words on stderr and an exit code. */

import { CommanderError } from "commander";
import { exitCodes, SubbyteError } from "../errors.ts";
import { colorsFor } from "./view/colors.ts";
import { printable } from "./view/printable.ts";

/** Where and how errors are printed. */
export interface ErrorOutput {
  readonly stream: { readonly isTTY?: boolean; write(text: string): unknown };
  /** Print the stack, and the causes, of errors that are the user's to mend too. */
  readonly debug?: boolean;
}

function stackWithCauses(error: Error): string {
  const stack = error.stack ?? `${error.name}: ${error.message}`;
  return error.cause instanceof Error ? `${stack}\ncaused by ${stackWithCauses(error.cause)}` : stack;
}

/**
 * Prints an error and returns the exit code that it stands for.
 *
 * A SubbyteError is printed as it describes itself. Commander has printed its own by the time it throws. Anything else
 * was not foreseen, so it is called what it is, with the stack that whoever mends it will need.
 */
export function reportError(error: unknown, output: ErrorOutput): number {
  const { stream, debug = false } = output;
  const colors = colorsFor(stream);
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof SubbyteError) {
    const color = error.exitCode === exitCodes.interrupted ? colors.yellow : colors.red;
    const word = error.exitCode === exitCodes.interrupted ? "stopped" : "error";
    stream.write(`${color(`${word}: ${printable(error.describe())}`)}\n`);
    if (debug) stream.write(`${colors.dim(printable(stackWithCauses(error)))}\n`);
    return error.exitCode;
  }
  stream.write(
    `${colors.red("error: this is a defect of subbyte, not of what you gave it. Please report it with:")}\n`,
  );
  stream.write(`${printable(error instanceof Error ? stackWithCauses(error) : `thrown: ${String(error)}`)}\n`);
  return exitCodes.failure;
}
