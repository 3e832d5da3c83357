/** Softmax and normalization of codes as standard ONNX: sums of integers, exact in float, and one division of float32 numbers. */

import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { cast } from "../../ops/families/cast.ts";
import { add, divide, maximum, multiply, squareRoot, subtract } from "../../ops/families/elementwise.ts";
import { reduceMax, reduceSum } from "../../ops/families/reduce.ts";
import { reshape } from "../../ops/families/shape/shape-ops.ts";
import { floatBound } from "../ranges.ts";
import type { NormalizeCodes, SoftmaxCodes } from "../token-operations.ts";
import { lookedUp } from "./table-graph.ts";

/**
 * p = e/Σ e with e = table[max q − q] where the mask is 1, and 0 where it is 0.
 *
 * @param steps q − low as float32 numbers, low being the lowest code.
 * @param mask Ones and zeros of float32.
 */
export function softmaxOfCodes(b: GraphBuilder, steps: Value, mask: Value | undefined, operation: SoftmaxCodes): Value {
  const { axis, table } = operation;
  const axes = [axis];
  const kept = mask === undefined ? steps : multiply(b, steps, mask);
  const differences = subtract(b, reduceMax(b, kept, axes), kept);
  const found = lookedUp(b, differences, {
    axis: 0,
    tables: 1,
    entries: Float64Array.from(table),
    dtype: "float32",
  });
  const exponentials = mask === undefined ? found : multiply(b, found, mask);
  const sum = cast(b, reduceSum(b, cast(b, exponentials, "float64"), axes), "float32");
  return divide(b, exponentials, mask === undefined ? sum : maximum(b, sum, 1));
}

/**
 * u = c/√(V + ε).
 *
 * @param centred q − z as float32 numbers.
 * @param reach The largest of their absolute values.
 */
export function normalizedCodes(b: GraphBuilder, centred: Value, reach: number, operation: NormalizeCodes): Value {
  const { size, isCentred, epsilon } = operation;
  const { shape } = centred.type;
  const [batch = 1] = shape;
  const count = shape.reduce((product, each) => product * each, 1);
  const rows = reshape(b, centred, [batch, count / batch / size, size]);
  // Sums above 2²⁴ are made in float64, which holds integers up to 2⁵³.
  const total = (x: Value, bound: number): Value => {
    const summed = bound < floatBound ? x : cast(b, x, "float64");
    return cast(b, reduceSum(b, summed, [2]), "float64");
  };
  const scaled = multiply(b, total(multiply(b, rows, rows), size * reach * reach), size);
  const sum = total(rows, size * reach);
  const variance = isCentred ? subtract(b, scaled, multiply(b, sum, sum)) : scaled;
  const divisor = squareRoot(b, add(b, cast(b, variance, "float32"), epsilon));
  const enlarged = multiply(b, rows, size);
  const numerator = isCentred ? subtract(b, enlarged, cast(b, sum, "float32")) : enlarged;
  return reshape(b, divide(b, numerator, divisor), shape);
}
