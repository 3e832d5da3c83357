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
  /** A lost terminal (SIGHUP). */
  hungUp: 129,
  /** Ctrl-C (SIGINT). */
  interrupted: 130,
  /** A request to end (SIGTERM), as of a batch system. */
  terminated: 143,
} as const;

/** The signals that ask a run to save and to end. */
export type StopSignal = "SIGHUP" | "SIGINT" | "SIGTERM";

/** Returns the exit code after a signal: 128 and the signal's number. */
export function exitCodeOf(signal: StopSignal): number {
  return { SIGHUP: exitCodes.hungUp, SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated }[signal];
}

/** The location, remedy and cause of an error. */
export interface ErrorDetails {
  /** The location: `file.yaml:3:7`, `node Conv "layer1.conv1"`, `key quantization.bits`. */
  readonly where?: string;
  /** The remedy for the user, as an imperative sentence. */
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

/** An invalid configuration, flag or argument, which the user can correct. */
export class ConfigError extends SubbyteError {
  readonly code = "CONFIG";
  readonly exitCode = exitCodes.usage;
}

/** A plugin that cannot be loaded, or that defines a name a second time. */
export class PluginError extends SubbyteError {
  readonly code = "PLUGIN";
  readonly exitCode = exitCodes.usage;
}

/** A file that is missing, truncated, or not what its name says. */
export class FileFormatError extends SubbyteError {
  readonly code = "FILE_FORMAT";
  readonly exitCode = exitCodes.failure;
}

/** A file of a run or a study whose content is not what was written: damaged, edited, or of another run. */
export class DamagedFileError extends FileFormatError {}

/** Reading or writing failed: no such file, no permission, no space, no network. */
export class InputOutputError extends SubbyteError {
  readonly code = "INPUT_OUTPUT";
  readonly exitCode = exitCodes.failure;
}

/** A graph that breaks a rule: shapes that contradict, a value without a producer, a cycle. */
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

/** A run of the engine that met NaN where a number was to be an index: the look-up of a quantizer. */
export class NotANumberError extends RuntimeError {}

/** Why a training diverged, as far as its last sound state tells. */
export type DivergenceReason =
  /** Parameters hold NaN or infinite values before the first step. */
  | "start"
  /** A sample or a target holds NaN or infinite values. */
  | "data"
  /** The scale of a quantizer has reached its minimum. */
  | "scale"
  /** The values overflow with the parameters that the training starts from. */
  | "forward"
  /** The updates are too large. */
  | "learningRate";

/** The first value that was not finite. */
export interface DivergenceOrigin {
  readonly kind: "weight" | "scale" | "statistic" | "data" | "target" | "output" | "gradient" | "loss";
  /** The node or parameter, as errors show it; empty for the data, the targets and the loss. */
  readonly name: string;
  /** A scale that is finite, but has fallen to the least value that it may have. */
  readonly isCollapsed?: true;
}

/** The circumstances of a training that diverged. */
export interface DivergenceDetails extends ErrorDetails {
  /** The training step that failed, counted from 1; 0: before the first. */
  readonly step: number;
  /** Counted from 1. */
  readonly epoch: number;
  readonly reason: DivergenceReason;
  /** Absent where no value could be found. */
  readonly origin?: DivergenceOrigin;
  /** A smaller learning rate to try; absent where it is not to blame. */
  readonly suggestedLearningRate?: number;
}

/** A loss or a parameter became NaN or infinite in a training; no checkpoint holds such values. */
export class DivergenceError extends SubbyteError {
  readonly code = "DIVERGED";
  readonly exitCode = exitCodes.failure;
  readonly step: number;
  readonly epoch: number;
  readonly reason: DivergenceReason;
  readonly origin: DivergenceOrigin | undefined;
  readonly suggestedLearningRate: number | undefined;

  constructor(message: string, details: DivergenceDetails) {
    super(message, details);
    this.step = details.step;
    this.epoch = details.epoch;
    this.reason = details.reason;
    this.origin = details.origin;
    this.suggestedLearningRate = details.suggestedLearningRate;
  }
}

/** A training was stopped at a finding that is certain (`--stop-on-fault`); a checkpoint was written before this was thrown. */
export class FaultError extends SubbyteError {
  readonly code = "FAULT";
  readonly exitCode = exitCodes.failure;
}

/** The user or the system asked to stop; a checkpoint was written before this was thrown. */
export class InterruptedError extends SubbyteError {
  readonly code = "INTERRUPTED";
  readonly exitCode: number;

  /** @param signal The signal that asked; a program that stops a job itself counts as Ctrl-C. */
  constructor(message: string, details: ErrorDetails = {}, signal: StopSignal = "SIGINT") {
    super(message, details);
    this.exitCode = exitCodeOf(signal);
  }
}
