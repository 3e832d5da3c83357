/** Interpolation by integer weights as standard ONNX: a product with a constant matrix along each of two axes, exact in float32. */

import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { float32Tensor, type Tensor } from "../../ir/tensor.ts";
import { matmul } from "../../ops/families/matmul.ts";
import type { AxisWeights, ResampleSums } from "../integer-network.ts";

/** The matrix of an axis, [to, from]; transposed, [from, to]. */
function matrixOf({ taps, places, weights }: AxisWeights, from: number, isTransposed: boolean): Tensor {
  const to = places.length / taps;
  const data = new Float32Array(to * from);
  places.forEach((place, i) => {
    const row = Math.floor(i / taps);
    const at = isTransposed ? place * to + row : row * from + place;
    data[at] = (data[at] ?? 0) + (weights[i] ?? 0);
  });
  return float32Tensor(isTransposed ? [from, to] : [to, from], data);
}

function isUnchanged({ taps, weights }: AxisWeights, from: number): boolean {
  return taps === 1 && weights.length === from && weights.every((weight) => weight === 1);
}

/**
 * Sums of what x holds, [N, C, H, W], in float32.
 *
 * @param parameter Adds a matrix to the graph.
 */
export function resampledSums(
  b: GraphBuilder,
  x: Value,
  { axes: [rows, columns] }: ResampleSums,
  parameter: (name: string, tensor: Tensor) => Value,
): Value {
  const [, , height = 1, width = 1] = x.type.shape;
  const along = isUnchanged(columns, width) ? x : matmul(b, x, parameter("columns", matrixOf(columns, width, true)));
  return isUnchanged(rows, height) ? along : matmul(b, parameter("rows", matrixOf(rows, height, false)), along);
}
