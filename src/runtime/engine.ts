/**
 * The interface of an engine: sessions made from ONNX bytes, and runs that read and write given buffers. The
 * implementations (node/node.ts, web.ts) are the only files that know which ONNX Runtime there is.
 */
import type { Tensor } from "../ir/tensor.ts";
import type { TensorType } from "../ir/types.ts";
import type { Target } from "../ops/definition.ts";

/** Engines, which execute graphs. */
export const devices = ["cpu", "webgpu", "cuda"] as const;
/** The device of an engine. */
export type Device = (typeof devices)[number];

/** The devices that can be requested; `auto` takes the first that works: CUDA, WebGPU if it is faster than the CPU, the CPU. */
export const deviceChoices = [...devices, "auto"] as const;
/** A device, or `auto` for the fastest that works. */
export type DeviceChoice = (typeof deviceChoices)[number];

/** Threads, device and cache of an engine. */
export interface EngineOptions {
  /** Threads within an operator; default 0: as many as the machine has cores. */
  readonly threads?: number;
  /** Default `cpu`. */
  readonly device?: Device;
  /** Folder that keeps optimised graphs for other processes; absent: none. In Node.js, on the CPU. */
  readonly modelCache?: string;
  /** The path prefix of ONNX Runtime's profile; absent: the profiler is off. */
  readonly profilePrefix?: string;
}

/** A tensor in the memory of the engine's device. */
export interface DeviceTensor extends TensorType {
  /** Copies it to the host. @throws RuntimeError when the engine fails. */
  read(): Promise<Tensor>;
  /** Gives its memory back; it must not be used any more. */
  release(): void;
}

/** A compiled graph that an engine executes. */
export interface EngineSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Runs the graph once.
   *
   * @param feeds Every input, from the host or on the device.
   * @param fetches The outputs wanted on the host; each is written into the tensor given for it. Its buffer may be that of
   * a feed only where the graph has read that input before it makes the output (compile/passes/in-place.ts).
   * @returns The outputs that the session keeps on the device, by name: the caller's, to be released.
   * @throws RuntimeError when the engine fails.
   */
  run(
    feeds: Readonly<Record<string, Tensor | DeviceTensor>>,
    fetches: Readonly<Record<string, Tensor>>,
  ): Promise<Readonly<Record<string, DeviceTensor>>>;
  release(): Promise<void>;
}

/** Options of a session. */
export interface SessionOptions {
  /** Outputs that stay on the device, for engines that can keep tensors there; default none. */
  readonly kept?: readonly string[];
  /**
   * Whether the engine executes the graph's own operators, without rewriting them; default false. Simulations set it.
   * Otherwise the engine may turn the nodes between QuantizeLinear and DequantizeLinear into integer operators, repeats a
   * DequantizeLinear for each consumer, and merges equal nodes, some of which are computed twice on purpose
   * (compile/passes/recompute.ts).
   */
  readonly disableGraphRewrites?: boolean;
  /**
   * Whether outputs are needed only in the tensors given for them; default false. The engine may then skip returning
   * them, which otherwise can cost a copy of each.
   */
  readonly skipOutputCopy?: boolean;
}

/** Something that executes ONNX graphs. */
export interface Engine {
  readonly name: string;
  /** Of ONNX Runtime, where it says so. */
  readonly version?: string;
  readonly device: Device;
  /** Bytes that graphs can still have; absent where nobody can say. */
  readonly freeMemory?: () => number;
  /** Copies a tensor to the device; absent where tensors cannot stay there between runs. */
  readonly keep?: (tensor: Tensor) => Promise<DeviceTensor>;
  /** @throws RuntimeError when the engine refuses the model. */
  createSession(model: Uint8Array, options?: SessionOptions): Promise<EngineSession>;
  /** The best target that this engine has been seen to execute correctly. */
  target(): Promise<Target>;
}
