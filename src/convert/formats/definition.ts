/** An output format of `convert`: its name, the files that it writes, and how they run where ONNX Runtime executes them. */
import type { QuantizedNetwork } from "../../compile/sites.ts";
import type { Engine } from "../../runtime/engine.ts";
import type { IntegerNetwork } from "../integer-network.ts";
import type { ConvertedRunner } from "../prove/verify.ts";

/** The name and the bytes of a file. */
export interface ConvertedFile {
  readonly name: string;
  readonly parts: readonly Uint8Array[];
  /** Of a C program: bytes of its constants and of its buffer on a device. */
  readonly memory?: { readonly constantBytes: number; readonly arenaBytes: number };
}

/** Options of the written files. */
export interface FileOptions {
  readonly batchSize: number;
  /** C only. */
  readonly arithmetic: "float" | "fixed";
  /** `int` only: weights in small types (default) or all in int8. */
  readonly packed: boolean;
}

/** One output format; formats/files.ts lists them. */
export interface FormatDefinition {
  /** As `--format` gives it. */
  readonly name: string;
  /** Whether the runtime sums floats in an order of its own, so that codes on a border may differ. */
  readonly sumsFloats?: true;
  /**
   * The contents of its files. Nothing is written here.
   *
   * @param source The network that was converted.
   * @throws ConfigError where a format needs the source and there is none.
   */
  files(network: IntegerNetwork, options: FileOptions, source: QuantizedNetwork | undefined): readonly ConvertedFile[];
  /** A runner for comparisons; absent where ONNX Runtime does not execute the format. */
  runner?(network: IntegerNetwork, options: FileOptions, engine: Engine): Promise<ConvertedRunner>;
}

/** A file of text. */
export function textFile(name: string, content: string): ConvertedFile {
  return { name, parts: [new TextEncoder().encode(content)] };
}
