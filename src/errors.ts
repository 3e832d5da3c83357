/**
 * The one family of errors that subbyte throws on purpose.
 *
 * Every error says what was wrong, where (a file, a node, a key) and what to do about it, and carries a stable `code`
 * for programs and the exit code that the command line ends with. Anything else that is thrown is a defect of ours.
 */

/** Exit codes of the command line, documented in the README. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  unsupported: 3,
  targetMissed: 4,
  interrupted: 130,
} as const;

export interface ErrorDetails {
  /** Where it happened: `file.yaml:3:7`, `node Conv "layer1.conv1"`, `key quantization.bits`. */
  readonly where?: string;
  /** What the reader can do about it, as an imperative sentence. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/** Base class: catch this to catch every error that subbyte throws deliberately. */
export abstract class SubbyteError extends Error {
  abstract readonly code: string;
  abstract readonly exitCode: number;
  readonly where: string | undefined;
  readonly remedy: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.where = details.where;
    this.remedy = details.remedy;
  }

  /** The message as the command line prints it: where, what, and what to do. */
  describe(): string {
    const head = this.where === undefined ? this.message : `${this.where}: ${this.message}`;
    return this.remedy === undefined ? head : `${head}\n  ${this.remedy}`;
  }
}

/** A configuration, flag or argument that cannot be meant: the user can mend it. */
export class ConfigError extends SubbyteError {
  readonly code = "CONFIG";
  readonly exitCode = exitCodes.usage;
}

/** A file that is missing, truncated, or not what its name says. */
export class FileFormatError extends SubbyteError {
  readonly code = "FILE_FORMAT";
  readonly exitCode = exitCodes.failure;
}

/** Reading or writing failed: no such file, no permission, no space, no network. */
export class InputOutputError extends SubbyteError {
  readonly code = "INPUT_OUTPUT";
  readonly exitCode = exitCodes.failure;
}

/** A graph that breaks a rule: shapes that contradict, a value without a maker, a cycle. */
export class GraphError extends SubbyteError {
  readonly code = "GRAPH";
  readonly exitCode = exitCodes.failure;
}

/** A model or an operator that subbyte understands but cannot do this with. */
export class UnsupportedError extends SubbyteError {
  readonly code = "UNSUPPORTED";
  readonly exitCode = exitCodes.unsupported;
}

/** ONNX Runtime refused a graph or failed while running it. */
export class RuntimeError extends SubbyteError {
  readonly code = "RUNTIME";
  readonly exitCode = exitCodes.failure;
}

/** The user or the system asked to stop; a checkpoint was written before this was thrown. */
export class InterruptedError extends SubbyteError {
  readonly code = "INTERRUPTED";
  readonly exitCode = exitCodes.interrupted;
}
