/** The inputs of a written graph: the network's own, which a job of the simulation may read from one row for each sample. */

import { GraphError } from "../../errors.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { allocate, makeTensor, type Tensor, toNumbers } from "../../ir/tensor.ts";
import { elementCount, type TensorType } from "../../ir/types.ts";
import type { IntegerNetwork } from "../integer-network.ts";

/** Adds the network's inputs to a graph and returns them by the first of their elements in a row. */
export function addInputs(b: GraphBuilder, { input }: IntegerNetwork, batchSize: number): ReadonlyMap<number, Value> {
  const { name, sampleShape, dtype, parts = [{ name, shape: sampleShape, start: 0, dtype }] } = input;
  return new Map(
    parts.map((part) => [part.start, b.input(part.name, { dtype: part.dtype, shape: [batchSize, ...part.shape] })]),
  );
}

/** The input whose first element lies there in a row. @throws GraphError when there is none. */
export function inputFrom(inputs: ReadonlyMap<number, Value>, start: number): Value {
  const input = inputs.get(start);
  if (input === undefined) throw new GraphError(`no input begins at element ${start} of a sample`);
  return input;
}

/**
 * Returns a batch of samples as the inputs of a written graph.
 *
 * @param batch [batch, ...sampleShape], of the type in which the data are.
 */
export function feedsOf({ input }: IntegerNetwork, batch: Tensor): Record<string, Tensor> {
  const { parts } = input;
  if (parts === undefined) return { [input.name]: batch };
  const rows = toNumbers(batch);
  const [count = 0] = batch.shape;
  const length = rows.length / count;
  return Object.fromEntries(parts.map((part) => [part.name, cutFromRows(rows, length, part)]));
}

/** Returns one input of all rows, in its own type. */
export function cutFromRows(
  rows: ArrayLike<number>,
  length: number,
  { shape, start, dtype }: TensorType & { readonly start: number },
): Tensor {
  const count = rows.length / length;
  const size = elementCount(shape);
  const data = allocate(dtype, count * size);
  for (let i = 0; i < count * size; i++) {
    const number = rows[Math.floor(i / size) * length + start + (i % size)] ?? 0;
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(number);
    else data[i] = number;
  }
  return makeTensor(dtype, [count, ...shape], data);
}
