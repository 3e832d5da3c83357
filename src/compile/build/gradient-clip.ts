/** Limits gradients by their global norm, with the arithmetic of torch.nn.utils.clip_grad_norm_ (2-norm). */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { add, divide, minimum, multiply, squareRoot } from "../../ops/families/elementwise.ts";
import { reduceSum } from "../../ops/families/reduce.ts";

/** Added to the norm, so that a norm of 0 divides nothing by 0: torch's constant. */
const leastNorm = 1e-6;

/**
 * Returns the factor on every gradient: min(1, limit / (‖g‖ + 1e-6)), ‖g‖ being the 2-norm of all gradients together.
 *
 * @param gradients Of any shapes, in float32; at least one.
 * @param limit The largest norm, above 0.
 * @returns A scalar.
 *
 * @example
 * const factor = clippingFactor(builder, [gradient], 1);
 * const limited = multiply(builder, gradient, factor);
 */
export function clippingFactor(builder: GraphBuilder, gradients: readonly Value[], limit: number): Value {
  const squares = gradients.map((gradient) =>
    reduceSum(builder, multiply(builder, gradient, gradient), undefined, { keepDimensions: false }),
  );
  const norm = squareRoot(
    builder,
    squares.reduce((sum, square) => add(builder, sum, square)),
  );
  return minimum(builder, divide(builder, limit, add(builder, norm, leastNorm)), 1);
}
