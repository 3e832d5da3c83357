/**
 * Min-max observers: the running extremes (`MinMaxObserver`, `PerChannelMinMaxObserver`) and their exponential moving
 * average (`MovingAverageMinMaxObserver`, `MovingAveragePerChannelMinMaxObserver`) of torch.ao.quantization.
 *
 * In float32, as torch: the first batch sets the range; after that the moving average is m + c·(m_batch − m), with
 * c = `averagingConstant` (0.01). Before the first batch min is +∞ and max is −∞.
 */
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { filled } from "../graph/tensor.ts";
import { equal, where } from "../ops/comparison.ts";
import { add, maximum, minimum, multiply, subtract } from "../ops/elementwise.ts";
import { reduceMax, reduceMin } from "../ops/reduce.ts";
import { parameterShape, type QuantizerSpec, sharedAxes } from "../quantizers/quantizer.ts";
import type { ObserverContext, ObserverDefinition, ObserverValues } from "./observer.ts";

function stateOf(values: ObserverValues, name: "min" | "max"): Value {
  const value = values[name];
  if (value === undefined) throw new Error(`the observer has no state "${name}"`);
  return value;
}

/** Extremes of the batch, one pair or one for each channel. */
function batchRange({ builder, spec, x }: ObserverContext): { readonly min: Value; readonly max: Value } {
  const axes = sharedAxes(spec, x.type.shape.length);
  return {
    min: reduceMin(builder, x, axes, { keepDimensions: false }),
    max: reduceMax(builder, x, axes, { keepDimensions: false }),
  };
}

function initialState(spec: QuantizerSpec, shape: readonly number[]) {
  const size = parameterShape(spec, { dtype: "float32", shape });
  return [
    { name: "min", initial: filled(size, Number.POSITIVE_INFINITY) },
    { name: "max", initial: filled(size, Number.NEGATIVE_INFINITY) },
  ];
}

const shared = {
  state: (spec: QuantizerSpec, type: { readonly shape: readonly number[] }) => initialState(spec, type.shape),
  range: ({ state }: { readonly state: ObserverValues }) => ({
    min: stateOf(state, "min"),
    max: stateOf(state, "max"),
  }),
};

export const minMax: ObserverDefinition = {
  name: "minMax",
  options: {},
  ...shared,
  update(context) {
    const { builder, state } = context;
    const batch = batchRange(context);
    return {
      min: minimum(builder, stateOf(state, "min"), batch.min),
      max: maximum(builder, stateOf(state, "max"), batch.max),
    };
  },
};

export const movingAverageMinMax: ObserverDefinition = {
  name: "movingAverageMinMax",
  options: { averagingConstant: { from: 0, to: 1 } },
  ...shared,
  update(context) {
    const { builder, spec, state } = context;
    const batch = batchRange(context);
    const constant = spec.observer?.options.averagingConstant;
    const share = typeof constant === "number" ? constant : 0.01;
    return {
      min: towards(builder, stateOf(state, "min"), batch.min, share, Number.POSITIVE_INFINITY),
      max: towards(builder, stateOf(state, "max"), batch.max, share, Number.NEGATIVE_INFINITY),
    };
  },
};

/** old + share·(batch − old), or the batch's value while nothing was observed. */
function towards(builder: GraphBuilder, old: Value, batch: Value, share: number, unobserved: number): Value {
  const moved = add(builder, old, multiply(builder, subtract(builder, batch, old), share));
  return where(builder, equal(builder, old, builder.scalar(unobserved)), batch, moved);
}
