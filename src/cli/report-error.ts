/** Prints errors on stderr and gives their exit codes. */

import { CommanderError } from "commander";
import { exitCodes, SubbyteError } from "../errors.ts";
import { packageVersion } from "../runs/package-version.ts";
import { colorsFor } from "./view/colors.ts";
import { printable, printableLine } from "./view/printable.ts";

/** Where and how errors are printed. */
export interface ErrorOutput {
  readonly stream: { readonly isTTY?: boolean; write(text: string): unknown };
  /** Print the stack and the causes of expected errors too. */
  readonly debug?: boolean;
}

function stackWithCauses(error: Error): string {
  const stack = error.stack ?? `${error.name}: ${error.message}`;
  return error.cause instanceof Error ? `${stack}\ncaused by ${stackWithCauses(error.cause)}` : stack;
}

/** As the error describes itself. A line break may come from a name, so that what follows it is indented. */
function described({ where, message, remedy }: SubbyteError): string {
  const indented = (text: string) => printable(text).replaceAll(/\n(?! )/g, "\n  ");
  const head = where === undefined ? indented(message) : `${printableLine(where)}: ${indented(message)}`;
  return remedy === undefined ? head : `${head}\n  ${indented(remedy)}`;
}

/**
 * Prints an error and returns the exit code that it stands for.
 *
 * A SubbyteError is printed as it describes itself. Commander has printed its own errors before it throws them. Everything
 * else is a bug, which is printed with its stack.
 */
export function reportError(error: unknown, output: ErrorOutput): number {
  const { stream, debug = false } = output;
  const colors = colorsFor(stream);
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof SubbyteError) {
    const color = error.exitCode === exitCodes.interrupted ? colors.yellow : colors.red;
    const word = error.exitCode === exitCodes.interrupted ? "stopped" : "error";
    stream.write(`${color(`${word}: ${described(error)}`)}\n`);
    if (debug) stream.write(`${colors.dim(printable(stackWithCauses(error)))}\n`);
    return error.exitCode;
  }
  stream.write(
    `${colors.red(`error: internal error, a bug in subbyte ${packageVersion()} (Node.js ${process.version}). Please report it with:`)}\n`,
  );
  stream.write(`${printable(error instanceof Error ? stackWithCauses(error) : `thrown: ${String(error)}`)}\n`);
  return exitCodes.failure;
}
