/** Sessions of ONNX Runtime as an {@link EngineSession}: what its packages for Node.js and for browsers have in common. */
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from "onnxruntime-common";
import { NotANumberError, RuntimeError } from "../errors.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { DType, Shape } from "../ir/types.ts";
import type { DeviceTensor, EngineSession } from "./engine.ts";

/** The parts of the packages `onnxruntime-node` and `onnxruntime-web` that are used. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorConstructor;
}

/** An output that is asked for and never comes: the error that says so is the end of a run that went well. */
export interface RunEnd {
  readonly output: string;
  readonly isReached: (cause: unknown) => boolean;
}

/** Options of an ONNX Runtime session. */
export interface OrtSessionOptions {
  readonly session: InferenceSession.SessionOptions;
  /** Outputs that stay on the device. */
  readonly kept: readonly string[];
  readonly disableGraphRewrites: boolean;
  /** Absent: the engine hands every output over. */
  readonly end?: RunEnd;
  /** Whether a fetch's own buffer is written; else outputs come in buffers of the engine and are copied. */
  readonly writesInPlace: boolean;
  /** Copies a device tensor to the host. */
  readonly read: (tensor: DeviceTensor) => Promise<Tensor>;
}

/** A tensor that ONNX Runtime holds in the device's memory. */
export class HeldTensor implements DeviceTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  /** ONNX Runtime's own object. */
  readonly held: OrtTensor;
  readonly #read: (tensor: DeviceTensor) => Promise<Tensor>;

  constructor(held: OrtTensor, dtype: DType, read: (tensor: DeviceTensor) => Promise<Tensor>) {
    this.dtype = dtype;
    this.shape = held.dims;
    this.held = held;
    this.#read = read;
  }

  read(): Promise<Tensor> {
    return this.#read(this);
  }

  release(): void {
    this.held.dispose();
  }
}

/** No fusing of quantization and no merging of equal nodes. */
const withoutRewriting = {
  session: { disable_quant_qdq: "1" },
  optimization: { disable_specified_optimizers: "CommonSubexpressionElimination" },
};

/** @throws RuntimeError when ONNX Runtime refuses the model. */
export async function openSession(
  runtime: OnnxRuntime,
  model: Uint8Array,
  options: OrtSessionOptions,
): Promise<EngineSession> {
  const { kept, end, writesInPlace, read } = options;
  const session = await runtime.InferenceSession.create(model, {
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
    // The engine's plan of where values lie is a block of its own, besides what the first run took: it doubles the peak.
    enableMemPattern: false,
    ...(options.disableGraphRewrites ? { extra: withoutRewriting } : {}),
    ...options.session,
    ...(kept.length === 0
      ? {}
      : { preferredOutputLocation: Object.fromEntries(kept.map((name) => [name, "gpu-buffer" as const])) }),
  }).catch((cause: unknown) => {
    throw new RuntimeError(`ONNX Runtime refused the model: ${messageOf(cause)}`, { cause });
  });
  const wrap = wrapper(runtime);
  const keepsAny = kept.length > 0;
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames.filter((name) => name !== end?.output),
    async run(feeds, fetches) {
      const inputs: Record<string, OrtTensor> = {};
      for (const [name, feed] of Object.entries(feeds)) inputs[name] = wrap(feed);
      const outputs: Record<string, OrtTensor | null> = {};
      for (const [name, fetch] of Object.entries(fetches)) outputs[name] = writesInPlace ? wrap(fetch) : null;
      for (const name of kept) outputs[name] = null;
      if (end !== undefined) outputs[end.output] = null;
      const results = await session.run(inputs, outputs).catch((cause: unknown): InferenceSession.ReturnType => {
        if (end?.isReached(cause) === true) return {};
        throw failureOf(cause);
      });
      if (!writesInPlace) for (const [name, fetch] of Object.entries(fetches)) copyInto(fetch, name, results[name]);
      return keepsAny ? heldOf(results, kept, read) : {};
    },
    release: () => session.release(),
  };
}

