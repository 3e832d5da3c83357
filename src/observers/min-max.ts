/**
 * Min-max observers: the running extremes (`MinMaxObserver`, `PerChannelMinMaxObserver`) and their exponential moving
 * average (`MovingAverageMinMaxObserver`, `MovingAveragePerChannelMinMaxObserver`) of torch.ao.quantization.
 *
 * In float32, as torch: the first batch sets the range; after that the moving average is m + c·(m_batch − m), with
 * c = `averagingConstant` (0.01). Before the first batch min is +∞ and max is −∞.
 */
import type { GraphBuilder, Value } from "../ir/graph.ts";
import { filled } from "../ir/tensor.ts";
import { equal, where } from "../ops/families/comparison.ts";
import { add, maximum, minimum, multiply, subtract } from "../ops/families/elementwise.ts";
import { reduceMax, reduceMin } from "../ops/families/reduce.ts";
import { parameterShape, type QuantizerSpec, sharedAxes } from "../quantizers/definition.ts";
import type { ObserverContext, ObserverDefinition, ObserverValues } from "./observer.ts";

function stateOf(values: ObserverValues, name: "min" | "max"): Value {
  const value = values[name];
  if (value === undefined) throw new Error(`the observer has no state "${name}"`);
  return value;
}

type Extreme = "min" | "max";

/** An extreme of the batch, a number or one for each channel. */
function batchExtreme({ builder, spec, x }: ObserverContext, which: Extreme): Value {
  const axes = sharedAxes(spec, x.type.shape.length);
  return (which === "min" ? reduceMin : reduceMax)(builder, x, axes, { keepDimensions: false });
}

/**
 * The state after a batch. Of a tensor that cannot be negative the minimum is not looked for and stands as 0, its lower
 * bound: every convention widens a range until it holds 0, so scale and zero point are those of torch.
 */
function updated(context: ObserverContext, next: (old: Value, which: Extreme) => Value): ObserverValues {
  const { builder, spec, state } = context;
  const oldMin = stateOf(state, "min");
  const zero = () => builder.constant(filled(oldMin.type.shape, 0));
  return {
    min: spec.nonNegative === true ? zero() : next(oldMin, "min"),
    max: next(stateOf(state, "max"), "max"),
  };
}

/** The state before the first batch. */
const unobserved = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY } as const;

function initialState(spec: QuantizerSpec, shape: readonly number[]) {
  const size = parameterShape(spec, { dtype: "float32", shape });
  return [
    { name: "min", initial: filled(size, unobserved.min) },
    { name: "max", initial: filled(size, unobserved.max) },
  ];
}

const shared = {
  traits: { extremes: true },
  state: (spec: QuantizerSpec, type: { readonly shape: readonly number[] }) => initialState(spec, type.shape),
  range: ({ state }: { readonly state: ObserverValues }) => ({
    min: stateOf(state, "min"),
    max: stateOf(state, "max"),
  }),
};

/** Keeps the extremes of all batches (torch's MinMaxObserver). */
export const minMax: ObserverDefinition = {
  name: "minMax",
  options: {},
  ...shared,
  update: (context) =>
    updated(context, (old, which) =>
      (which === "min" ? minimum : maximum)(context.builder, old, batchExtreme(context, which)),
    ),
};

/** Keeps moving averages of the batches' extremes (torch's MovingAverageMinMaxObserver). */
export const movingAverageMinMax: ObserverDefinition = {
  name: "movingAverageMinMax",
  options: { averagingConstant: { from: 0, to: 1 } },
  ...shared,
  update(context) {
    const { builder, spec } = context;
    const constant = spec.observer?.options.averagingConstant;
    const share = typeof constant === "number" ? constant : 0.01;
    return updated(context, (old, which) =>
      towards(builder, old, batchExtreme(context, which), share, unobserved[which]),
    );
  },
};

/** old + share·(batch − old), or the batch's value while nothing was observed. */
function towards(builder: GraphBuilder, old: Value, batch: Value, share: number, initial: number): Value {
  const moved = add(builder, old, multiply(builder, subtract(builder, batch, old), share));
  return where(builder, equal(builder, old, builder.scalar(initial)), batch, moved);
}
