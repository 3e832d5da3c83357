/** The files of each format: their names and bytes, and how to run them for a comparison. Nothing is written here. */
import type { QuantizedNetwork } from "../../compile/passes/quantize.ts";
import { ConfigError } from "../../errors.ts";
import { writeOnnx } from "../../onnx/write/write.ts";
import type { Engine } from "../../runtime/engine.ts";
import type { IntegerNetwork } from "../integer-network.ts";
import type { ConvertedRunner } from "../prove/verify.ts";
import { buildCProgram } from "./c/program.ts";
import { containerOf } from "./containers.ts";
import { buildIntGraph } from "./int/int.ts";
import { buildQdqGraph } from "./qdq.ts";
import { buildQonnxGraph, qonnxDomain } from "./qonnx.ts";
import { onnxRunner } from "./run-onnx.ts";
import { buildStateDict } from "./state-dict.ts";

export const formats = ["int", "qdq", "qcdq", "qonnx", "c", "state_dict"] as const;
export type Format = (typeof formats)[number];

export interface ConvertedFile {
  readonly name: string;
  readonly parts: readonly Uint8Array[];
  /** Of a C program: what its constants and its buffer take on a device. */
  readonly memory?: { readonly constantBytes: number; readonly arenaBytes: number };
}

export interface FileOptions {
  readonly batchSize: number;
  /** C only. */
  readonly arithmetic: "float" | "fixed";
  /** `int` only: weights in small types (default) or all in int8. */
  readonly packed: boolean;
}

/** The format of this name. @throws ConfigError listing the names that exist. */
export function formatNamed(name: string): Format {
  const format = formats.find((known) => known === name);
  if (format === undefined) {
    throw new ConfigError(`there is no format "${name}"`, {
      remedy: `Use one of: ${formats.join(", ")}, float, weights.`,
    });
  }
  return format;
}

export function filesOf(
  format: Format,
  source: QuantizedNetwork,
  network: IntegerNetwork,
  options: FileOptions,
): ConvertedFile[] {
  const { batchSize } = options;
  const text = (name: string, content: string): ConvertedFile => ({ name, parts: [new TextEncoder().encode(content)] });
  switch (format) {
    case "int":
      return [{ name: "model.int.onnx", parts: [writeOnnx(buildIntGraph(network, options))] }];
    case "qdq":
      return [{ name: "model.qdq.onnx", parts: [writeOnnx(buildQdqGraph(network, { batchSize, types: "native" }))] }];
    case "qcdq":
      return [{ name: "model.qcdq.onnx", parts: [writeOnnx(buildQdqGraph(network, { batchSize, types: "clip" }))] }];
    case "qonnx": {
      const bytes = writeOnnx(buildQonnxGraph(network, { batchSize }), { domains: { [qonnxDomain]: 1 } });
      return [{ name: "model.qonnx.onnx", parts: [bytes] }];
    }
    case "c": {
      const { source, header, constantBytes, arenaBytes } = buildCProgram(network, { arithmetic: options.arithmetic });
      return [{ ...text("network.c", source), memory: { constantBytes, arenaBytes } }, text("network.h", header)];
    }
    case "state_dict": {
      const { tensors, json, loader } = buildStateDict(source, network);
      return [
        { name: "state_dict.safetensors", parts: tensors },
        text("quantization.json", json),
        text("load_state_dict.py", loader),
      ];
    }
  }
}

/** A runner for the formats that ONNX Runtime executes; undefined for the others. */
export async function runnerOf(
  format: Format,
  network: IntegerNetwork,
  options: FileOptions,
  engine: Engine,
): Promise<ConvertedRunner | undefined> {
  const { batchSize } = options;
  if (format === "int") {
    const graph = buildIntGraph(network, { ...options, codes: true });
    return onnxRunner("onnx int", network, graph, engine, (tensor) => containerOf(tensor.form, tensor.name).offset);
  }
  if (format === "qdq" || format === "qcdq") {
    const types = format === "qdq" ? "native" : "clip";
    return onnxRunner(
      `onnx ${format}`,
      network,
      buildQdqGraph(network, { batchSize, types, codes: true }),
      engine,
      () => 0,
    );
  }
  return undefined;
}
