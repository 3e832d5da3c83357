/** ONNX Runtime in Node.js, on the CPU. */
import * as ort from "onnxruntime-node";
import { RuntimeError } from "../errors.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { DType } from "../graph/types.ts";
import type { Target } from "../ops/operator.ts";
import type { Engine, EngineOptions, EngineSession } from "./engine.ts";
import { probeTarget } from "./probe.ts";

const engines = new Map<string, Engine>();

/** The CPU engine; engines with equal options are one. */
export function nodeEngine(options: EngineOptions = {}): Engine {
  const key = JSON.stringify(options);
  const known = engines.get(key);
  if (known !== undefined) return known;
  let target: Promise<Target> | undefined;
  const engine: Engine = {
    name: "onnxruntime-node",
    createSession: (model) => createSession(model, options),
    target: () => {
      target ??= probeTarget(engine);
      return target;
    },
  };
  engines.set(key, engine);
  return engine;
}

async function createSession(model: Uint8Array, options: EngineOptions): Promise<EngineSession> {
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
    ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
  }).catch((cause: unknown) => {
    throw new RuntimeError(`ONNX Runtime refused the model: ${messageOf(cause)}`, { cause });
  });
  // Wrapping a buffer costs more than a lookup, and the same buffers come back at every step.
  const wrapped = new WeakMap<Tensor, ort.Tensor>();
  const wrap = (tensor: Tensor): ort.Tensor => {
    const known = wrapped.get(tensor);
    if (known !== undefined) return known;
    const made = toOrt(tensor);
    wrapped.set(tensor, made);
    return made;
  };
  const wrapAll = (tensors: Readonly<Record<string, Tensor>>): Record<string, ort.Tensor> =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, wrap(tensor)]));
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    async run(feeds, fetches) {
      await session.run(wrapAll(feeds), wrapAll(fetches)).catch((cause: unknown) => {
        throw new RuntimeError(`ONNX Runtime failed: ${messageOf(cause)}`, { cause });
      });
    },
    release: () => session.release(),
  };
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function toOrt({ dtype, shape, data }: Tensor): ort.Tensor {
  if (data instanceof Float32Array) return new ort.Tensor("float32", data, shape);
  if (data instanceof BigInt64Array) return new ort.Tensor("int64", data, shape);
  if (data instanceof Int32Array) return new ort.Tensor("int32", data, shape);
  if (data instanceof Int8Array && dtype === "int8") return new ort.Tensor("int8", data, shape);
  if (data instanceof Uint8Array && dtype === "uint8") return new ort.Tensor("uint8", data, shape);
  if (data instanceof Uint8Array && dtype === "bool") return new ort.Tensor("bool", data, shape);
  if (data instanceof Float64Array) return new ort.Tensor("float64", data, shape);
  if (data instanceof Int16Array) return new ort.Tensor("int16", data, shape);
  if (data instanceof Uint32Array) return new ort.Tensor("uint32", data, shape);
  if (data instanceof BigUint64Array) return new ort.Tensor("uint64", data, shape);
  if (data instanceof Uint16Array && dtype === "uint16") return new ort.Tensor("uint16", data, shape);
  throw new RuntimeError(`a tensor of type ${dtype satisfies DType} cannot cross to ONNX Runtime`, {
    remedy: "Pass it in an eight-bit container, or as a constant of the graph.",
  });
}
