/** Limits gradients by their global norm, with the arithmetic of torch.nn.utils.clip_grad_norm_ (2-norm). */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { add, divide, minimum, square, squareRoot, sum } from "../../ops/families/elementwise.ts";
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
  const squares = gradients.map((gradient) => {
    const squared = square(builder, gradient);
    // Scales are single numbers: a network has hundreds, and each node costs as much as a small tensor's.
    return squared.type.shape.length === 0
      ? squared
      : reduceSum(builder, squared, undefined, { keepDimensions: false });
  });
  const norm = squareRoot(builder, sum(builder, squares));
  return minimum(builder, divide(builder, limit, add(builder, norm, leastNorm)), 1);
}
