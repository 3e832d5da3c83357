/** Runs imported networks, and the files that they came from, in ONNX Runtime. */

import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { bindBatch } from "../../../src/compile/passes/bind-batch.ts";
import { dataInputs, type Network } from "../../../src/ir/network.ts";
import { float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import { elementCount, type Shape } from "../../../src/ir/types.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { emit } from "../../../src/runtime/job.ts";

/** The outputs of a network for float inputs made of its shapes, bound to another batch size if one is given. */
export async function outputsOf(network: Network, batch?: number): Promise<Record<string, number[]>> {
  const bound = batch === undefined ? network : bindBatch(network, batch);
  const feeds: Record<string, Tensor> = {};
  for (const { name, value } of network.parameters) feeds[name] = value;
  for (const { name, type } of dataInputs(bound)) feeds[name] = sample(type.shape);
  return runFloats(emit(bound.graph, genericTarget), feeds);
}

/** The outputs of a file for the same inputs. */
export function fileOutputs(
  bytes: Uint8Array,
  inputs: Readonly<Record<string, Shape>>,
): Promise<Record<string, number[]>> {
  return runFloats(bytes, Object.fromEntries(Object.entries(inputs).map(([name, shape]) => [name, sample(shape)])));
}

/** Numbers without a pattern, the same for every size. */
export function sample(shape: Shape): Tensor {
  return float32Tensor(
    shape,
    Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * 12.9898) * 1.7),
  );
}

/** The outputs of a model for float inputs. */
export async function runFloats(
  bytes: Uint8Array,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Record<string, number[]>> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  const inputs = Object.fromEntries(
    session.inputNames.map((name) => {
      const tensor = feeds[name];
      if (!(tensor?.data instanceof Float32Array)) throw new Error(`no float data for "${name}"`);
      return [name, new OrtTensor("float32", tensor.data, tensor.shape)];
    }),
  );
  const results = await session.run(inputs);
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data, Number)]));
}

/** The largest difference of two lists of numbers. */
export function distance(a: readonly number[] | undefined, b: readonly number[] | undefined): number {
  if (a === undefined || b === undefined || a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Math.max(0, ...a.map((value, i) => Math.abs(value - (b[i] ?? 0))));
}
