/**
 * What subbyte needs of an engine: sessions made from ONNX bytes, and runs that read and write given buffers. The
 * implementations (node.ts; later a browser's) are the only files that import ONNX Runtime.
 */
import type { NumericArray, Tensor } from "../graph/tensor.ts";
import type { Target } from "../ops/operator.ts";

export interface EngineOptions {
  /** Threads within an operator; undefined: as many as the machine has cores. */
  readonly threads?: number;
}

/** Typed arrays that can cross to the engine. */
export type EngineArray = NumericArray | BigInt64Array | BigUint64Array;

export interface EngineSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Runs the graph once.
   *
   * @param feeds Every input.
   * @param fetches The outputs wanted; each is written into the tensor given for it, whose buffer must not be one of
   * the feeds'.
   * @throws RuntimeError when the engine fails.
   */
  run(feeds: Readonly<Record<string, Tensor>>, fetches: Readonly<Record<string, Tensor>>): Promise<void>;
  release(): Promise<void>;
}

export interface Engine {
  readonly name: string;
  /** @throws RuntimeError when the engine refuses the model. */
  createSession(model: Uint8Array): Promise<EngineSession>;
  /** The best target that this engine has been seen to execute correctly. */
  target(): Promise<Target>;
}
