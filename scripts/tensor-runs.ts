/** What the checks against other engines share: graphs run on given tensors, and how far two tensors are apart. */

import { allocate, float32Data, makeTensor, type Tensor } from "../src/ir/tensor.ts";
import { elementCount } from "../src/ir/types.ts";
import { nodeEngine } from "../src/runtime/node/node.ts";

export type NamedTensors = Readonly<Record<string, Tensor>>;

/** Tensors for the outputs of a run. */
export function emptyOutputs(
  types: readonly { readonly name: string; readonly type: Pick<Tensor, "dtype" | "shape"> }[],
): NamedTensors {
  return Object.fromEntries(
    types.map(({ name, type: { dtype, shape } }) => [
      name,
      makeTensor(dtype, shape, allocate(dtype, elementCount(shape))),
    ]),
  );
}

/** Runs a model once, with those of the tensors that it reads. */
export async function runBytes(bytes: Uint8Array, feeds: NamedTensors, outputs: NamedTensors): Promise<void> {
  const session = await nodeEngine().createSession(bytes);
  const used = Object.fromEntries(session.inputNames.flatMap((name) => (feeds[name] ? [[name, feeds[name]]] : [])));
  await session.run(used, outputs);
  await session.release();
}

/** The square root of the sum of the squares. */
export function normOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

/** The norm of the difference by the norm of what is expected, or by another scale. */
export function relativeError(actual: Tensor | undefined, expected: Tensor, scale?: number): number {
  if (actual === undefined) return Number.POSITIVE_INFINITY;
  const [a, b] = [float32Data(actual), float32Data(expected)];
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return normOf(a.map((value, i) => value - (b[i] ?? 0))) / (scale ?? Math.max(normOf(b), 1e-30));
}
