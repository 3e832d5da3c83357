/**
 * Optimizers as pure builders of graph nodes: `init` says what state a parameter needs, `update` computes the next
 * parameter and state. The arithmetic and its order follow torch.optim, so that trajectories agree.
 */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { filled, type Tensor } from "../../ir/tensor.ts";
import type { TensorType } from "../../ir/types.ts";
import { add, divide, multiply, squareRoot, subtract } from "../../ops/families/elementwise.ts";

/** Stochastic gradient descent with momentum. */
export interface SgdConfig {
  readonly name: "sgd";
  readonly momentum: number;
  readonly nesterov: boolean;
}

/** Adam or AdamW. */
export interface AdamConfig {
  /** `adam` adds the decay to the gradient; `adamw` shrinks the parameter (Loshchilov & Hutter, arXiv 1711.05101). */
  readonly name: "adam" | "adamw";
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** The optimizer of a training, with its constants. */
export type OptimizerConfig = SgdConfig | AdamConfig;

/** The arguments of an optimizer's update of one parameter. */
export interface OptimizerUpdate {
  readonly parameter: Value;
  readonly gradient: Value;
  readonly state: Readonly<Record<string, Value>>;
  /** A scalar. */
  readonly learningRate: Value;
  readonly weightDecay: number;
  /** Scalars that change with every step: see {@link Optimizer.scalars}. */
  readonly scalars: Readonly<Record<string, Value>>;
}

/** The parameter and the optimizer state after an update. */
export interface OptimizerResult {
  readonly parameter: Value;
  readonly state: Readonly<Record<string, Value>>;
}

/** An optimizer as two pure functions: its initial state and its update, as nodes of a graph. */
export interface Optimizer {
  /** The state that a parameter of this type starts with. */
  init(type: TensorType): Readonly<Record<string, Tensor>>;
  update(builder: GraphBuilder, step: OptimizerUpdate): OptimizerResult;
  /** Values of the step-dependent scalars at step 1, 2, …; computed outside the graph in float64, as torch does. */
  scalars(step: number): Readonly<Record<string, number>>;
}

/** Returns the optimizer of a configuration. */
export function optimizerFor(config: OptimizerConfig): Optimizer {
  return config.name === "sgd" ? sgd(config) : adam(config);
}

function decayed(builder: GraphBuilder, gradient: Value, parameter: Value, weightDecay: number): Value {
  return weightDecay === 0 ? gradient : add(builder, gradient, multiply(builder, parameter, weightDecay));
}

function stateOf(step: OptimizerUpdate, name: string): Value {
  const value = step.state[name];
  if (value === undefined) throw new Error(`the optimizer state "${name}" is missing`);
  return value;
}

function scalarOf(step: OptimizerUpdate, name: string): Value {
  const value = step.scalars[name];
  if (value === undefined) throw new Error(`the optimizer scalar "${name}" is missing`);
  return value;
}

function sgd({ momentum, nesterov }: SgdConfig): Optimizer {
  return {
    init: (type) => (momentum === 0 ? {} : { momentum: filled(type.shape, 0) }),
    scalars: () => ({}),
    update(builder, step) {
      const gradient = decayed(builder, step.gradient, step.parameter, step.weightDecay);
      if (momentum === 0) {
        return {
          parameter: subtract(builder, step.parameter, multiply(builder, gradient, step.learningRate)),
          state: {},
        };
      }
      const buffer = add(builder, multiply(builder, stateOf(step, "momentum"), momentum), gradient);
      const direction = nesterov ? add(builder, gradient, multiply(builder, buffer, momentum)) : buffer;
      return {
        parameter: subtract(builder, step.parameter, multiply(builder, direction, step.learningRate)),
        state: { momentum: buffer },
      };
    },
  };
}

function adam({ name, beta1, beta2, epsilon }: AdamConfig): Optimizer {
  return {
    init: (type) => ({ first_moment: filled(type.shape, 0), second_moment: filled(type.shape, 0) }),
    scalars: (step) => ({
      bias_correction1: 1 - beta1 ** step,
      bias_correction2_root: Math.sqrt(1 - beta2 ** step),
    }),
    update(builder, step) {
      const { learningRate, weightDecay } = step;
      const shrunk =
        name === "adamw" && weightDecay !== 0
          ? multiply(builder, step.parameter, subtract(builder, 1, multiply(builder, learningRate, weightDecay)))
          : step.parameter;
      const gradient = name === "adam" ? decayed(builder, step.gradient, step.parameter, weightDecay) : step.gradient;
      const first = add(
        builder,
        multiply(builder, stateOf(step, "first_moment"), beta1),
        multiply(builder, gradient, 1 - beta1),
      );
      const second = add(
        builder,
        multiply(builder, stateOf(step, "second_moment"), beta2),
        multiply(builder, multiply(builder, gradient, gradient), 1 - beta2),
      );
      const root = divide(builder, squareRoot(builder, second), scalarOf(step, "bias_correction2_root"));
      const size = divide(builder, learningRate, scalarOf(step, "bias_correction1"));
      const change = divide(builder, multiply(builder, first, size), add(builder, root, epsilon));
      return {
        parameter: subtract(builder, shrunk, change),
        state: { first_moment: first, second_moment: second },
      };
    },
  };
}
