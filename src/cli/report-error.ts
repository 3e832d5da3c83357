/** Prints errors on stderr and gives their exit codes. */

import { CommanderError } from "commander";
import { defined } from "../base/defined.ts";
import { exitCodes, InputOutputError, InterruptedError, SubbyteError } from "../errors.ts";
import { describeSystemError } from "../io/system-error.ts";
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

/** An error of the operating system that no one has worded yet: what was being done, and to which file. */
function systemError(error: unknown): InputOutputError | undefined {
  if (!(error instanceof Error && "code" in error && "syscall" in error)) return undefined;
  const { code, syscall } = error;
  // The system's codes are ENOSPC and the like; those of Node.js itself (ERR_…) indicate a wrong call, which is a bug.
  if (typeof code !== "string" || !/^E[A-Z\d]+$/.test(code)) return undefined;
  const path = "path" in error && typeof error.path === "string" ? error.path : undefined;
  const { reason, remedy } = describeSystemError(error);
  return new InputOutputError(`cannot ${String(syscall)}: ${reason}`, {
    ...defined({ where: path, remedy }),
    cause: error,
  });
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
    const isStop = error instanceof InterruptedError;
    const color = isStop ? colors.yellow : colors.red;
    const word = isStop ? "stopped" : "error";
    stream.write(`${color(`${word}: ${described(error)}`)}\n`);
    if (debug) stream.write(`${colors.dim(printable(stackWithCauses(error)))}\n`);
    return error.exitCode;
  }
  const system = systemError(error);
  if (system !== undefined) {
    stream.write(`${colors.red(`error: ${described(system)}`)}\n`);
    if (debug) stream.write(`${colors.dim(printable(stackWithCauses(system)))}\n`);
    return system.exitCode;
  }
  const { version, platform, arch } = process;
  const place = `subbyte ${packageVersion()} (Node.js ${version}, ${platform} ${arch})`;
  const wanted = "Please report the command, what it was given, and these lines:";
  stream.write(`${colors.red(`error: internal error, a bug in ${place}. ${wanted}`)}\n`);
  stream.write(`${printable(error instanceof Error ? stackWithCauses(error) : `thrown: ${String(error)}`)}\n`);
  return exitCodes.failure;
}
