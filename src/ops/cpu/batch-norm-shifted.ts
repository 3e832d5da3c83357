/**
 * Batch normalization in few passes, for tensors that convolutions leave blocked.
 *
 * Everything is computed from x′ = x − r, where r is the running mean: the variance is E[x′²] − E[x′]², which would lose
 * digits if the mean were large compared with the standard deviation, and near r it is not. Behind a convolution the shift is its bias
 * and costs nothing. What is then left are means over channels and scales and offsets of channels (channel-ops.ts).
 */
import type { Value } from "../../ir/graph.ts";
import { elementCount } from "../../ir/types.ts";
import type { LoweringContext } from "../definition.ts";
import { relu } from "../families/activations.ts";
import { add, multiply, negate, reciprocal, square, squareRoot, subtract } from "../families/elementwise.ts";
import { channelAffine, channelMean } from "../internal/channel-ops.ts";

/** 1 / √(variance + epsilon), [C]. */
export function inverseDeviation(builder: LoweringContext["builder"], variance: Value, epsilon: number): Value {
  return reciprocal(builder, squareRoot(builder, add(builder, variance, epsilon)));
}

/** A normalized tensor with the statistics of its batch. */
export interface BatchStatistics {
  readonly y: Value;
  readonly mean: Value;
  readonly variance: Value;
}

/** Inputs: x, scale, bias, running mean. */
export function shiftedBatchNorm(context: LoweringContext, epsilon: number): BatchStatistics {
  const { builder } = context;
  const runningMean = context.input(3);
  const { shifted, mean } = shiftedInput(context, context.input(0), runningMean);
  const spread = subtract(builder, channelMean(builder, square(builder, shifted)), square(builder, mean));
  // Rounding can leave a channel that does not vary a little below zero.
  const variance = relu(builder, spread);
  const scale = multiply(builder, context.input(1), inverseDeviation(builder, variance, epsilon));
  const offset = subtract(builder, context.input(2), multiply(builder, scale, mean));
  return {
    y: channelAffine(builder, { x: shifted, scale, offset }),
    mean: add(builder, runningMean, mean),
    variance,
  };
}

/** x − r and its mean: the same nodes in the forward and in the backward pass. */
function shiftedInput({ builder }: LoweringContext, x: Value, runningMean: Value) {
  const shifted = channelAffine(builder, { x, offset: negate(builder, runningMean) });
  return { shifted, mean: channelMean(builder, shifted) };
}

/**
 * dx = a·(dy − mean(dy) − x̂·g) with a = scale·inv and g = mean(dy·x̂), written as a·dy + b·x′ + c: two passes, the sum in
 * place. Inputs: dy, x, scale, batch mean, inv = 1/√(batch variance + ε), running mean.
 */
export function shiftedBatchNormGrad(context: LoweringContext): readonly Value[] {
  const { builder } = context;
  const dy = context.input(0);
  const x = context.input(1);
  const inverse = context.input(4);
  const { shifted, mean } = shiftedInput(context, x, context.input(5));
  const samples = elementCount(x.type.shape) / (x.type.shape[1] ?? 1);
  const dyMean = channelMean(builder, dy);
  const product = channelMean(builder, multiply(builder, dy, shifted));
  const g = multiply(builder, subtract(builder, product, multiply(builder, mean, dyMean)), inverse);
  const a = multiply(builder, context.input(2), inverse);
  const b = negate(builder, multiply(builder, multiply(builder, a, inverse), g));
  const c = negate(builder, add(builder, multiply(builder, a, dyMean), multiply(builder, b, mean)));
  const fromX = channelAffine(builder, { x: shifted, scale: b });
  const dx = channelAffine(builder, { x: dy, scale: a, offset: c, sum: fromX });
  return [dx, multiply(builder, g, samples), multiply(builder, dyMean, samples)];
}
