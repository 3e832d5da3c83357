/** ONNX Runtime in a browser: as WebAssembly on the CPU, or on the GPU through WebGPU. */
import type { Target } from "../ops/definition.ts";
import { DeviceMemory } from "./device-memory.ts";
import type { Engine, EngineSession, SessionOptions } from "./engine.ts";
import { type OnnxRuntime, openSession } from "./onnx-runtime.ts";
import { probeTarget, probeWebGpuTarget } from "./probe.ts";

export type { OnnxRuntime } from "./onnx-runtime.ts";

/** Options of an engine in a browser. */
export interface WebEngineOptions {
  /** Default `cpu`, which is WebAssembly; its threads are those of `ort.env.wasm.numThreads`. */
  readonly device?: "cpu" | "webgpu";
}

/**
 * The engine of a browser. Where ONNX Runtime finds its WebAssembly file (`ort.env.wasm.wasmPaths`) is the page's to say.
 *
 * @param runtime The module `onnxruntime-web/webgpu`, or `onnxruntime-web/wasm` where only the CPU is wanted.
 * @example
 * // In a page: import * as ort from "onnxruntime-web/webgpu"; const engine = start(ort);
 * const start = (ort: OnnxRuntime) => webEngine(ort, { device: "webgpu" });
 * console.log(typeof start); // function
 */
export function webEngine(runtime: OnnxRuntime, { device = "cpu" }: WebEngineOptions = {}): Engine {
  const createSession = (
    model: Uint8Array,
    { kept = [], disableGraphRewrites = false }: SessionOptions = {},
  ): Promise<EngineSession> =>
    openSession(runtime, model, {
      session: { executionProviders: [device === "cpu" ? "wasm" : device] },
      kept,
      disableGraphRewrites,
      writesInPlace: false,
      read: (tensor) => memory.read(tensor),
    });
  const memory = new DeviceMemory(createSession);
  let target: Promise<Target> | undefined;
  const engine: Engine = {
    name: "onnxruntime-web",
    device,
    createSession,
    ...(device === "webgpu" ? { keep: (tensor) => memory.keep(tensor) } : {}),
    target: () => {
      target ??= device === "webgpu" ? probeWebGpuTarget(engine) : probeTarget(engine);
      return target;
    },
  };
  return engine;
}
