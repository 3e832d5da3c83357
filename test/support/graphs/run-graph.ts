/** Runs a graph in ONNX Runtime directly, so that tests of the rooms above `runtime/` need nothing below them. */

import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import type { Graph } from "../../../src/ir/graph.ts";
import { allocate, makeTensor, type Tensor } from "../../../src/ir/tensor.ts";
import type { DType, Shape } from "../../../src/ir/types.ts";
import { writeOnnx } from "../../../src/onnx/write/write.ts";
import { inferWith, type OperatorRegistry } from "../../../src/ops/definition.ts";
import { standardOperators } from "../../../src/ops/index.ts";
import { verifyGraph } from "./verify.ts";

/** A graph that was loaded once and can be run many times. */
export type Runner = (feeds: Readonly<Record<string, Tensor>>) => Promise<Readonly<Record<string, Tensor>>>;

export interface RunOptions {
  readonly registry?: OperatorRegistry;
  /** Default 1: the tensors of tests are small. */
  readonly threads?: number;
}

/** Verifies and loads a graph. */
export async function loadGraph(graph: Graph, options: RunOptions = {}): Promise<Runner> {
  const { registry = standardOperators, threads = 1 } = options;
  verifyGraph(graph, inferWith(registry));
  const session = await InferenceSession.create(writeOnnx(graph), { intraOpNumThreads: threads, logSeverityLevel: 3 });
  const names = graph.inputs.map((input) => input.name);
  return async (feeds) => {
    const inputs = Object.fromEntries(names.map((name) => [name, toOrt(feeds[name], name)]));
    const results = await session.run(inputs);
    return Object.fromEntries(graph.outputs.map(({ name, value }) => [name, fromOrt(results[name], name, value.type)]));
  };
}

/** Loads a graph and runs it once. */
export async function runGraph(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>> = {},
  options: RunOptions = {},
): Promise<Readonly<Record<string, Tensor>>> {
  const run = await loadGraph(graph, options);
  return run(feeds);
}

function toOrt(tensor: Tensor | undefined, name: string): OrtTensor {
  if (tensor === undefined) throw new Error(`no feed for input "${name}"`);
  const { data, dtype, shape } = tensor;
  if (dtype === "bool" && data instanceof Uint8Array) return new OrtTensor("bool", data, shape);
  if (data instanceof Float32Array) return new OrtTensor("float32", data, shape);
  if (data instanceof Float64Array) return new OrtTensor("float64", data, shape);
  if (data instanceof BigInt64Array) return new OrtTensor("int64", data, shape);
  if (data instanceof Int32Array) return new OrtTensor("int32", data, shape);
  if (data instanceof Int8Array) return new OrtTensor("int8", data, shape);
  if (data instanceof Uint8Array && dtype === "uint8") return new OrtTensor("uint8", data, shape);
  throw new Error(`feeding ${dtype} is not needed by any test yet`);
}

function fromOrt(result: OrtTensor | undefined, name: string, type: { dtype: DType; shape: Shape }): Tensor {
  if (result === undefined) throw new Error(`no result for output "${name}"`);
  if (result.dims.join() !== type.shape.join()) {
    throw new Error(`output "${name}" has the shape [${result.dims}], inferred was [${type.shape}]`);
  }
  const target = allocate(type.dtype, result.size);
  const { data } = result;
  if (target instanceof BigInt64Array || target instanceof BigUint64Array) {
    if (!(data instanceof BigInt64Array || data instanceof BigUint64Array)) throw wrongKind(name, type.dtype, result);
    target.set(data);
  } else {
    if (result.type !== type.dtype || !ArrayBuffer.isView(data)) throw wrongKind(name, type.dtype, result);
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) throw wrongKind(name, type.dtype, result);
    target.set(data);
  }
  return makeTensor(type.dtype, type.shape, target);
}

function wrongKind(name: string, dtype: DType, result: OrtTensor): Error {
  return new Error(`output "${name}" is ${result.type}, inferred was ${dtype}`);
}