function heldOf(
  results: InferenceSession.ReturnType,
  kept: readonly string[],
  read: OrtSessionOptions["read"],
): Record<string, HeldTensor> {
  const held: Record<string, HeldTensor> = {};
  for (const name of kept) {
    const tensor = results[name];
    if (tensor === undefined || !("dispose" in tensor) || tensor.type === "string") {
      throw new RuntimeError(`ONNX Runtime kept no output "${name}"`);
    }
    held[name] = new HeldTensor(tensor, dtypeOf(tensor), read);
  }
  return held;
}

function dtypeOf({ type }: OrtTensor): DType {
  if (type === "float32" || type === "int32") return type;
  throw new RuntimeError(`a tensor of type ${type} is not kept on a device`);
}

/** Wrapping a buffer costs more than a lookup, and the same buffers come back at every step. */
function wrapper({ Tensor: Constructor }: OnnxRuntime): (tensor: Tensor | DeviceTensor) => OrtTensor {
  const wrapped = new WeakMap<Tensor, OrtTensor>();
  return (tensor) => {
    if (tensor instanceof HeldTensor) return tensor.held;
    if (!("data" in tensor)) throw new RuntimeError("a tensor of another engine's device cannot be fed to this one");
    const known = wrapped.get(tensor);
    if (known !== undefined) return known;
    const made = toOrt(Constructor, tensor);
    wrapped.set(tensor, made);
    return made;
  };
}

/** Of a run that ended early. Our own look-ups are out of range only where NaN, made an integer, is the index. */
function failureOf(cause: unknown): RuntimeError {
  const message = messageOf(cause);
  const place = /Name:'([^']*\b(?:LookUp|SumByIndex)_[^']*)'/.exec(message)?.[1];
  if (place === undefined) return new RuntimeError(`ONNX Runtime failed: ${message}`, { cause });
  return new NotANumberError("a quantizer received NaN: the training has diverged", {
    where: `node "${place}"`,
    remedy: "Lower the learning rate, warm it up, or use more bits; an earlier checkpoint holds finite values.",
    cause,
  });
}

/** @throws RuntimeError when the output is of another type than the tensor made for it. */
function copyInto({ data }: Tensor, name: string, result: InferenceSession.ReturnType[string] | undefined): void {
  const source = result?.data;
  if (data instanceof Float32Array && source instanceof Float32Array) data.set(source);
  else if (data instanceof Int32Array && source instanceof Int32Array) data.set(source);
  else if (data instanceof Uint8Array && source instanceof Uint8Array) data.set(source);
  else if (data instanceof Int8Array && source instanceof Int8Array) data.set(source);
  else if (data instanceof BigInt64Array && source instanceof BigInt64Array) data.set(source);
  else throw new RuntimeError(`output "${name}" came as ${result?.type ?? "nothing"} instead of the requested type`);
}

/** Returns the engine's own error message. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function toOrt(Constructor: TensorConstructor, { dtype, shape, data }: Tensor): OrtTensor {
  if (data instanceof Float32Array) return new Constructor("float32", data, shape);
  if (data instanceof BigInt64Array) return new Constructor("int64", data, shape);
  if (data instanceof Int32Array) return new Constructor("int32", data, shape);
  if (data instanceof Int8Array && dtype === "int8") return new Constructor("int8", data, shape);
  if (data instanceof Uint8Array && dtype === "uint8") return new Constructor("uint8", data, shape);
  if (data instanceof Uint8Array && dtype === "bool") return new Constructor("bool", data, shape);
  if (data instanceof Float64Array) return new Constructor("float64", data, shape);
  if (data instanceof Int16Array) return new Constructor("int16", data, shape);
  if (data instanceof Uint32Array) return new Constructor("uint32", data, shape);
  if (data instanceof BigUint64Array) return new Constructor("uint64", data, shape);
  if (data instanceof Uint16Array && dtype === "uint16") return new Constructor("uint16", data, shape);
  throw new RuntimeError(`a tensor of type ${dtype} cannot cross to ONNX Runtime`, {
    remedy: "Pass it in an eight-bit container, or as a constant of the graph.",
  });
}
